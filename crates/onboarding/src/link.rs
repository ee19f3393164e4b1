//! The link to a customer's page: signed, expiring, revocable, bound to one onboarding.

use keyferry_registry::RegistryError;

/// What a link carries. Whoever has it may act for the customer on its page, so it is not shown whole.
#[derive(Clone)]
pub struct LinkToken(String);

/// Why a link opens nothing. To whoever holds it the first three look alike.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is none of ours.
    #[error("the link is not valid")]
    Forged,
    /// It was good once: it expired, was revoked, or gave way to a newer one.
    #[error("the link is not good any more")]
    Expired,
    /// Its onboarding is over.
    #[error("the onboarding is over")]
    Closed,
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl LinkToken {
    /// Takes what stood in a path. Whether it is good is found out when it is used.
    #[must_use]
    pub fn from_path(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The token, for the page's own addresses.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkToken(…)")
    }
}

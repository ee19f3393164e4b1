//! Admin consent: where the administrator is sent, and what comes back.

use keyferry_registry::RegistryError;

/// The query that Entra sends the administrator's browser back with, as it came.
#[derive(Clone, Default)]
pub struct ConsentReturn {
    /// `state`.
    pub state: Option<String>,
    /// `tenant`.
    pub tenant: Option<String>,
    /// `admin_consent`.
    pub admin_consent: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `error_subcode` or the code in `error_description`; the description itself is not kept.
    pub error_code: Option<String>,
}

/// Why what came back was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// There is no state, or it is none of ours.
    #[error("the answer belongs to no consent that was begun here")]
    Forged,
    /// The state was used before, or a newer one took its place.
    #[error("that answer was used before")]
    Used,
    /// The state is too old.
    #[error("the consent took too long")]
    Expired,
    /// The administrator, or Entra, said no.
    #[error("consent was not given")]
    Denied {
        /// Entra's code, if it is one.
        code: Option<String>,
        /// The link back to the page.
        back: url::Url,
    },
    /// It came for another directory than the one that was told.
    #[error("consent was given in another directory")]
    OtherDirectory {
        /// The link back to the page.
        back: url::Url,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl std::fmt::Debug for ConsentReturn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConsentReturn(…)")
    }
}

//! What was found, and what to do next, for people.

use keyferry_registry::onboarding::{CheckName, CheckStatus, Onboarding};

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// The customer's administrator: nothing of our internals, nor of our own credential's errors.
    Customer,
    /// The platform's operator.
    Operator,
}

/// A check, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name for people: "Your key".
    pub title: &'static str,
    /// How it stands.
    pub status: CheckStatus,
    /// The finding's name; `not-checked` if the check was never made.
    pub slug: String,
    /// What was found, in a sentence or two.
    pub text: String,
    /// What to do next, if there is something to do.
    pub next: Option<String>,
    /// Commands that do it.
    pub commands: Option<String>,
}

/// One of the guide's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Authorize our application.
    Authorize,
    /// Set up vault and key.
    VaultAndKey,
    /// Grant access.
    Access,
    /// Complete: the private endpoint, and the whole tried out.
    Complete,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Authorize, Self::VaultAndKey, Self::Access, Self::Complete];

    /// Its name on the wire.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::VaultAndKey => "vault-and-key",
            Self::Access => "access",
            Self::Complete => "complete",
        }
    }

    /// The checks that belong to it.
    #[must_use]
    pub fn checks(self) -> &'static [CheckName] {
        match self {
            Self::Authorize => &[CheckName::Directory, CheckName::Consent],
            Self::VaultAndKey => &[CheckName::Vault, CheckName::Key, CheckName::Protection],
            Self::Access => &[CheckName::Wrap, CheckName::Read, CheckName::LeastPrivilege],
            Self::Complete => &[CheckName::PrivateEndpoint, CheckName::Verification],
        }
    }

    /// How it stands: failed if one of its needed checks is, else waiting, else pending, else passed.
    #[must_use]
    pub fn status(self, onboarding: &Onboarding) -> CheckStatus {
        let _ = onboarding;
        todo!()
    }
}

/// Tells of a check to one of the two who want to know.
#[must_use]
pub fn told(onboarding: &Onboarding, check: CheckName, audience: Audience) -> Told {
    let _ = (onboarding, check, audience);
    todo!()
}

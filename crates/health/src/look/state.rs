//! How a key's state changes: the one table.

use keyferry_crypto::vault::{Fault, VaultCause, VaultError};
use keyferry_registry::key::{KeyState, Trouble};

/// What a look says of a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The vault does as asked.
    Serves,
    /// The customer refuses.
    Refuses(Trouble),
    /// The vault, or its directory, is asked in vain.
    InVain(Trouble),
    /// It is we who fail: our credential, our request, our machine.
    Failed(String),
    /// Nobody was asked.
    NotAsked,
}

/// The state after a look.
///
/// | before ↓ | serves | refuses | in vain | failed | not asked |
/// |---|---|---|---|---|---|
/// | unknown | healthy | refused | degraded | unknown | unknown |
/// | healthy | healthy | refused | degraded | unknown | healthy |
/// | degraded | healthy | refused | degraded | unknown | degraded |
/// | refused | healthy | refused | refused | refused | refused |
///
/// What the customer said last stands until the vault answers otherwise: silence takes no refusal back.
pub(super) fn next(before: &KeyState, outcome: &Outcome) -> KeyState {
    match (before, outcome) {
        (_, Outcome::Serves) => KeyState::Healthy,
        (_, Outcome::Refuses(trouble)) => KeyState::Refused(trouble.clone()),
        (KeyState::Refused(_), Outcome::InVain(_) | Outcome::Failed(_)) | (_, Outcome::NotAsked) => before.clone(),
        (KeyState::Unknown | KeyState::Healthy | KeyState::Degraded(_), Outcome::InVain(trouble)) => {
            KeyState::Degraded(trouble.clone())
        }
        (KeyState::Unknown | KeyState::Healthy | KeyState::Degraded(_), Outcome::Failed(_)) => KeyState::Unknown,
    }
}

/// Whether others are told of the change. A refusal for another reason is one; that a vault is asked in vain for another is not:
/// such reasons come and go.
pub(super) fn is_news(before: &KeyState, after: &KeyState) -> bool {
    match (before, after) {
        (KeyState::Refused(before), KeyState::Refused(after)) => before.cause != after.cause,
        (before, after) => before.slug() != after.slug(),
    }
}

impl Outcome {
    /// Whether another replica may fare better: the way there may be cut, the credential missing, or the
    /// address not let in, only here.
    pub(super) fn may_be_this_replicas(&self) -> bool {
        match self {
            Self::Failed(_) => true,
            Self::InVain(trouble) => !matches!(
                trouble.cause,
                VaultCause::Throttled | VaultCause::EntraThrottled | VaultCause::TokenNotVerifiable
            ),
            Self::Refuses(trouble) => trouble.cause.is_of_an_address(),
            Self::Serves | Self::NotAsked => false,
        }
    }
}

impl From<&VaultError> for Outcome {
    fn from(error: &VaultError) -> Self {
        let trouble = || Trouble {
            cause: error.cause(),
            evidence: error.evidence().clone(),
        };
        match error.cause().fault() {
            Fault::Customer => Self::Refuses(trouble()),
            Fault::Unavailable if is_unasked(error.cause()) => Self::NotAsked,
            // A canary is nobody's input: bytes that do not unwrap are an answer that cannot be right.
            Fault::Unavailable | Fault::Caller => Self::InVain(trouble()),
            Fault::Service => Self::Failed(error.to_string()),
        }
    }
}

/// Whether this is no word of the vault's, but that we did not ask it: our own limits, which looks meet only where very many keys
/// are in one vault.
pub(super) fn is_unasked(cause: VaultCause) -> bool {
    matches!(cause, VaultCause::Busy | VaultCause::QuotaSpent)
}

//! Can we read how the key is set up? Of the roles that are asked for only Reader may, and nothing needs it.

use keyferry_azure::probe::RotationPolicy;
use keyferry_crypto::vault::{VaultCause, VaultError};
use keyferry_registry::onboarding::{CheckName, Observed};

use super::{Looking, Seen, trouble};
use crate::finding::{Kind, With as _};

pub(super) fn found(
    looking: &Looking<'_>,
    seen: &Seen,
    policy: Option<&Result<RotationPolicy, VaultError>>,
) -> Observed {
    match policy {
        _ if !seen.passed(CheckName::Wrap) => Kind::ReadNotLooked.observed(),
        None => Kind::ReadNotLooked.observed(),
        Some(Ok(policy)) => Kind::Reads.observed().with("rotation", rotation(policy)),
        Some(Err(error)) => match error.cause() {
            VaultCause::RoleMissing | VaultCause::AccessDenied => {
                Kind::ReadNotGranted.observed().told_by(error.evidence())
            }
            VaultCause::AccessPolicyMissing => Kind::ReadByPolicy.observed().told_by(error.evidence()),
            _ => trouble::found(looking, error),
        },
    }
}

/// When the key is rotated by itself; `none` if it is not.
pub(super) fn rotation(policy: &RotationPolicy) -> String {
    match (&policy.rotates_after, &policy.rotates_before_expiry) {
        (Some(after), _) => format!("{after} after each version is made"),
        (None, Some(before)) => format!("{before} before each version expires"),
        (None, None) => "none".to_owned(),
    }
}

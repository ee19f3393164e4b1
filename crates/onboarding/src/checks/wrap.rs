//! Can we wrap and unwrap with the key?
//!
//! Only unwrapping proves it: to wrap needs no more than to read, and a disabled key may still do it. So a canary, wrapped
//! once, is unwrapped at each look.

use keyferry_azure::KeyDescription;
use keyferry_crypto::{
    secret::{DATA_KEY_LEN, DataKey},
    tenant::{Route, TenantKeys},
    vault::{VaultCause, VaultError, WrappedDataKey},
};
use keyferry_registry::onboarding::{Canary, CheckName, Observed};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Looking, Seen, trouble};
use crate::finding::{Kind, With as _};

pub(super) async fn look(
    looking: &Looking<'_>,
    seen: &Seen,
    described: Option<&Result<KeyDescription, VaultError>>,
    route: Route,
    kept: &mut Option<Canary>,
) -> Observed {
    kept.clone_from(&looking.onboarding.canary);
    let object_id = seen.object_id();
    let described = match described {
        Some(Ok(described)) if seen.passed(CheckName::Key) => described,
        Some(Err(error)) if seen.passed(CheckName::Vault) && is_about_access(error.cause()) => {
            return refused(looking, error, Kind::NoAccessYet, Kind::NoAccess).with("object_id", object_id);
        }
        _ => return Kind::WrapNotLooked.observed(),
    };
    let Some(keys) = looking.keys(route) else {
        return Kind::WrapNotLooked.observed();
    };
    let earlier = kept.clone().filter(|canary| canary.kek == described.kek);
    match proven(looking, &keys, earlier).await {
        Ok(Some(canary)) => {
            *kept = Some(canary);
            Kind::Wraps.observed()
        }
        Ok(None) => {
            *kept = None;
            Kind::CanaryForeign.observed()
        }
        Err(error) => refused(looking, &error, Kind::CannotUnwrapYet, Kind::CannotUnwrap).with("object_id", object_id),
    }
}

/// The canary that was unwrapped: the one from before, or a new one in its place.
async fn proven(
    looking: &Looking<'_>,
    keys: &TenantKeys,
    earlier: Option<Canary>,
) -> Result<Option<Canary>, VaultError> {
    if let Some(canary) = earlier {
        match is_alive(looking, keys, &canary).await {
            Ok(true) => return Ok(Some(canary)),
            Ok(false) => {}
            Err(error) if error.cause() == VaultCause::WrappedKeyInvalid => {}
            Err(error) => return Err(error),
        }
    }
    let canary = wrapped(looking, keys).await?;
    match is_alive(looking, keys, &canary).await {
        Ok(is_alive) => Ok(is_alive.then_some(canary)),
        Err(error) if error.cause() == VaultCause::WrappedKeyInvalid => Ok(None),
        Err(error) => Err(error),
    }
}

/// Wraps a value that protects nothing.
pub(super) async fn wrapped(looking: &Looking<'_>, keys: &TenantKeys) -> Result<Canary, VaultError> {
    let value = random_key().ok_or(VaultCause::AppCredentialUnavailable)?;
    let WrappedDataKey { kek, bytes } = looking.parts.azure.wrap(keys, &value).await?;
    Ok(Canary {
        kek,
        wrapped: bytes,
        digest: Sha256::digest(value.expose()).into(),
    })
}

/// Whether a canary still unwraps to what it was.
pub(super) async fn is_alive(looking: &Looking<'_>, keys: &TenantKeys, canary: &Canary) -> Result<bool, VaultError> {
    let wrapped = WrappedDataKey {
        kek: canary.kek.clone(),
        bytes: canary.wrapped.clone(),
    };
    let value = looking.parts.azure.unwrap(keys, &wrapped).await?;
    let digest: [u8; 32] = Sha256::digest(value.expose()).into();
    Ok(digest.ct_eq(&canary.digest).into())
}

fn refused(looking: &Looking<'_>, error: &VaultError, yet: Kind, too_long: Kind) -> Observed {
    let patience = looking.config.role_patience;
    let observed = match error.cause() {
        VaultCause::RoleMissing => looking.patient(CheckName::Wrap, yet, too_long, patience),
        VaultCause::AccessPolicyMissing => {
            let (yet, too_long) = (Kind::PolicyMissingYet, Kind::PolicyMissing);
            looking.patient(CheckName::Wrap, yet, too_long, patience)
        }
        _ => return trouble::found(looking, error),
    };
    observed.told_by(error.evidence())
}

fn is_about_access(cause: VaultCause) -> bool {
    matches!(
        cause,
        VaultCause::RoleMissing | VaultCause::AccessPolicyMissing | VaultCause::AccessDenied
    )
}

/// A data key that is used for nothing; `None` if the operating system gives no random bytes.
fn random_key() -> Option<DataKey> {
    let mut bytes = vec![0; DATA_KEY_LEN];
    getrandom::fill(&mut bytes).ok()?;
    DataKey::from_unwrapped(bytes)
}

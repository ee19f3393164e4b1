//! Vaults that asked to be left alone for a while. The limit is the vault's, so the word holds for every operation there,
//! not only for the one that was told.

use std::sync::Arc;

use keyferry_crypto::{
    id::VaultHost,
    vault::{VaultCause, VaultError},
};
use tokio::time::Instant;

use crate::retry::MAX_RETRY_AFTER;

/// Vaults that are remembered at most.
const MAX_VAULTS: u64 = 20_000;

/// The vaults that throttle, each until when.
#[derive(Debug)]
pub(crate) struct Throttles(moka::sync::Cache<VaultHost, Arc<Throttle>>);

#[derive(Debug)]
struct Throttle {
    error: VaultError,
    until: Instant,
}

impl Throttles {
    pub(crate) fn new() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(MAX_VAULTS).build())
    }

    /// Remembers what a vault answered, if it throttles and said until when.
    pub(crate) fn note(&self, vault: &VaultHost, error: &VaultError, now: Instant) {
        let asked = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        if error.cause() == VaultCause::Throttled && !asked.is_zero() {
            let (error, until) = (error.clone(), now + asked);
            self.0.insert(vault.clone(), Arc::new(Throttle { error, until }));
        }
    }

    /// Fails as the vault did, while it is to be left alone.
    pub(crate) fn admit(&self, vault: &VaultHost, now: Instant) -> Result<(), VaultError> {
        let Some(throttle) = self.0.get(vault) else {
            return Ok(());
        };
        let left = throttle.until.saturating_duration_since(now);
        if left.is_zero() {
            self.0.invalidate(vault);
            return Ok(());
        }
        let evidence = throttle.error.evidence().clone();
        Err(VaultError::new(throttle.error.cause(), Some(left), evidence))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyferry_crypto::vault::Evidence;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn vault(name: &str) -> VaultHost {
        format!("{name}.vault.azure.net").parse().unwrap()
    }

    fn asking(cause: VaultCause, retry_after: Option<Duration>) -> VaultError {
        VaultError::new(cause, retry_after, Evidence::default())
    }

    #[tokio::test]
    async fn a_vault_is_left_alone_for_as_long_as_it_asked() {
        let (throttles, now) = (Throttles::new(), Instant::now());
        throttles.note(&vault("acme"), &asking(VaultCause::Throttled, Some(SECOND * 7)), now);
        let refused = throttles.admit(&vault("acme"), now + SECOND * 2).unwrap_err();
        assert_eq!(
            (refused.cause(), refused.retry_after()),
            (VaultCause::Throttled, Some(SECOND * 5))
        );
        assert!(throttles.admit(&vault("other"), now).is_ok());
        assert!(throttles.admit(&vault("acme"), now + SECOND * 7).is_ok());
    }

    #[tokio::test]
    async fn nothing_but_a_throttling_vaults_word_counts_and_not_for_ever() {
        let (throttles, now) = (Throttles::new(), Instant::now());
        throttles.note(&vault("acme"), &asking(VaultCause::VaultFailed, Some(SECOND)), now);
        throttles.note(&vault("acme"), &asking(VaultCause::Throttled, None), now);
        throttles.note(
            &vault("acme"),
            &asking(VaultCause::Throttled, Some(Duration::ZERO)),
            now,
        );
        assert!(throttles.admit(&vault("acme"), now).is_ok());
        throttles.note(&vault("acme"), &asking(VaultCause::Throttled, Some(Duration::MAX)), now);
        assert!(throttles.admit(&vault("acme"), now + MAX_RETRY_AFTER - SECOND).is_err());
        assert!(throttles.admit(&vault("acme"), now + MAX_RETRY_AFTER).is_ok());
    }
}

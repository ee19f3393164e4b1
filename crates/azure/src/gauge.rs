//! How much of a vault's documented limits is used: what is shown of it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// How much of a vault's limit for cryptographic calls one replica has used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    /// Calls a second that this replica made, on average over the last [`Gauge::WINDOW`], counted as unwraps with the vault's key.
    pub used_per_second: f64,
    /// Unwraps a second that this replica may make: its share of the vault's limit, less a margin. Infinite for a Managed HSM, for
    /// which Azure documents none.
    pub limit_per_second: f64,
    /// Whether the breaker keeps calls from the vault, as it does not answer.
    pub is_open: bool,
}

impl Gauge {
    /// Key Vault counts by spans of ten seconds.
    pub const WINDOW: Duration = Duration::from_secs(10);

    /// Of a vault that was not asked lately, and may be asked for so much in a window.
    pub(crate) fn unused(limit: f64) -> Self {
        Self {
            used_per_second: 0.0,
            limit_per_second: limit / Self::WINDOW.as_secs_f64(),
            is_open: false,
        }
    }
}

/// What was done for the vaults' sake since the start, over all vaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VaultStats {
    /// Calls not made because they would have come too near to a vault's limits.
    pub quota_refused: u64,
    /// Calls not made because a vault does not answer.
    pub breaker_refused: u64,
    /// Times that a breaker opened.
    pub breakers_opened: u64,
    /// Breakers that are open now.
    pub breakers_open: u64,
    /// Second tries made.
    pub retries: u64,
    /// Second tries not made, being too many for the calls.
    pub retries_refused: u64,
    /// Answers of vaults that said 429.
    pub throttled: u64,
}

/// Counts what [`VaultStats`] tells.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) quota_refused: Count,
    pub(crate) breaker_refused: Count,
    pub(crate) breakers_opened: Count,
    pub(crate) retries: Count,
    pub(crate) retries_refused: Count,
    pub(crate) throttled: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Counts {
    /// The counts, with so many breakers open.
    pub(crate) fn stats(&self, breakers_open: u64) -> VaultStats {
        VaultStats {
            quota_refused: self.quota_refused.read(),
            breaker_refused: self.breaker_refused.read(),
            breakers_opened: self.breakers_opened.read(),
            breakers_open,
            retries: self.retries.read(),
            retries_refused: self.retries_refused.read(),
            throttled: self.throttled.read(),
        }
    }
}

impl Count {
    pub(crate) fn one_more(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

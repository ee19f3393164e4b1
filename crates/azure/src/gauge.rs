//! How much of a vault's documented limits is used: what is shown of it.

use std::time::Duration;

/// How much of a vault's limit for cryptographic calls one replica has used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    /// Calls a second that this replica made, on average over the last [`Gauge::WINDOW`], counted as unwraps with the vault's key.
    pub used_per_second: f64,
    /// Unwraps a second that this replica may make: its share of the vault's limit, less a margin.
    pub limit_per_second: f64,
    /// Whether the breaker keeps calls from the vault, as it does not answer.
    pub is_open: bool,
}

impl Gauge {
    /// Key Vault counts by spans of ten seconds.
    pub const WINDOW: Duration = Duration::from_secs(10);
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

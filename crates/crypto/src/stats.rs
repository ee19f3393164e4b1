//! Counters for metrics. They cost an atomic addition each; who exports them is not this crate's business.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a sealer has done since its start, and what it holds now. A snapshot for metrics: its numbers are not taken at
/// one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealerStats {
    /// Opens and rewraps whose data key was in the cache.
    pub cache_hits: u64,
    /// Opens and rewraps that had to wait for the vault.
    pub cache_misses: u64,
    /// Requests answered with a refusal that the vault gave a moment before.
    pub refusals_recalled: u64,
    /// Opens with a key past its TTL, under a tenant's outage grace.
    pub grace_opens: u64,
    /// Wraps asked of the vault.
    pub vault_wraps: u64,
    /// Unwraps asked of the vault.
    pub vault_unwraps: u64,
    /// Of both, those that the customer refused.
    pub vault_refusals: u64,
    /// Of both, those that failed otherwise.
    pub vault_failures: u64,
    /// Refusals that were asked about again, as they might pass.
    pub questions: u64,
    /// Uses of what is held that had to wait for the vault's word, as nobody was heard to watch.
    pub assurances: u64,
    /// Canaries that the vault was asked to unwrap, which are counted among the unwraps too.
    pub probes: u64,
    /// Rewraps that asked for no wrap: the data key's was at hand, or the envelope was under the version that wraps now.
    pub rewraps_recalled: u64,
    /// Times that keys were evicted: after a refusal, or as [`Sealer::evict`](crate::sealer::Sealer::evict) was called.
    pub evictions: u64,
    /// Unwrapped data keys held for opening, about.
    pub cached_data_keys: u64,
    /// Tenants with a lease, about.
    pub leases: u64,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters behind [`SealerStats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) cache_hits: Counter,
    pub(crate) cache_misses: Counter,
    pub(crate) refusals_recalled: Counter,
    pub(crate) grace_opens: Counter,
    pub(crate) vault_wraps: Counter,
    pub(crate) vault_unwraps: Counter,
    pub(crate) vault_refusals: Counter,
    pub(crate) vault_failures: Counter,
    pub(crate) questions: Counter,
    pub(crate) assurances: Counter,
    pub(crate) probes: Counter,
    pub(crate) rewraps_recalled: Counter,
    pub(crate) evictions: Counter,
}

impl Counters {
    /// What was counted; what is held is for the caller to fill in.
    pub(crate) fn snapshot(&self) -> SealerStats {
        SealerStats {
            cache_hits: self.cache_hits.get(),
            cache_misses: self.cache_misses.get(),
            refusals_recalled: self.refusals_recalled.get(),
            grace_opens: self.grace_opens.get(),
            vault_wraps: self.vault_wraps.get(),
            vault_unwraps: self.vault_unwraps.get(),
            vault_refusals: self.vault_refusals.get(),
            vault_failures: self.vault_failures.get(),
            questions: self.questions.get(),
            assurances: self.assurances.get(),
            probes: self.probes.get(),
            rewraps_recalled: self.rewraps_recalled.get(),
            evictions: self.evictions.get(),
            cached_data_keys: 0,
            leases: 0,
        }
    }
}

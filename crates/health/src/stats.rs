//! What a watch has done.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What a watch has done since its start, and how things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchStats {
    /// Looks after which a key was found to serve.
    pub looks_served: u64,
    /// Looks that the customer refused.
    pub looks_refused: u64,
    /// Looks in vain: the vault, or its directory, gave no answer or throttled.
    pub looks_in_vain: u64,
    /// Looks that failed by our own doing.
    pub looks_failed: u64,
    /// Withdrawals that others found out and this replica obeyed.
    pub withdrawals_obeyed: u64,
    /// Times that a part of the watch broke off, by a defect, and was begun anew.
    pub breaks: u64,
    /// Replicas that lived when it was last asked, this one among them.
    pub replicas: u32,
    /// Tenants of whom something is held here and whose keys are not known to be watched.
    pub mistrusted: u64,
    /// How long ago that was begun after which all was heard; since its start if nothing was.
    pub since_heard: Duration,
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) looks_served: AtomicU64,
    pub(crate) looks_refused: AtomicU64,
    pub(crate) looks_in_vain: AtomicU64,
    pub(crate) looks_failed: AtomicU64,
    pub(crate) withdrawals_obeyed: AtomicU64,
    pub(crate) breaks: AtomicU64,
    pub(crate) mistrusted: AtomicU64,
}

impl Counters {
    /// One more.
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// What was counted, with what is known otherwise.
    pub(crate) fn stats(&self, replicas: u32, since_heard: Duration) -> WatchStats {
        WatchStats {
            looks_served: self.looks_served.load(Relaxed),
            looks_refused: self.looks_refused.load(Relaxed),
            looks_in_vain: self.looks_in_vain.load(Relaxed),
            looks_failed: self.looks_failed.load(Relaxed),
            withdrawals_obeyed: self.withdrawals_obeyed.load(Relaxed),
            breaks: self.breaks.load(Relaxed),
            replicas,
            mistrusted: self.mistrusted.load(Relaxed),
            since_heard,
        }
    }
}

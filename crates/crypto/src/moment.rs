//! Points in time that fit an atomic, so that whoever looks at one takes no lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// What moments are counted from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch(Instant);

/// A point in time: in nanoseconds after an epoch, counted from 1. What was before the epoch counts as the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// The moment of something that may not have happened.
#[derive(Debug, Default)]
pub(crate) struct AtomicMoment(AtomicU64);

impl Epoch {
    /// Counts from this time on.
    pub(crate) fn at(now: Instant) -> Self {
        Self(now)
    }

    /// That time.
    pub(crate) fn moment(self, at: Instant) -> Moment {
        Moment(nanos(self.age(at)).saturating_add(1))
    }

    /// How long ago the epoch began.
    pub(crate) fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.0)
    }
}

impl Moment {
    /// So much later.
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl AtomicMoment {
    /// When it last happened, if it did.
    pub(crate) fn get(&self) -> Option<Moment> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Moment(nanos)),
        }
    }

    /// Notes that it happened then, unless it happened later.
    pub(crate) fn advance(&self, to: Moment) {
        self.0.fetch_max(to.0, Ordering::AcqRel);
    }

    /// Takes it that it did not happen. Whether it had, for one caller only.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0 && self.0.swap(0, Ordering::AcqRel) != 0
    }

    /// Takes it that it did not happen, if it last happened no later than then.
    pub(crate) fn settle(&self, until: Moment) {
        let happened = self.0.load(Ordering::Acquire);
        if happened != 0 && happened <= until.0 {
            // Failing, it happened again.
            let _ = self
                .0
                .compare_exchange(happened, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_before_the_settlement_is_settled_and_what_came_after_is_not() {
        let began = Instant::now();
        let epoch = Epoch::at(began);
        let [first, second, third] = [1, 2, 3].map(|seconds| epoch.moment(began + Duration::from_secs(seconds)));
        let happened = AtomicMoment::default();
        happened.advance(second);
        happened.advance(first);
        assert_eq!(happened.get(), Some(second), "it never goes back");
        happened.settle(first);
        assert_eq!(happened.get(), Some(second));
        happened.settle(third);
        assert_eq!(happened.get(), None);
    }

    #[test]
    fn the_epoch_itself_is_a_moment() {
        let began = Instant::now();
        let happened = AtomicMoment::default();
        happened.advance(Epoch::at(began).moment(began));
        assert!(happened.get().is_some());
        assert_eq!([(); 2].map(|()| happened.take()), [true, false]);
    }
}

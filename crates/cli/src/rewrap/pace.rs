//! When the next batch may be sent: not before the time that Keyferry, or the vault behind it, last asked for.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// What all batches under way share: whoever is told to wait has all of them wait, as they go to the same vault.
#[derive(Debug)]
pub(super) struct Pace {
    base: Duration,
    until: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits of at least `base` after a failure, and twice as long after each further one.
    pub(super) fn new(base: Duration) -> Self {
        Self {
            base,
            until: Mutex::new(None),
        }
    }

    /// Has all wait: as long as was asked for, and longer after several failures in a row.
    pub(super) fn hold(&self, asked: Option<Duration>, failures: u32) {
        let grown = self.base.saturating_mul(1 << failures.min(6));
        let wait = asked.unwrap_or_default().max(grown).min(LONGEST);
        let until = Instant::now() + wait;
        let mut held = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (*held).max(Some(until));
    }

    /// Waits until something may be sent; each a little longer than the last, so that they do not all come at once.
    pub(super) async fn ready(&self) {
        while let Some(wait) = self.held_for() {
            sleep_until(Instant::now() + wait + jitter(wait)).await;
        }
    }

    /// How long nothing may be sent, if that is so.
    pub(super) fn held_for(&self) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until?
            .checked_duration_since(Instant::now())
            .filter(|wait| !wait.is_zero())
    }
}

/// The longest wait: longer than Keyferry ever asks for, and no more than a clock can count.
const LONGEST: Duration = Duration::from_hours(24);

/// Up to a fifth of a wait.
fn jitter(wait: Duration) -> Duration {
    // Without randomness they come at once, and are told to wait again.
    let drawn = getrandom::u32().unwrap_or_default();
    (wait / 5).mul_f64(f64::from(drawn) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_before_the_time_that_was_asked_for() {
        let pace = Pace::new(Duration::from_millis(250));
        let begun = Instant::now();
        pace.ready().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        pace.hold(Some(Duration::from_secs(10)), 1);
        // A shorter one takes nothing back.
        pace.hold(None, 1);
        pace.ready().await;
        assert!((10..=12).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_answered_with_longer_waits() {
        let pace = Pace::new(Duration::from_millis(250));
        let mut last = Duration::ZERO;
        for failures in 1..=6 {
            let begun = Instant::now();
            pace.hold(None, failures);
            pace.ready().await;
            assert!(begun.elapsed() > last);
            last = begun.elapsed();
        }
    }
}

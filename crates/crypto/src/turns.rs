//! Whose turn it is to begin a call in the background: of many requests that see it is due, one.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Turns to begin something, with a pause after each.
#[derive(Default)]
pub(crate) struct Turns {
    /// In milliseconds of its owner's age: until then it is nobody's turn.
    quiet_until: AtomicU64,
}

impl Turns {
    /// Whether it is the caller's turn, its owner being `age` old. If so, it is nobody's for the next `pause`: the call
    /// may fail, and is not to be begun again by every request.
    pub(crate) fn claim(&self, age: Duration, pause: Duration) -> bool {
        let quiet_until = self.quiet_until.load(Ordering::Relaxed);
        let next = millis(age + pause);
        quiet_until <= millis(age)
            && self
                .quiet_until
                .compare_exchange(quiet_until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_turn_and_then_a_pause() {
        let turns = Turns::default();
        let pause = Duration::from_secs(5);
        let claimed = [0, 0, 4, 5, 5, 9, 20].map(|seconds| turns.claim(Duration::from_secs(seconds), pause));
        assert_eq!(claimed, [true, false, false, true, false, false, true]);
    }
}

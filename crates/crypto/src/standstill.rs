//! Time that passes while the machine stands still.
//!
//! Ages are told by a clock that nobody sets, and that stops while a machine is suspended or a virtual one is paused: a key
//! that came before is no older after an hour of it. The wall clock is right again soon after. So the two are compared, and
//! where the wall clock has run ahead, nobody knows how old anything is.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Compares the two clocks.
pub(crate) struct Standstill {
    wall: SystemTime,
    felt: Instant,
}

impl Standstill {
    /// Compares from now on.
    pub(crate) fn since(wall: SystemTime, felt: Instant) -> Self {
        Self { wall, felt }
    }

    /// Whether more time has passed than was felt. Told once of each standstill; short ones add up.
    pub(crate) fn is_noticed(&mut self, wall: SystemTime, felt: Instant) -> bool {
        let by_feeling = felt.saturating_duration_since(self.felt);
        let ahead = match wall.duration_since(self.wall) {
            Ok(by_wall) => by_wall.checked_sub(by_feeling),
            Err(_set_back) => None,
        };
        let is_noticed = ahead.is_some_and(|ahead| ahead > TOLERANCE);
        // A wall clock that lags, or was set back, must not hide the next standstill.
        if is_noticed || ahead.is_none() {
            *self = Self::since(wall, felt);
        }
        is_noticed
    }
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the wall clock in this crate"
)]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// By how much the clocks may differ: they never go quite alike, and the wall clock is corrected bit by bit.
const TOLERANCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    /// What is noticed at each step, of so many seconds by the wall clock and by feeling.
    fn noticed<const N: usize>(steps: [(i64, u64); N]) -> [bool; N] {
        let (mut wall, mut felt) = (SystemTime::UNIX_EPOCH + Duration::from_hours(1), Instant::now());
        let mut standstill = Standstill::since(wall, felt);
        steps.map(|(by_wall, by_feeling)| {
            let step = Duration::from_secs(by_wall.unsigned_abs());
            wall = if by_wall < 0 { wall - step } else { wall + step };
            felt += Duration::from_secs(by_feeling);
            standstill.is_noticed(wall, felt)
        })
    }

    #[test]
    fn a_standstill_is_noticed_once() {
        assert_eq!(noticed([(1, 1), (3600, 1), (1, 1)]), [false, true, false]);
    }

    #[test]
    fn short_ones_add_up() {
        assert_eq!(noticed([(2, 1), (2, 1), (2, 1), (2, 1)]), [false, false, true, false]);
    }

    #[test]
    fn a_clock_that_lags_or_is_set_back_is_no_standstill_and_hides_none() {
        assert_eq!(noticed([(1, 10), (-1800, 1), (60, 1)]), [false, false, true]);
    }
}

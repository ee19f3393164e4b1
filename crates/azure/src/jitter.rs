//! Times drawn at random, so that many do not do the same thing at the same moment.

use std::time::Duration;

/// A time between the two. Without randomness from the operating system, the later: nothing secret hangs on it.
pub(crate) fn between(earliest: Duration, latest: Duration) -> Duration {
    let Ok(drawn) = getrandom::u32() else { return latest };
    let share = f64::from(drawn) / f64::from(u32::MAX);
    earliest + latest.saturating_sub(earliest).mul_f64(share)
}

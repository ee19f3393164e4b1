//! A duration that is written as a number of seconds, whole or not.

use std::time::Duration;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected},
};

/// Reads one, for `#[serde(with = "seconds")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let refused = || D::Error::invalid_value(Unexpected::Other("something else"), &EXPECTED);
    let seconds = f64::deserialize(deserializer).map_err(|_| refused())?;
    if seconds > LONGEST {
        return Err(refused());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| refused())
}

const EXPECTED: &str = "a number of seconds, from 0 to 4294967295";
/// A century and more: longer ones only make timers overflow.
const LONGEST: f64 = 4_294_967_295.0;

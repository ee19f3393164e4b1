//! Times spread out, so that what came together does not end together.
//!
//! By how much hangs on the moment at which something came, to the nanosecond, and is not drawn: so a simulation that turns the
//! clock can be run again. Nothing secret hangs on it.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

/// From 0 to 255 parts of 256, for what came so long after the first.
pub(crate) fn parts(came: Duration) -> u32 {
    let mut hasher = DefaultHasher::new();
    came.hash(&mut hasher);
    let [parts, ..] = hasher.finish().to_be_bytes();
    u32::from(parts)
}

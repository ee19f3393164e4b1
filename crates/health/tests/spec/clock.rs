//! The wall clock of a test: it goes with tokio's, which the test turns.

use std::cell::Cell;

use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Begins a test's time, which is its thread's.
pub(crate) fn begin() {
    START.set(Some(Instant::now()));
}

pub(crate) fn clock() -> OffsetDateTime {
    let start = START.get().expect("a test's time has begun");
    datetime!(2026-07-01 12:00 UTC) + start.elapsed()
}

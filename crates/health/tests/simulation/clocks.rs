//! The wall clocks of the machines, which differ.

use std::cell::Cell;

use keyferry_registry::Clock;
use time::{Duration, OffsetDateTime};

use crate::clock::clock;

/// How many machines there may be.
pub(crate) const MACHINES: usize = 4;

thread_local! {
    /// By how many milliseconds each is ahead of the registry's.
    static AHEAD: Cell<[i64; MACHINES]> = const { Cell::new([0; MACHINES]) };
}

pub(crate) fn differ_by(millis: [i64; MACHINES]) {
    AHEAD.set(millis);
}

pub(crate) fn of_machine(machine: usize) -> Clock {
    let all: [Clock; MACHINES] = [read::<0>, read::<1>, read::<2>, read::<3>];
    all[machine]
}

fn read<const MACHINE: usize>() -> OffsetDateTime {
    clock() + Duration::milliseconds(AHEAD.get()[MACHINE])
}

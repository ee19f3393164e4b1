//! Numbers from a seed: splitmix64.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    time::Duration,
};

#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Those for one thing among many, whatever was rolled for others before.
    pub(crate) fn for_the(what: impl Hash, seed: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, what).hash(&mut hasher);
        Self(hasher.finish())
    }

    /// One of so many numbers, from 0 on.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub(crate) fn place(&mut self, places: usize) -> usize {
        usize::try_from(self.roll(places as u64)).expect("one of them")
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.place(all.len())]
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    /// Whole milliseconds.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).expect("short");
        least + Duration::from_millis(self.roll(span + 1))
    }
}

#[test]
fn a_seed_makes_the_same_of_the_same() {
    let rolls = |seed| {
        let mut dice = Dice::of(seed);
        std::iter::repeat_with(|| dice.roll(1_000)).take(10).collect::<Vec<_>>()
    };
    assert_eq!(rolls(7), rolls(7));
    assert_ne!(rolls(7), rolls(8));
}

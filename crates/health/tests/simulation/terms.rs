//! What the bound is made of, in the letters of `docs/revocation.md`: the configuration's values if left out, and others that go together.

use std::time::Duration;

use keyferry_health::HealthConfig;
use serde::{
    Deserialize as _,
    de::value::{Error, MapDeserializer},
};

use crate::dice::Dice;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// P.
    pub(crate) period: Duration,
    /// L.
    lease: Duration,
    /// H.
    pub(crate) hearing: Duration,
    /// T.
    pub(crate) try_limit: Duration,
    /// C.
    pub(crate) confirmation: Duration,
}

impl Terms {
    /// Whole seconds.
    const fn of(period: u64, lease: u64, hearing: u64, try_limit: u64, confirmation: u64) -> Self {
        Self {
            period: Duration::from_secs(period),
            lease: Duration::from_secs(lease),
            hearing: Duration::from_secs(hearing),
            try_limit: Duration::from_secs(try_limit),
            confirmation: Duration::from_secs(confirmation),
        }
    }

    pub(crate) fn any(dice: &mut Dice) -> Self {
        dice.one_of(&ALL)
    }

    /// As it is configured.
    pub(crate) fn health(&self) -> HealthConfig {
        let spans = [
            ("period_seconds", self.period),
            ("lease_seconds", self.lease),
            ("hearing_seconds", self.hearing),
        ];
        let fields = spans.map(|(field, span)| (field, span.as_secs_f64()));
        let config = HealthConfig::deserialize(MapDeserializer::<_, Error>::new(fields.into_iter()));
        let config = config.expect("a configuration");
        config.check().expect("one that is accepted");
        config
    }

    /// How often the feed is read: well below H.
    pub(crate) fn poll(&self) -> Duration {
        (self.hearing / 5).min(SECOND * 2)
    }

    /// W.
    pub(crate) fn watched_within(&self) -> Duration {
        self.period + self.lease + self.try_limit
    }

    /// The bound of a replica that hears: W + T + C + H.
    pub(crate) fn hears(&self) -> Duration {
        self.watched_within() + self.try_limit + self.confirmation + self.hearing
    }

    /// That of one that is deaf: the longer of P and H, + T + C.
    pub(crate) fn deaf(&self) -> Duration {
        self.period.max(self.hearing) + self.try_limit + self.confirmation
    }

    /// Within which all serves again, once nothing is wrong any more.
    pub(crate) fn aftermath(&self) -> Duration {
        (SECOND * 45).max(self.period + SECOND * 15)
    }
}

/// P, L, H, T and C.
const ALL: [Terms; 8] = [
    // As if left out.
    Terms::of(30, 10, 10, 8, 3),
    Terms::of(30, 10, 10, 8, 3),
    Terms::of(30, 10, 10, 8, 3),
    // The example of the document.
    Terms::of(10, 5, 5, 3, 2),
    // All short.
    Terms::of(5, 4, 4, 2, 1),
    // Who is dead is missed late, and what is refused is believed at once.
    Terms::of(15, 40, 8, 5, 0),
    // It counts for longer that others were heard than that the vault was asked.
    Terms::of(10, 10, 30, 4, 3),
    // All long.
    Terms::of(60, 15, 15, 10, 5),
];

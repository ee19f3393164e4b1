//! Times spread out, so that many keys are not looked at at the same moment.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use time::OffsetDateTime;

/// Up to a tenth shorter than `pause`; never longer, as others rely on it.
pub(crate) fn shortened(pause: Duration, tenant: TenantId, now: OffsetDateTime) -> Duration {
    pause.mul_f64(1.0 - share(tenant, now) / 10.0)
}

/// Anything from a quarter of `pause` on: what began together is spread out.
pub(crate) fn spread(pause: Duration, tenant: TenantId, now: OffsetDateTime) -> Duration {
    pause.mul_f64(1.0 - share(tenant, now) * 0.75)
}

/// From 0 to 1, another one for each tenant and each time. It is not drawn, so that a test can be run again; nothing secret
/// hangs on it.
fn share(tenant: TenantId, now: OffsetDateTime) -> f64 {
    let mut hasher = DefaultHasher::new();
    (tenant, now.unix_timestamp_nanos()).hash(&mut hasher);
    let [high, low, ..] = hasher.finish().to_be_bytes();
    f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_pause_is_shortened_by_a_tenth_at_most_and_never_grows() {
        let pause = Duration::from_secs(100);
        let pauses: Vec<_> = (0..1_000)
            .map(|id| shortened(pause, TenantId(Uuid::from_u128(id)), datetime!(2026-07-01 12:00 UTC)))
            .collect();
        assert!(pauses.iter().all(|&each| each <= pause && each >= pause.mul_f64(0.9)));
        let early = pauses.iter().filter(|&&each| each < pause.mul_f64(0.95)).count();
        assert!((400..600).contains(&early), "{early} of 1,000 in the earlier half");
    }

    #[test]
    fn what_began_together_is_spread_over_three_quarters() {
        let pause = Duration::from_secs(100);
        let of = |id| spread(pause, TenantId(Uuid::from_u128(id)), datetime!(2026-07-01 12:00 UTC));
        let (shortest, longest) = ((0..1_000).map(of).min(), (0..1_000).map(of).max());
        assert!(
            shortest.is_some_and(|pause| (25..27).contains(&pause.as_secs())),
            "{shortest:?}"
        );
        assert!(
            longest.is_some_and(|longest| longest <= pause && longest.as_secs() >= 98),
            "{longest:?}"
        );
    }
}

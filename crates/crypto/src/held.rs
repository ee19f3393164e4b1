//! One unwrapped data key in memory, and how long it may be used.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    aead::NotAuthentic,
    commitment::Commitment,
    envelope::Wrapping,
    id::{DataKeyId, TenantId},
    jitter,
    secret::DataKey,
    standing::Standing,
    tenant::SealingPolicy,
    turns::{Turns, millis},
};

/// An unwrapped data key in memory.
pub(crate) struct HeldKey {
    data_key: DataKey,
    /// The id and the commitment that were found to be the key's. Most envelopes after the first carry the same.
    proven: OnceLock<(DataKeyId, Commitment)>,
    standing: Arc<Standing>,
    timing: Timing,
}

struct Timing {
    made: Instant,
    ttl: Duration,
    /// How long after `made` the memory may be kept.
    kept: Duration,
    /// Whose turn it is to ask the vault in the background.
    revalidation: Turns,
    /// In milliseconds after `made`: until then the vault is taken to be unavailable.
    outage_until: AtomicU64,
}

/// What may be done with a held key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Use it.
    Fresh,
    /// Use it, and ask the vault in the background whether it still gives the key.
    Aging,
    /// Use it only if the vault turns out to be unavailable.
    Grace,
    /// Use it no more.
    Past,
}

impl HeldKey {
    /// Holds a key that the vault gave to a call that began at `asked`. From then on it is counted, as the vault may have answered
    /// at any time since.
    pub(crate) fn new(data_key: DataKey, standing: Arc<Standing>, policy: &SealingPolicy, asked: Instant) -> Self {
        let ttl = jittered(policy.cache_ttl.min(SealingPolicy::MAX_CACHE_TTL), standing.age(asked));
        Self {
            data_key,
            proven: OnceLock::new(),
            standing,
            timing: Timing {
                made: asked,
                ttl,
                kept: ttl + policy.outage_grace.min(SealingPolicy::MAX_OUTAGE_GRACE),
                revalidation: Turns::default(),
                outage_until: AtomicU64::new(0),
            },
        }
    }

    /// The key.
    pub(crate) fn data_key(&self) -> &DataKey {
        &self.data_key
    }

    /// How long it may stay in memory from now on: until its TTL, and the outage grace, are over.
    pub(crate) fn kept_for(&self) -> Duration {
        self.timing.kept.saturating_sub(self.timing.made.elapsed())
    }

    /// Whether it may be kept at all.
    pub(crate) fn may_be_kept(&self) -> bool {
        !self.timing.ttl.is_zero() && !self.is_withdrawn()
    }

    /// Whether it must not be used any more, whatever its age.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.standing.is_withdrawn()
    }

    /// The standing under which the vault was, or would be, asked to unwrap it.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// What may be done with the key under the tenant's present policy, which may be stricter than when it came.
    pub(crate) fn freshness(&self, policy: &SealingPolicy, now: Instant) -> Freshness {
        let ttl = self.timing.ttl.min(policy.cache_ttl);
        let age = self.timing.age(now);
        let grace = policy.outage_grace.min(SealingPolicy::MAX_OUTAGE_GRACE);
        if self.is_withdrawn() || ttl.is_zero() || age >= ttl + grace {
            Freshness::Past
        } else if age >= ttl {
            Freshness::Grace
        } else if age >= ttl * 4 / 5 {
            Freshness::Aging
        } else {
            Freshness::Fresh
        }
    }

    /// Requires that an envelope's commitment is to this key, under the id and the KEK that the envelope names.
    pub(crate) fn prove(&self, tenant: TenantId, wrapping: &Wrapping<'_>) -> Result<(), NotAuthentic> {
        if let Some((kid, commitment)) = self.proven.get()
            && *kid == wrapping.kid
            && commitment.is_in(wrapping)
        {
            return Ok(());
        }
        let commitment = Commitment::to(&self.data_key, tenant, wrapping.kid, wrapping.kek);
        if !commitment.is_in(wrapping) {
            return Err(NotAuthentic);
        }
        self.proven.get_or_init(|| (wrapping.kid, commitment));
        Ok(())
    }

    /// Whether the caller is the one to ask the vault in the background now; for a while nobody else is.
    pub(crate) fn claims_revalidation(&self, now: Instant) -> bool {
        self.timing.revalidation.claim(self.timing.age(now), REVALIDATION_PAUSE)
    }

    /// Notes that the vault was asked for this key and is unavailable, which counts for so long.
    pub(crate) fn note_outage(&self, now: Instant, memory: Duration) {
        let until = millis(self.timing.age(now) + memory);
        self.timing.outage_until.store(until, Ordering::Relaxed);
    }

    /// Whether the vault was found unavailable a moment ago.
    pub(crate) fn is_in_outage(&self, now: Instant) -> bool {
        millis(self.timing.age(now)) < self.timing.outage_until.load(Ordering::Relaxed)
    }
}

impl Timing {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.made)
    }
}

/// Up to a tenth less, so that keys that came together do not expire together; never more.
fn jittered(ttl: Duration, came: Duration) -> Duration {
    ttl * (2560 - jitter::parts(came)) / 2560
}

/// How long a key is not revalidated again after someone began to.
pub(crate) const REVALIDATION_PAUSE: Duration = Duration::from_secs(5);
/// The longest after a failed call that a key in grace is used without waiting for another. Longer than a call may take to fail
/// plus [`REVALIDATION_PAUSE`], so that in an outage a key in hot use waits once, not again and again.
pub(crate) const OUTAGE_MEMORY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_shortens_and_by_a_tenth_at_most() {
        let ttl = Duration::from_mins(5);
        let jittered: Vec<_> = (0..1000)
            .map(|came| jittered(ttl, Duration::from_nanos(came)))
            .collect();
        assert!(
            jittered
                .iter()
                .all(|&jittered| jittered <= ttl && jittered >= ttl * 9 / 10)
        );
        let early = jittered.iter().filter(|&&each| each < ttl * 19 / 20).count();
        assert!((400..600).contains(&early), "{early} of 1,000 in the earlier half");
    }
}

//! Unwrapped data keys, kept for opening, and refusals, kept so that they are not asked for again and again.
//!
//! A key's time runs from when the vault gave it, never from its last use; so a customer's withdrawal takes effect within
//! the TTL however busy the key is. Which keys may be used is decided here, by tokio's clock and by their [`Standing`];
//! the cache library only bounds their number and removes them in time. Nothing in it is believed for being there.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::{Expiry, ops::compute::Op, sync::Cache};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    aead::NotAuthentic,
    commitment::Commitment,
    envelope::Wrapping,
    id::{DataKeyId, TenantId},
    random,
    secret::DataKey,
    standing::{Standing, StandingId},
    tenant::SealingPolicy,
    vault::VaultError,
};

/// Where a data key is kept: SHA-256 of tenant id, KEK identifier and wrapped bytes. So it is found only by the tenant
/// and under the KEK that it was unwrapped for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot([u8; 32]);

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
    /// In milliseconds after `made`: until then nobody begins another background call for this key.
    quiet_until: AtomicU64,
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

/// All that is kept for opening.
pub(crate) struct KeyCache {
    keys: Cache<Slot, Arc<HeldKey>>,
    refusals: Cache<Refused, Arc<Refusal>>,
}

/// What was refused: all under a standing, or one wrapped key.
type Refused = (StandingId, Option<Slot>);

struct Refusal {
    error: VaultError,
    until: Instant,
    /// Held, so that the same standing is found as long as the refusal is remembered.
    _standing: Arc<Standing>,
}

impl Slot {
    /// Where the data key of `wrapping` is kept.
    pub(crate) fn of(tenant: TenantId, wrapping: &Wrapping<'_>) -> Self {
        let hash = Sha256::new()
            .chain_update(tenant.as_bytes())
            .chain_update((wrapping.kek.len() as u64).to_be_bytes())
            .chain_update(wrapping.kek)
            .chain_update(wrapping.wrapped);
        Self(hash.finalize().into())
    }
}

impl HeldKey {
    /// Holds a key that the vault gave just now.
    pub(crate) fn new(data_key: DataKey, standing: Arc<Standing>, policy: &SealingPolicy) -> Self {
        let ttl = jittered(policy.cache_ttl.min(SealingPolicy::MAX_CACHE_TTL));
        Self {
            data_key,
            proven: OnceLock::new(),
            standing,
            timing: Timing {
                made: Instant::now(),
                ttl,
                kept: ttl + policy.outage_grace.min(SealingPolicy::MAX_OUTAGE_GRACE),
                quiet_until: AtomicU64::new(0),
                outage_until: AtomicU64::new(0),
            },
        }
    }

    /// The key.
    pub(crate) fn data_key(&self) -> &DataKey {
        &self.data_key
    }

    /// Whether it must not be used any more, whatever its age.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.standing.is_withdrawn()
    }

    /// What may be done with the key under the tenant's present policy, which may be stricter than when it came.
    pub(crate) fn freshness(&self, policy: &SealingPolicy, now: Instant) -> Freshness {
        let ttl = self.timing.ttl.min(policy.cache_ttl);
        let age = now.saturating_duration_since(self.timing.made);
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
        let now = self.timing.millis(now);
        let quiet_until = self.timing.quiet_until.load(Ordering::Relaxed);
        let next = now + millis(REVALIDATION_PAUSE);
        let claim = || {
            let swapped =
                self.timing
                    .quiet_until
                    .compare_exchange(quiet_until, next, Ordering::Relaxed, Ordering::Relaxed);
            swapped.is_ok()
        };
        quiet_until <= now && claim()
    }

    /// Notes that the vault was asked for this key and is unavailable.
    pub(crate) fn note_outage(&self, now: Instant) {
        let until = self.timing.millis(now) + millis(OUTAGE_MEMORY);
        self.timing.outage_until.store(until, Ordering::Relaxed);
    }

    /// Whether the vault was found unavailable a moment ago.
    pub(crate) fn is_in_outage(&self, now: Instant) -> bool {
        self.timing.millis(now) < self.timing.outage_until.load(Ordering::Relaxed)
    }
}

impl Timing {
    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.made))
    }
}

impl KeyCache {
    pub(crate) fn new(max_keys: u64, max_refusals: u64) -> Self {
        Self {
            keys: Cache::builder().max_capacity(max_keys).expire_after(WhenKept).build(),
            refusals: Cache::builder()
                .max_capacity(max_refusals)
                .time_to_live(REFUSAL_TTL)
                .build(),
        }
    }

    /// The key held there, whatever its age.
    pub(crate) fn get(&self, slot: &Slot) -> Option<Arc<HeldKey>> {
        self.keys.get(slot)
    }

    /// Keeps a key as long as it says, in place of an older one.
    pub(crate) fn insert(&self, slot: Slot, key: Arc<HeldKey>) {
        if !key.timing.ttl.is_zero() && !key.is_withdrawn() {
            self.keys.insert(slot, key);
        }
    }

    /// How many keys are held, about.
    pub(crate) fn len(&self) -> u64 {
        self.keys.entry_count()
    }

    /// What the vault refused a moment ago under this standing, for every key or for this one.
    pub(crate) fn refusal(&self, standing: &Standing, slot: Option<Slot>, now: Instant) -> Option<VaultError> {
        let remembered = |refused: &Refused| {
            let refusal = self.refusals.get(refused)?;
            (now < refusal.until).then(|| refusal.error.clone())
        };
        remembered(&(standing.id(), None)).or_else(|| remembered(&(standing.id(), Some(slot?))))
    }

    /// Remembers a refusal for [`REFUSAL_TTL`]: of every key under a standing, or of the one in `slot`.
    pub(crate) fn remember(&self, standing: Arc<Standing>, slot: Option<Slot>, error: VaultError) {
        let refused = (standing.id(), slot);
        let refusal = Refusal {
            error,
            until: Instant::now() + REFUSAL_TTL,
            _standing: standing,
        };
        self.refusals.insert(refused, Arc::new(refusal));
    }

    /// Removes what has expired.
    pub(crate) fn remove_expired(&self) {
        self.keys.run_pending_tasks();
        self.refusals.run_pending_tasks();
    }

    /// Removes the keys that were withdrawn. Looks at all of them, and lets others work in between.
    pub(crate) async fn remove_withdrawn(&self) {
        for (position, (slot, key)) in self.keys.iter().enumerate() {
            if key.is_withdrawn() {
                self.keys.entry_by_ref(&*slot).and_compute_with(|entry| match entry {
                    Some(entry) if entry.value().is_withdrawn() => Op::Remove,
                    Some(_) | None => Op::Nop,
                });
            }
            if position % 256 == 255 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Tells the cache library when to remove a key.
struct WhenKept;

impl Expiry<Slot, Arc<HeldKey>> for WhenKept {
    fn expire_after_create(&self, _: &Slot, key: &Arc<HeldKey>, _: std::time::Instant) -> Option<Duration> {
        Some(key.timing.kept)
    }

    /// A key that replaces another has its own time. (The library's default would leave it the other's.)
    fn expire_after_update(
        &self,
        _: &Slot,
        key: &Arc<HeldKey>,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(key.timing.kept)
    }
}

/// Up to a tenth less, so that keys that came together do not expire together; never more.
fn jittered(ttl: Duration) -> Duration {
    let [random] = random::array().unwrap_or([0]);
    ttl * (2560 - u32::from(random)) / 2560
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long a refusal is remembered: long enough to spare the vault, short enough that a customer who has put things
/// right does not notice.
const REFUSAL_TTL: Duration = Duration::from_secs(5);
/// How long a key is not revalidated again after someone began to.
const REVALIDATION_PAUSE: Duration = Duration::from_secs(5);
/// How long after a failed call a key in grace is used without waiting for another. Longer than a call may take to fail
/// plus [`REVALIDATION_PAUSE`], so that in an outage a key in hot use waits once, not again and again.
const OUTAGE_MEMORY: Duration = Duration::from_secs(30);

//! A lease: the span in which one replica seals a tenant's messages with one data key.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::{Expiry, policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use crate::{
    commitment::Commitment,
    envelope::Wrapping,
    held::HeldKey,
    id::{DataKeyId, DirectoryId, KekId, KeyRef, TenantId},
    jitter,
    secret::DataKey,
    standing::Standing,
    tenant::{Route, SealingPolicy, TenantKeys, VersionPolicy},
    turns::Turns,
    vault::WrappedDataKey,
};

/// A data key to seal with, and how long.
pub(crate) struct Lease {
    held: Arc<HeldKey>,
    kid: DataKeyId,
    wrapped: WrappedDataKey,
    kek: Box<str>,
    commitment: Commitment,
    terms: Terms,
    standing: Arc<Standing>,
    made: Instant,
    renew_at: Instant,
    taken: AtomicU64,
    /// Whose turn it is to renew.
    renewal: Turns,
}

/// What a lease was made under. When any of it changes, the next message needs a new lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    directory: DirectoryId,
    key: KeyRef,
    version: VersionPolicy,
    policy: SealingPolicy,
    route: Route,
}

/// What was taken from a lease: one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// And there is more.
    Plenty,
    /// And the lease should be renewed. It is the caller's turn to see to that.
    RenewalDue,
}

/// The tenants' leases on this replica.
pub(crate) struct Leases(Cache<TenantId, Arc<Lease>>);

impl Terms {
    pub(crate) fn of(tenant: &TenantKeys) -> Self {
        Self {
            directory: tenant.directory,
            key: tenant.current.clone(),
            version: tenant.version.clone(),
            policy: tenant.policy,
            route: tenant.route,
        }
    }

    fn are_those_of(&self, tenant: &TenantKeys) -> bool {
        self.key == tenant.current
            && self.version == tenant.version
            && self.policy == tenant.policy
            && self.route == tenant.route
            && self.directory == tenant.directory
    }
}

impl Lease {
    /// A lease of `held`, a new data key that was wrapped by a call that began at `asked`. From then on it is counted, as the
    /// vault may have answered at any time since.
    pub(crate) fn new(
        tenant: &TenantKeys,
        held: Arc<HeldKey>,
        kid: DataKeyId,
        wrapped: WrappedDataKey,
        standing: Arc<Standing>,
        asked: Instant,
    ) -> Self {
        let kek: Box<str> = wrapped.kek.to_string().into();
        let renew_at = asked + renewal_age(max_age(&tenant.policy), standing.age(asked));
        Self {
            commitment: Commitment::to(held.data_key(), tenant.tenant, kid, &kek),
            held,
            kid,
            wrapped,
            kek,
            terms: Terms::of(tenant),
            standing,
            made: asked,
            renew_at,
            taken: AtomicU64::new(0),
            renewal: Turns::default(),
        }
    }

    /// The data key.
    pub(crate) fn data_key(&self) -> &DataKey {
        self.held.data_key()
    }

    /// What an envelope says about the data key.
    pub(crate) fn wrapping(&self) -> Wrapping<'_> {
        Wrapping {
            kid: self.kid,
            kek: &self.kek,
            wrapped: &self.wrapped.bytes,
            commitment: self.commitment.as_bytes(),
        }
    }

    /// The key encryption key that wraps the data key.
    pub(crate) fn kek(&self) -> &KekId {
        &self.wrapped.kek
    }

    /// Whether it must not be used before it is known whether it still may.
    pub(crate) fn is_in_question(&self) -> bool {
        self.standings().iter().any(|standing| standing.is_in_question())
    }

    /// What a vault is asked to unwrap to have the data key again.
    pub(crate) fn to_unwrap(&self) -> &WrappedDataKey {
        &self.wrapped
    }

    /// The standings under which the data key was wrapped, and was or would be unwrapped.
    pub(crate) fn standings(&self) -> [&Arc<Standing>; 2] {
        [&self.standing, self.held.standing()]
    }

    /// The lease's data key as it is held for opening.
    pub(crate) fn held(&self) -> &Arc<HeldKey> {
        &self.held
    }

    /// The same lease under another standing, with as many messages as this one has left. This one has none any more.
    pub(crate) fn moved_to(&self, standing: Arc<Standing>) -> Self {
        let max = self.terms.policy.lease_max_messages;
        Self {
            held: Arc::clone(&self.held),
            kid: self.kid,
            wrapped: self.wrapped.clone(),
            kek: self.kek.clone(),
            commitment: self.commitment.clone(),
            terms: self.terms.clone(),
            standing,
            made: self.made,
            renew_at: self.renew_at,
            taken: AtomicU64::new(self.taken.swap(max, Ordering::Relaxed).min(max)),
            renewal: Turns::default(),
        }
    }

    /// Takes one message, if the lease has one left.
    pub(crate) fn take(&self, now: Instant) -> Option<Taken> {
        let max = self.terms.policy.lease_max_messages;
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if taken > max {
            return None;
        }
        // With one message to a data key there is nothing to renew: a spare would be wrapped for a message that may
        // never come.
        let due = max > 1 && (now >= self.renew_at || taken >= max - max / 5);
        if due
            && self
                .renewal
                .claim(now.saturating_duration_since(self.made), RENEWAL_PAUSE)
        {
            Some(Taken::RenewalDue)
        } else {
            Some(Taken::Plenty)
        }
    }

    /// Whether all its messages are taken.
    fn is_used_up(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.terms.policy.lease_max_messages
    }

    /// Whether the tenant may still seal with this.
    fn is_usable_for(&self, tenant: &TenantKeys, now: Instant) -> bool {
        !self.is_withdrawn()
            && !self.is_used_up()
            && now < self.made + max_age(&self.terms.policy)
            && self.terms.are_those_of(tenant)
    }

    /// How long it may stay in memory from now on: until its age is over.
    fn kept_for(&self) -> Duration {
        max_age(&self.terms.policy).saturating_sub(self.made.elapsed())
    }

    /// Whether nobody may seal with this any more, as its key was refused or is another.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.standing.is_withdrawn() || self.held.is_withdrawn()
    }
}

impl Leases {
    pub(crate) fn new(max: u64) -> Self {
        let leases = Cache::builder()
            .max_capacity(max)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(WhenOver);
        Self(leases.build())
    }

    /// The tenant's lease, if it may be used.
    pub(crate) fn usable(&self, tenant: &TenantKeys, now: Instant) -> Option<Arc<Lease>> {
        self.0
            .get(&tenant.tenant)
            .filter(|lease| lease.is_usable_for(tenant, now))
    }

    /// Puts a lease in place of the tenant's former one.
    pub(crate) fn insert(&self, tenant: TenantId, lease: &Arc<Lease>) {
        if !lease.is_withdrawn() {
            self.0.insert(tenant, Arc::clone(lease));
            // Withdrawn in between, it may have been too late for those that were looked for then.
            if lease.is_withdrawn() {
                self.0.invalidate(&tenant);
            }
        }
    }

    /// Drops the tenant's lease.
    pub(crate) fn remove(&self, tenant: &TenantId) {
        self.0.invalidate(tenant);
    }

    /// How many there are, about.
    pub(crate) fn len(&self) -> u64 {
        self.0.entry_count()
    }

    /// Removes what is over.
    pub(crate) fn remove_expired(&self) {
        self.0.run_pending_tasks();
    }

    /// Removes the leases that were withdrawn.
    pub(crate) fn remove_withdrawn(&self) {
        for (tenant, lease) in &self.0 {
            if lease.is_withdrawn() {
                self.0.invalidate(&*tenant);
            }
        }
    }
}

/// Tells the cache library when to remove a lease.
struct WhenOver;

impl Expiry<TenantId, Arc<Lease>> for WhenOver {
    fn expire_after_create(&self, _: &TenantId, lease: &Arc<Lease>, _: std::time::Instant) -> Option<Duration> {
        Some(lease.kept_for())
    }

    /// A lease that replaces another has its own time. (The library's default would leave it the other's.)
    fn expire_after_update(
        &self,
        _: &TenantId,
        lease: &Arc<Lease>,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(lease.kept_for())
    }
}

/// The longest that a lease may serve under a policy.
pub(crate) fn max_age(policy: &SealingPolicy) -> Duration {
    policy.lease_max_age.min(SealingPolicy::MAX_LEASE_AGE)
}

/// Between seven and eight tenths of the longest age, so that leases made together are not renewed together.
fn renewal_age(max_age: Duration, came: Duration) -> Duration {
    max_age * (2048 - jitter::parts(came)) / 2560
}

/// How long a lease is not renewed again after someone began to.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);

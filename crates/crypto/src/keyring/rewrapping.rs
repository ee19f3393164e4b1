//! Rewrapping: a data key is wrapped once, however many envelopes carry it.
//!
//! What a data key was wrapped to is kept under the standing that it was wrapped under, so that an eviction, a refusal or a newer
//! version ends it; and it is given out only while the standing under which it would be opened stands, and the vault has
//! unwrapped under that version no longer ago than the tenant lets a lease last. It is a wrapped key, and no secret.
//!
//! An envelope that is under the version that wraps now comes back as it is, if that version is proven as lately: so whoever rewraps
//! the same again changes nothing. Which version wraps now is what a wrap of the last ten seconds was done under, and not what
//! was heard of; so a customer that rotates its key and rewraps at once is not told for long that nothing is to be done, and
//! many such envelopes cost a wrap in ten seconds. Whose an envelope is must be proven all the same: its data key is unwrapped,
//! if it is not in the cache.
//!
//! Whoever rewraps has very many. So all that is asked for it is asked as in bulk, and leaves the tenant's other calls their places.

use std::{sync::Arc, time::Duration};

use moka::{Expiry, sync::Cache};
use tokio::time::Instant;

use super::{
    Keyring, lost,
    proving::{Proof, Proven, proof_age},
};
use crate::{
    cache::Slot,
    envelope::Wrapping,
    held::HeldKey,
    id::KekId,
    lease::{self, Terms},
    standing::{Standing, StandingId},
    tenant::TenantKeys,
    vault::{Urgency, VaultError, WrappedDataKey},
};

/// Which data key, by its former wrapping; and under what it is wrapped.
pub(super) type Rewrapping = (Slot, StandingId, Terms);

/// What data keys were wrapped to.
pub(super) struct Rewraps(Cache<Rewrapping, Arc<Rewrapped>>);

/// What a data key was wrapped to.
pub(super) struct Rewrapped {
    wrapped: WrappedDataKey,
    standing: Arc<Standing>,
    /// The standing under which it would be opened.
    opening: Arc<Standing>,
    made: Instant,
    kept_for: Duration,
}

impl Keyring {
    /// A data key under the version of the tenant's current key that wraps now; `held` is it, as it came out of `wrapping` under
    /// `kek`. `None` if that is under this version already.
    pub(crate) async fn rewrapped(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        held: &Arc<HeldKey>,
        kek: &KekId,
        wrapping: &Wrapping<'_>,
    ) -> Result<Option<WrappedDataKey>, VaultError> {
        if self.is_current(tenant, kek) {
            self.counters.rewraps_recalled.count();
            return Ok(None);
        }
        let standing = self.wrapping_standing(tenant).await?;
        let rewrapping = (Slot::of(tenant, wrapping), standing.id(), Terms::of(tenant));
        if let Some(rewrapped) = self.recalled(tenant, &rewrapping) {
            self.counters.rewraps_recalled.count();
            return Ok(Some(rewrapped.wrapped.clone()));
        }
        let landed = || self.recalled(tenant, &rewrapping).map(Ok);
        let flight = self.new_rewraps.join(rewrapping.clone(), landed, || {
            let (keyring, tenant, held) = (Arc::clone(self), tenant.clone(), Arc::clone(held));
            let rewrapping = rewrapping.clone();
            async move { keyring.rewrap(&tenant, standing, &held, rewrapping).await }
        });
        let rewrapped = flight.landing().await.unwrap_or_else(|| Err(lost()))?;
        Ok((rewrapped.wrapped.kek != *kek).then(|| rewrapped.wrapped.clone()))
    }

    /// Has a data key wrapped, and keeps what it is wrapped to.
    async fn rewrap(
        &self,
        tenant: &TenantKeys,
        standing: Arc<Standing>,
        held: &HeldKey,
        rewrapping: Rewrapping,
    ) -> Result<Arc<Rewrapped>, VaultError> {
        let made = Instant::now();
        let Proven { wrapped, opening } = self
            .wrap_proven(tenant, &standing, held.data_key(), Proof::Shared, Urgency::Bulk)
            .await?;
        let rewrapped = Arc::new(Rewrapped {
            wrapped,
            standing,
            opening,
            made,
            kept_for: lease::max_age(&tenant.policy),
        });
        self.rewraps.0.insert(rewrapping, Arc::clone(&rewrapped));
        Ok(rewrapped)
    }

    /// What the data key was wrapped to a moment ago, if it may still be given out.
    fn recalled(&self, tenant: &TenantKeys, rewrapping: &Rewrapping) -> Option<Arc<Rewrapped>> {
        let now = Instant::now();
        let rewrapped = self.rewraps.0.get(rewrapping)?;
        let current = self.versions.current(tenant, now);
        let is_current = current.is_none_or(|version| version == rewrapped.wrapped.kek.version);
        let may_be_given = is_current
            && rewrapped.stands(proof_age(tenant), now)
            && !rewrapped.standing.is_in_question()
            && self.is_relied_on(&rewrapped.opening, now);
        may_be_given.then_some(rewrapped)
    }

    /// Whether the version of an envelope is the one that wraps now, and is proven to unwrap.
    fn is_current(&self, tenant: &TenantKeys, kek: &KekId) -> bool {
        let now = Instant::now();
        let opening = self.opening_standing(tenant, kek);
        kek.key == tenant.current
            && self.versions.wraps_now(tenant, now).as_ref() == Some(&kek.version)
            && opening.has_served_within(proof_age(tenant), now)
            && self.is_relied_on(&opening, now)
    }
}

impl Rewraps {
    /// Keeps at most `max` of them.
    pub(super) fn new(max: u64) -> Self {
        Self(Cache::builder().max_capacity(max).expire_after(WhenOver).build())
    }

    /// Removes what is over.
    pub(super) fn remove_expired(&self) {
        self.0.run_pending_tasks();
    }
}

impl Rewrapped {
    fn stands(&self, proof_age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < self.kept_for
            && !self.standing.is_withdrawn()
            && !self.opening.is_withdrawn()
            && self.opening.has_served_within(proof_age, now)
    }
}

/// Tells the cache library when to remove one.
struct WhenOver;

impl Expiry<Rewrapping, Arc<Rewrapped>> for WhenOver {
    fn expire_after_create(
        &self,
        _: &Rewrapping,
        rewrapped: &Arc<Rewrapped>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(rewrapped.kept_for)
    }

    /// What replaces another has its own time. (The library's default would leave it the other's.)
    fn expire_after_update(
        &self,
        _: &Rewrapping,
        rewrapped: &Arc<Rewrapped>,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(rewrapped.kept_for)
    }
}

//! Data keys for opening: from the cache if they are there, else from the vault, asked once for all who wait.

use std::{future::Future, sync::Arc};

use tokio::time::Instant;

use super::{Keyring, gave_way, is_no_answer, is_unasked, lost};
use crate::{
    assurance::Trust,
    cache::Slot,
    envelope::Wrapping,
    flight::Flight,
    held::{Freshness, HeldKey},
    id::KekId,
    standing::{Standing, Subject},
    tenant::TenantKeys,
    vault::{Fault, Urgency, VaultError, WrappedDataKey},
};

type Unwrapped = Result<Arc<HeldKey>, VaultError>;

/// A request for one data key.
#[derive(Clone, Copy)]
struct Request<'a> {
    tenant: &'a TenantKeys,
    kek: &'a KekId,
    wrapping: &'a Wrapping<'a>,
    slot: Slot,
    /// [`Urgency::Request`] or [`Urgency::Bulk`].
    urgency: Urgency,
    now: Instant,
}

impl Keyring {
    /// The data key that `wrapping` holds under `kek`, a key of this tenant. Whether the envelope's commitment is to it
    /// is for the caller to check.
    ///
    /// A key that is about to expire is used, and asked for again in the background: so a key in hot use is validated
    /// within its TTL, and nobody waits. A key past its TTL is used only under the tenant's outage grace, and only after
    /// a call to the vault has failed. A key that is in question is used by nobody before it is known.
    pub(crate) async fn unwrapped(
        self: &Arc<Self>,
        tenant: &TenantKeys,
        kek: &KekId,
        wrapping: &Wrapping<'_>,
        urgency: Urgency,
    ) -> Unwrapped {
        let slot = Slot::of(tenant, wrapping);
        let now = Instant::now();
        let request = Request {
            tenant,
            kek,
            wrapping,
            slot,
            urgency,
            now,
        };
        let Some(held) = self.cache.get(&slot) else {
            return self.fetch(&request).await;
        };
        if held.standing().is_in_question() {
            self.verdicts(held.standing()).await;
            let now = Instant::now();
            return self.use_held(&Request { now, ..request }, held).await;
        }
        self.use_held(&request, held).await
    }

    async fn use_held(self: &Arc<Self>, request: &Request<'_>, held: Arc<HeldKey>) -> Unwrapped {
        let freshness = held.freshness(&request.tenant.policy, request.now);
        match freshness {
            Freshness::Fresh | Freshness::Aging => {}
            Freshness::Grace => return self.through_outage(request, held).await,
            Freshness::Past => return self.fetch(request).await,
        }
        if held.standing().claims_doubt() {
            return self.in_doubt(request, held).await;
        }
        let trust = self.watch.trust(held.standing(), request.now);
        if trust == Trust::None {
            return self.unassured(request, held).await;
        }
        self.counters.cache_hits.count();
        if freshness == Freshness::Aging {
            self.revalidate(request, &held);
        }
        if trust == Trust::Warned || (trust == Trust::Ending && freshness == Freshness::Fresh) {
            self.assure_ahead(request.tenant, &held, || request.wrapped(), trust, request.now);
        }
        Ok(held)
    }

    /// A key that is used on the vault's word alone, which is too old: it is asked before anybody uses the key.
    async fn unassured(self: &Arc<Self>, request: &Request<'_>, held: Arc<HeldKey>) -> Unwrapped {
        self.counters.cache_misses.count();
        self.assure(request.tenant, &held, || request.wrapped()).await?;
        match held.freshness(&request.tenant.policy, Instant::now()) {
            Freshness::Fresh | Freshness::Aging => Ok(held),
            Freshness::Grace => self.through_outage(request, held).await,
            Freshness::Past => self.fetch(request).await,
        }
    }

    /// A key that the vault may not give any more: it is asked before the key is used. Whoever else comes meanwhile is served;
    /// a refusal evicts.
    async fn in_doubt(self: &Arc<Self>, request: &Request<'_>, held: Arc<HeldKey>) -> Unwrapped {
        self.counters.cache_misses.count();
        let standing = self.opening_standing(request.tenant, request.kek);
        self.recall(&standing, Some(request.slot))?;
        match self.wait_for_key(request, standing, || None).await {
            Err(error) if is_unasked(&error) => {
                held.standing().doubt(request.now);
                Err(error)
            }
            Err(error) if is_no_answer(&error) && !held.is_withdrawn() => Ok(held),
            answer => answer,
        }
    }

    /// A key past its TTL: the vault must be found unavailable before it is used. Once it was, the next requests use the
    /// key and have the vault asked again in the background.
    async fn through_outage(self: &Arc<Self>, request: &Request<'_>, held: Arc<HeldKey>) -> Unwrapped {
        if held.is_in_outage(request.now) && !held.standing().claims_doubt() {
            self.revalidate(request, &held);
            self.counters.grace_opens.count();
            return Ok(held);
        }
        match self.fetch(request).await {
            Err(error) if error.cause().is_outage() && !held.is_withdrawn() => {
                self.counters.grace_opens.count();
                Ok(held)
            }
            answer => answer,
        }
    }

    /// Has the vault asked again, in the background and by one request only.
    fn revalidate(self: &Arc<Self>, request: &Request<'_>, held: &HeldKey) {
        if held.claims_revalidation(request.now) {
            let standing = self.opening_standing(request.tenant, request.kek);
            drop(self.ask(request, standing, Urgency::Background, || None));
        }
    }

    /// Waits for the vault's answer.
    async fn fetch(self: &Arc<Self>, request: &Request<'_>) -> Unwrapped {
        self.counters.cache_misses.count();
        let standing = self.settled(request.tenant, Subject::unwrap(request.kek)).await;
        self.recall(&standing, Some(request.slot))?;
        let landed = || {
            let held = self.cache.get(&request.slot)?;
            let is_fresh = held.freshness(&request.tenant.policy, request.now) == Freshness::Fresh
                && !held.standing().is_in_question()
                && self.watch.trust(held.standing(), request.now) != Trust::None;
            is_fresh.then_some(Ok(held))
        };
        self.wait_for_key(request, standing, landed).await
    }

    /// Waits for the call that is under way, or makes one. One that was begun in the background gives way to others, and then is
    /// none. Who is in no hurry waits for a hurried one too, and not the other way round.
    async fn wait_for_key(
        self: &Arc<Self>,
        request: &Request<'_>,
        standing: Arc<Standing>,
        landed: impl FnOnce() -> Option<Unwrapped>,
    ) -> Unwrapped {
        let joined: &[Urgency] = match request.urgency {
            Urgency::Bulk => &[Urgency::Request, Urgency::Background],
            Urgency::Watch | Urgency::Request | Urgency::Background => &[Urgency::Background],
        };
        for &urgency in joined {
            let Some(flight) = self.unwraps.under_way(&(request.slot, standing.id(), urgency)) else {
                continue;
            };
            match landing(flight).await {
                Err(error) if gave_way(&error) => {}
                answer => return answer,
            }
        }
        landing(self.ask(request, standing, request.urgency, landed)).await
    }

    /// The standing under which to unwrap with a version of a tenant's key.
    pub(super) fn opening_standing(&self, tenant: &TenantKeys, kek: &KekId) -> Arc<Standing> {
        self.standings.of(tenant.tenant, Subject::unwrap(kek))
    }

    /// Asks the vault, unless the same is being asked already under the same standing.
    fn ask(
        self: &Arc<Self>,
        request: &Request<'_>,
        standing: Arc<Standing>,
        urgency: Urgency,
        landed: impl FnOnce() -> Option<Unwrapped>,
    ) -> Flight<Unwrapped> {
        let key = (request.slot, standing.id(), urgency);
        self.unwraps
            .join(key, landed, || self.unwrap_and_hold(request, standing, urgency))
    }

    /// A call of its own, independent of the request: unwraps, and keeps the key as long as the tenant lets us.
    fn unwrap_and_hold(
        self: &Arc<Self>,
        request: &Request<'_>,
        standing: Arc<Standing>,
        urgency: Urgency,
    ) -> impl Future<Output = Unwrapped> + use<> {
        let keyring = Arc::clone(self);
        let tenant = request.tenant.clone();
        let slot = request.slot;
        let wrapped = request.wrapped();
        async move {
            let asked = Instant::now();
            match keyring.unwrap(&tenant, &standing, &wrapped, urgency).await {
                Ok(data_key) => {
                    let held = Arc::new(HeldKey::new(data_key, standing, &tenant.policy, asked));
                    keyring.cache.insert(slot, &held);
                    Ok(held)
                }
                Err(error) => {
                    keyring.learn_of_slot(standing, slot, &error);
                    Err(error)
                }
            }
        }
    }

    /// Learns from a failed unwrap what it says about this one wrapped key.
    fn learn_of_slot(&self, standing: Arc<Standing>, slot: Slot, error: &VaultError) {
        let cause = error.cause();
        if cause.fault() == Fault::Caller {
            self.refusals.remember_bytes(standing, slot, error.clone());
        } else if cause.is_outage()
            && let Some(held) = self.cache.get(&slot)
        {
            held.note_outage(Instant::now(), self.memory_of_outage());
        }
    }
}

impl Request<'_> {
    /// What the vault is asked to unwrap.
    fn wrapped(&self) -> WrappedDataKey {
        WrappedDataKey {
            kek: self.kek.clone(),
            bytes: self.wrapping.wrapped.into(),
        }
    }
}

async fn landing(flight: Flight<Unwrapped>) -> Unwrapped {
    flight.landing().await.unwrap_or_else(|| Err(lost()))
}

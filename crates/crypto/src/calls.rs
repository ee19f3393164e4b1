//! Calls under way: as many as one tenant may have, and as many as all may have together.
//!
//! A call outlives the request that made it, so that a caller who gives up and comes again, against a vault that hangs, could
//! have any number of them. A call beyond the bound is not made, nor queued.
//!
//! Calls in bulk are the exception. Whoever rewraps has any number of them on hand, and would find each place that comes free
//! before somebody who opens one envelope. So of a tenant's places they have half at most, and wait for one of these: not many,
//! and not for long.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::id::TenantId;

/// The calls under way.
pub(crate) struct Calls {
    most: usize,
    most_of_one_tenant: usize,
    under_way: Mutex<UnderWay>,
    /// Of tenants that have calls in bulk.
    in_bulk: Mutex<HashMap<TenantId, Weak<Share>>>,
}

#[derive(Default)]
struct UnderWay {
    all: usize,
    of: HashMap<TenantId, usize>,
}

/// What one tenant's calls in bulk have.
struct Share {
    places: Arc<Semaphore>,
    /// Places to wait in.
    queue: Semaphore,
}

/// A call's place among them, given back when dropped.
pub(crate) struct Place<'a> {
    calls: &'a Calls,
    tenant: TenantId,
    in_bulk: Option<(OwnedSemaphorePermit, Arc<Share>)>,
}

impl Calls {
    /// At most `most` calls at once, and of one tenant `most_of_one_tenant` of them.
    pub(crate) fn new(most: usize, most_of_one_tenant: usize) -> Self {
        Self {
            most,
            most_of_one_tenant,
            under_way: Mutex::default(),
            in_bulk: Mutex::default(),
        }
    }

    /// A place for a call of the tenant's, if there is one.
    pub(crate) fn place(&self, tenant: TenantId) -> Option<Place<'_>> {
        let mut under_way = self.lock();
        let UnderWay { all, of } = &mut *under_way;
        let of_tenant = of.entry(tenant).or_default();
        if *all >= self.most || *of_tenant >= self.most_of_one_tenant {
            if *of_tenant == 0 {
                of.remove(&tenant);
            }
            return None;
        }
        *all += 1;
        *of_tenant += 1;
        Some(Place {
            calls: self,
            tenant,
            in_bulk: None,
        })
    }

    /// A place for a call of the tenant's that is one of very many: half of the tenant's places are for them, and at least one.
    /// It is waited for, in order. `None` if too many wait, if it takes too long, or if others have taken all places there are.
    pub(crate) async fn place_in_bulk(&self, tenant: TenantId) -> Option<Place<'_>> {
        let share = self.share(tenant);
        let permit = {
            let _waiting = share.queue.try_acquire().ok()?;
            let permit = timeout(LONGEST_WAIT, Arc::clone(&share.places).acquire_owned()).await;
            permit.ok()?.ok()?
        };
        let mut place = self.place(tenant)?;
        place.in_bulk = Some((permit, share));
        Some(place)
    }

    /// What a tenant's calls in bulk have: one and the same as long as there are any.
    fn share(&self, tenant: TenantId) -> Arc<Share> {
        let mut in_bulk = self.in_bulk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = in_bulk.get(&tenant).and_then(Weak::upgrade) {
            return share;
        }
        in_bulk.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Share {
            places: Arc::new(Semaphore::new((self.most_of_one_tenant / 2).max(1))),
            queue: Semaphore::new(self.most_of_one_tenant.saturating_mul(WAITING_FOR_EACH_PLACE)),
        });
        in_bulk.insert(tenant, Arc::downgrade(&share));
        share
    }

    /// A number is never left half-changed, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut under_way = self.calls.lock();
        under_way.all -= 1;
        if let Entry::Occupied(mut of_tenant) = under_way.of.entry(self.tenant) {
            *of_tenant.get_mut() -= 1;
            if *of_tenant.get() == 0 {
                of_tenant.remove();
            }
        }
    }
}

/// How long a call in bulk waits for its place: many times as long as calls take at a vault that is well.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How many calls in bulk may wait for each place that a tenant has.
const WAITING_FOR_EACH_PLACE: usize = 2;

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join_all};
    use uuid::Uuid;

    use super::*;

    const MOST: usize = 100;
    const MOST_OF_ONE_TENANT: usize = 7;

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    #[test]
    fn a_tenant_has_so_many_places_and_gets_them_back() {
        let calls = Calls::new(MOST, MOST_OF_ONE_TENANT);
        let mut places: Vec<_> = (0..MOST_OF_ONE_TENANT)
            .map(|_| calls.place(tenant(1)).unwrap())
            .collect();
        assert!(calls.place(tenant(1)).is_none());
        assert!(calls.place(tenant(2)).is_some(), "another tenant's are its own");
        places.pop();
        assert!(calls.place(tenant(1)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_bulk_have_half_of_a_tenants_places_and_wait_for_one_of_them() {
        let calls = Calls::new(MOST, MOST_OF_ONE_TENANT);
        let in_bulk = |number| calls.place_in_bulk(tenant(number));
        let mut places = join_all((0..3).map(|_| in_bulk(1))).await;
        assert!(places.iter().all(Option::is_some));
        let mut fourth = Box::pin(in_bulk(1));
        assert!((&mut fourth).now_or_never().is_none(), "it waits");
        assert!(
            in_bulk(2).now_or_never().flatten().is_some(),
            "another tenant's are its own"
        );
        let of_others: Vec<_> = (0..4).map(|_| calls.place(tenant(1)).unwrap()).collect();
        places.pop();
        assert!(fourth.now_or_never().flatten().is_some());
        drop((of_others, places));
        assert!(calls.lock().of.is_empty(), "no tenant is kept for having called once");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_bulk_wait_neither_for_ever_nor_in_any_number() {
        let calls = Calls::new(MOST, MOST_OF_ONE_TENANT);
        let places = join_all((0..3).map(|_| calls.place_in_bulk(tenant(1)))).await;
        let mut waiting: Vec<_> = (0..14).map(|_| Box::pin(calls.place_in_bulk(tenant(1)))).collect();
        assert!(waiting.iter_mut().all(|place| place.now_or_never().is_none()));
        let beyond = calls.place_in_bulk(tenant(1)).now_or_never();
        assert!(beyond.expect("it does not wait").is_none());
        assert!(join_all(waiting).await.iter().all(Option::is_none));
        drop(places);
        assert!(calls.place_in_bulk(tenant(1)).await.is_some());
    }

    #[tokio::test]
    async fn where_others_have_taken_all_places_calls_in_bulk_have_none() {
        let calls = Calls::new(MOST, MOST_OF_ONE_TENANT);
        let places: Vec<_> = (0..MOST_OF_ONE_TENANT).map(|_| calls.place(tenant(1))).collect();
        assert!(calls.place_in_bulk(tenant(1)).await.is_none());
        drop(places);
        assert!(calls.place_in_bulk(tenant(1)).await.is_some());
    }

    #[test]
    fn all_together_have_so_many_places() {
        let calls = Calls::new(MOST, MOST_OF_ONE_TENANT);
        let of_many = (0..MOST).map(|call| tenant((call / MOST_OF_ONE_TENANT) as u128));
        let places: Vec<_> = of_many.map(|tenant| calls.place(tenant).unwrap()).collect();
        assert!(calls.place(tenant(1_000_000)).is_none());
        drop(places);
        assert!(calls.place(tenant(1_000_000)).is_some());
        assert!(calls.lock().of.is_empty(), "no tenant is kept for having called once");
    }
}

//! Calls under way: as many as one tenant may have, and as many as all may have together.
//!
//! A call outlives the request that made it, so that a caller who gives up and comes again, against a vault that hangs, could
//! have any number of them. A call beyond the bound is not made, nor queued.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::id::TenantId;

/// The calls under way.
pub(crate) struct Calls {
    most: usize,
    most_of_one_tenant: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    all: usize,
    of: HashMap<TenantId, usize>,
}

/// A call's place among them, given back when dropped.
pub(crate) struct Place<'a> {
    calls: &'a Calls,
    tenant: TenantId,
}

impl Calls {
    /// At most `most` calls at once, and of one tenant `most_of_one_tenant` of them.
    pub(crate) fn new(most: usize, most_of_one_tenant: usize) -> Self {
        Self {
            most,
            most_of_one_tenant,
            under_way: Mutex::default(),
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
        Some(Place { calls: self, tenant })
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

#[cfg(test)]
mod tests {
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

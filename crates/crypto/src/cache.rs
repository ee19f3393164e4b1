//! Unwrapped data keys, kept for opening.
//!
//! A key's time runs from when the vault was asked for it, never from its last use; so a customer's withdrawal takes effect within
//! the TTL however busy the key is. Which keys may be used is decided here, by tokio's clock and by their
//! [`Standing`](crate::standing::Standing) (see [`HeldKey`]); the cache library only bounds their number and removes them in time. Nothing in it is believed for being there.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{
    envelope::Wrapping,
    held::HeldKey,
    tenant::{Route, TenantKeys},
};
use moka::{Expiry, ops::compute::Op, sync::Cache};
use sha2::{Digest, Sha256};

/// Where a data key is kept: SHA-256 of tenant id, route, KEK identifier and wrapped bytes. So it is found only by the tenant
/// and under the KEK that it was unwrapped for, and as long as the tenant's vault is reached the way that it came.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot([u8; 32]);

/// All that is kept for opening.
pub(crate) struct KeyCache(Cache<Slot, Arc<HeldKey>>);

impl Slot {
    /// Where the data key of `wrapping` is kept.
    pub(crate) fn of(tenant: &TenantKeys, wrapping: &Wrapping<'_>) -> Self {
        let hash = match tenant.route {
            Route::Public => Sha256::new_with_prefix([0]),
            Route::Closed => Sha256::new_with_prefix([1]),
            Route::Private(IpAddr::V4(address)) => Sha256::new_with_prefix([4]).chain_update(address.octets()),
            Route::Private(IpAddr::V6(address)) => Sha256::new_with_prefix([6]).chain_update(address.octets()),
        };
        let hash = hash
            .chain_update(tenant.tenant.as_bytes())
            .chain_update((wrapping.kek.len() as u64).to_be_bytes())
            .chain_update(wrapping.kek)
            .chain_update(wrapping.wrapped);
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
impl From<[u8; 32]> for Slot {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl KeyCache {
    /// Keeps at most `max` keys.
    pub(crate) fn new(max: u64) -> Self {
        Self(Cache::builder().max_capacity(max).expire_after(WhenKept).build())
    }

    /// The key held there, whatever its age.
    pub(crate) fn get(&self, slot: &Slot) -> Option<Arc<HeldKey>> {
        self.0.get(slot)
    }

    /// Keeps a key as long as it says, in place of an older one.
    pub(crate) fn insert(&self, slot: Slot, key: &Arc<HeldKey>) {
        if key.may_be_kept() {
            self.0.insert(slot, Arc::clone(key));
            // Withdrawn in between, it may have been too late for those that were looked for then.
            if key.is_withdrawn() {
                self.remove_if_withdrawn(&slot);
            }
        }
    }

    /// How many keys are held, about.
    pub(crate) fn len(&self) -> u64 {
        self.0.entry_count()
    }

    /// Removes what has expired.
    pub(crate) fn remove_expired(&self) {
        self.0.run_pending_tasks();
    }

    /// Removes the keys that were withdrawn. Looks at all of them, and lets others work in between.
    pub(crate) async fn remove_withdrawn(&self) {
        for (position, (slot, key)) in self.0.iter().enumerate() {
            if key.is_withdrawn() {
                self.remove_if_withdrawn(&slot);
            }
            if position % 256 == 255 {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl KeyCache {
    /// Removes the key that is there now, unless it is another that is in order.
    fn remove_if_withdrawn(&self, slot: &Slot) {
        self.0.entry_by_ref(slot).and_compute_with(|entry| match entry {
            Some(entry) if entry.value().is_withdrawn() => Op::Remove,
            Some(_) | None => Op::Nop,
        });
    }
}

/// Tells the cache library when to remove a key.
struct WhenKept;

impl Expiry<Slot, Arc<HeldKey>> for WhenKept {
    fn expire_after_create(&self, _: &Slot, key: &Arc<HeldKey>, _: std::time::Instant) -> Option<Duration> {
        Some(key.kept_for())
    }

    /// A key that replaces another has its own time. (The library's default would leave it the other's.)
    fn expire_after_update(
        &self,
        _: &Slot,
        key: &Arc<HeldKey>,
        _: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(key.kept_for())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Weak};

    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::{
        id::TenantId,
        secret::DataKey,
        standing::{Standings, Subject},
        tenant::SealingPolicy,
    };

    const TENANT: TenantId = TenantId(Uuid::nil());

    fn subject() -> Subject {
        Subject {
            call: crate::vault::Call::Unwrap,
            key: crate::id::KeyRef {
                vault: "acme.vault.azure.net".parse().unwrap(),
                name: "kek".parse().unwrap(),
            },
            version: None,
        }
    }

    fn policy(ttl: Duration) -> SealingPolicy {
        SealingPolicy {
            cache_ttl: ttl,
            ..SealingPolicy::default()
        }
    }

    fn hold(cache: &KeyCache, standings: &Standings, slot: u8, ttl: Duration) -> Weak<HeldKey> {
        let standing = standings.of(TENANT, subject());
        let held = Arc::new(HeldKey::new(
            DataKey::generate().unwrap(),
            standing,
            &policy(ttl),
            Instant::now(),
        ));
        let weak = Arc::downgrade(&held);
        cache.insert(Slot([slot; 32]), &held);
        weak
    }

    /// Dropping a key wipes it; so it is gone from memory when nothing refers to it any more.
    async fn leaves_memory(cache: &KeyCache, held: &Weak<HeldKey>) {
        let gone = async {
            while held.strong_count() > 0 {
                cache.remove_withdrawn().await;
                cache.remove_expired();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(20), gone).await.is_ok(),
            "still in memory"
        );
    }

    #[tokio::test]
    async fn an_expired_key_leaves_memory_though_nobody_asks_for_it() {
        let (cache, standings) = (KeyCache::new(10), Standings::new());
        let short = hold(&cache, &standings, 1, Duration::from_millis(10));
        let long = hold(&cache, &standings, 2, Duration::from_mins(1));
        leaves_memory(&cache, &short).await;
        assert_eq!(long.strong_count(), 1);
    }

    #[tokio::test]
    async fn a_withdrawn_key_leaves_memory_though_nobody_asks_for_it() {
        let (cache, standings) = (KeyCache::new(10), Standings::new());
        let withdrawn = hold(&cache, &standings, 1, Duration::from_mins(1));
        standings.withdraw_all(TENANT);
        let after = hold(&cache, &standings, 2, Duration::from_mins(1));
        leaves_memory(&cache, &withdrawn).await;
        assert_eq!(after.strong_count(), 1);
    }

    #[tokio::test]
    async fn without_a_ttl_a_key_is_not_kept_for_a_moment() {
        let (cache, standings) = (KeyCache::new(10), Standings::new());
        let held = hold(&cache, &standings, 1, Duration::ZERO);
        assert_eq!(held.strong_count(), 0);
    }

    #[tokio::test]
    async fn no_more_keys_are_kept_than_the_limit() {
        let (cache, standings) = (KeyCache::new(10), Standings::new());
        let held: Vec<_> = (0..100)
            .map(|slot| hold(&cache, &standings, slot, Duration::from_mins(1)))
            .collect();
        cache.remove_expired();
        assert!(cache.len() <= 10, "{} kept", cache.len());
        drop(held);
    }

    #[tokio::test]
    async fn a_withdrawn_key_does_not_enter_the_cache() {
        let (cache, standings) = (KeyCache::new(10), Standings::new());
        let standing = standings.of(TENANT, subject());
        let held = Arc::new(HeldKey::new(
            DataKey::generate().unwrap(),
            standing,
            &policy(Duration::from_mins(1)),
            Instant::now(),
        ));
        standings.withdraw_all(TENANT);
        cache.insert(Slot([0; 32]), &held);
        assert!(cache.get(&Slot([0; 32])).is_none());
    }

    #[test]
    fn nor_does_one_that_is_withdrawn_while_it_enters() {
        let (cache, standings) = (KeyCache::new(100_000), Standings::new());
        let tenants = (0..20_000).map(|number| TenantId(Uuid::from_u128(number)));
        let entering: Vec<_> = tenants
            .map(|tenant| {
                let standing = standings.of(tenant, subject());
                let policy = policy(Duration::from_mins(1));
                let held = Arc::new(HeldKey::new(
                    DataKey::generate().unwrap(),
                    standing,
                    &policy,
                    Instant::now(),
                ));
                (tenant, Slot(DataKey::generate().unwrap().expose().to_owned()), held)
            })
            .collect();
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (round, (_, slot, held)) in entering.iter().enumerate() {
                    together.wait();
                    // Sooner or later in one round than in another, so that all orders occur.
                    (0..round % 64).for_each(|_| std::hint::spin_loop());
                    cache.insert(*slot, held);
                    together.wait();
                }
            });
            for (tenant, slot, _) in &entering {
                together.wait();
                standings.withdraw_all(*tenant);
                cache.remove_if_withdrawn(slot);
                together.wait();
            }
        });
        let left = entering.iter().filter(|(_, slot, _)| cache.get(slot).is_some());
        assert_eq!(left.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_replaces_another_is_kept_for_its_own_time() {
        let standing = Standings::new().of(TENANT, subject());
        let ttl = Duration::from_mins(1);
        let held = Arc::new(HeldKey::new(
            DataKey::generate().unwrap(),
            standing,
            &policy(ttl),
            Instant::now(),
        ));
        let others = Some(Duration::from_secs(1));
        let started = tokio::time::Instant::now().into_std();
        let kept = WhenKept.expire_after_update(&Slot([0; 32]), &held, started, others);
        assert!(kept > others && kept <= Some(ttl));
        assert_eq!(kept, WhenKept.expire_after_create(&Slot([0; 32]), &held, started));
    }
}

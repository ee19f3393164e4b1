//! A view that is smaller than its registry, and reads that take their time.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use keyferry_registry::{Registry, RegistryLimits, Tenant, TenantStatus};

use crate::{
    fake::{Ordered, Question},
    stores::{on_each_database, open, sqlite},
    world::{slug, tenant, tenants_told, until, view},
};

on_each_database!(a_view_too_small_for_all_serves_all_as_they_are);

async fn a_view_too_small_for_all_serves_all_as_they_are(url: &str) {
    let store = open(url).await;
    let names = ["a", "b", "c", "d", "e"].map(slug);
    let mut tenants = Vec::new();
    for name in &names {
        tenants.push(
            store
                .create(&tenant(name.as_str()), None)
                .await
                .expect("created")
                .tenant,
        );
    }
    let limits = RegistryLimits {
        tenants: 2,
        poll: Duration::from_hours(1),
    };
    let here = Registry::new(Arc::clone(&store), limits);
    here.follow().await.expect("followed");
    let all_are = async |status: TenantStatus| {
        for tenant in &tenants {
            let served = here.tenant(&tenant.slug).await.expect("asked").expect("there");
            assert_eq!((served.keys.tenant, served.status), (tenant.keys.tenant, status));
        }
    };
    until("all but two have given way", async || {
        all_are(TenantStatus::Active).await;
        let stats = here.stats();
        stats.store_reads > 0 && (1..=limits.tenants).contains(&stats.tenants)
    })
    .await;

    let mut changes = here.changes();
    for tenant in &tenants {
        let mut tenant = tenant.clone();
        tenant.suspend().expect("suspended");
        store.save(&tenant).await.expect("saved by another replica");
    }
    here.follow().await.expect("followed");
    all_are(TenantStatus::Suspended).await;
    let told: HashSet<_> = tenants_told(&mut changes).into_iter().collect();
    let suspended = tenants.iter().map(|tenant| tenant.keys.tenant);
    assert_eq!(
        told,
        suspended.collect(),
        "whoever keeps keys is told of those out of memory too"
    );
}

/// The tenant is read from the store, then changed, and that change is in the view before the answer of the read is there.
#[tokio::test]
async fn what_was_read_before_another_replicas_change_is_not_kept_after_it() {
    let (real, _held) = sqlite().await;
    let store = Ordered::over(&real);
    overtaken(&store, async |here, acme| {
        real.save(acme).await.expect("saved");
        here.follow().await.expect("followed");
    })
    .await;
}

/// The same, where the feed does not tell of the change.
#[tokio::test]
async fn what_was_read_before_a_change_made_here_is_not_kept_after_it() {
    let (real, _held) = sqlite().await;
    let store = Ordered::over(&real);
    overtaken(&store, async |here, acme| {
        store.feed_is_down.store(true, SeqCst);
        here.save(acme).await.expect("saved");
    })
    .await;
}

async fn overtaken(store: &Arc<Ordered>, saves: impl AsyncFnOnce(&Registry, &Tenant)) {
    let mut acme = store.store.create(&tenant("acme"), None).await.expect("created").tenant;
    let here = view(&(Arc::clone(store) as _));
    let late = store.holds_back(Question::Tenant);
    let asking = tokio::spawn({
        let here = Arc::clone(&here);
        async move { here.tenant(&slug("acme")).await }
    });
    late.was_read.await.expect("told");
    acme.suspend().expect("suspended");
    saves(&here, &acme).await;
    late.release.send(()).expect("it waits");
    let read = asking.await.expect("joined").expect("asked").expect("there");
    assert_eq!(read.status, TenantStatus::Active, "it was read before");
    let now = here.tenant(&slug("acme")).await.expect("asked").expect("there");
    assert_eq!(now.status, TenantStatus::Suspended);
}

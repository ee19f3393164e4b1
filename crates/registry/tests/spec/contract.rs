//! What a store promises, and what the view makes of it.

use std::{sync::Arc, time::Duration};

use keyferry_crypto::{id::TenantId, tenant::VersionPolicy};
use keyferry_registry::{Idempotency, IdempotencyKey, RegistryError, Revision, Tenant, TenantStatus, TenantStore};

use crate::{
    stores::{clock, postgres, sqlite},
    world::{key, slug, tenant, tenant_changes, tenants_told, until, view},
};

/// Runs each promise on both stores.
macro_rules! promises {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite { $(#[tokio::test] async fn $promise() { let (store, _held) = super::sqlite().await; super::$promise(store).await; })* }
        mod on_postgres { $(#[tokio::test] async fn $promise() { if let Some(store) = super::postgres().await { super::$promise(store).await; } })* }
    };
}
promises!(
    what_is_registered_is_found_whole,
    a_slug_names_one_tenant,
    a_stale_save_changes_nothing,
    a_list_is_in_order_and_goes_on_where_it_stopped,
    a_list_among_names_shows_those_that_are_tenants,
    the_same_request_registers_once,
    an_idempotency_key_serves_one_request,
    a_purged_tenant_is_gone_and_its_slug_free,
    changes_come_in_order_each_tenant_once,
    concurrent_saves_lose_nothing,
    the_view_follows_what_others_change,
    the_view_forgets_what_is_purged,
    an_unknown_slug_is_asked_for_once,
    a_tenant_is_known_by_its_id_and_not_after_it_is_purged,
    a_tenant_is_usable_as_soon_as_it_is_registered,
);

fn idempotency(key: &str, request: u8) -> Idempotency {
    Idempotency {
        key: IdempotencyKey::parse(key).expect("a key"),
        fingerprint: [request; 32],
    }
}

async fn what_is_registered_is_found_whole(store: Arc<dyn TenantStore>) {
    let mut acme = tenant("acme");
    acme.keys.version = VersionPolicy::Pinned("0123456789abcdef0123456789abcdef".parse().expect("a version"));
    acme.change_key(key("next"), VersionPolicy::FollowLatest)
        .expect("changed");
    let created = store.create(&acme, None).await.expect("created");
    assert!(!created.replayed);
    assert!(created.tenant.revision > Revision(0));
    assert_eq!(
        store.find(&slug("acme")).await.expect("asked"),
        Some(created.tenant.clone())
    );
    assert_eq!(created.tenant.keys.former, [key("kek")]);
    assert_eq!(store.find(&slug("other")).await.expect("asked"), None);
    let id = created.tenant.keys.tenant;
    assert_eq!(store.find_by_id(id).await.expect("asked"), Some(created.tenant));
    assert_eq!(store.find_by_id(TenantId::generate()).await.expect("asked"), None);
}

async fn a_slug_names_one_tenant(store: Arc<dyn TenantStore>) {
    store.create(&tenant("acme"), None).await.expect("created");
    let again = store.create(&tenant("acme"), None).await;
    assert!(matches!(again, Err(RegistryError::SlugTaken)), "{again:?}");
}

async fn a_stale_save_changes_nothing(store: Arc<dyn TenantStore>) {
    let read = store.create(&tenant("acme"), None).await.expect("created").tenant;
    let mut first = read.clone();
    first.suspend().expect("suspended");
    let first = store.save(&first).await.expect("saved");
    let mut second = read;
    second.display_name = "Other".parse().expect("a name");
    assert!(matches!(store.save(&second).await, Err(RegistryError::Conflict)));
    assert_eq!(store.find(&slug("acme")).await.expect("asked"), Some(first));
}

async fn a_list_is_in_order_and_goes_on_where_it_stopped(store: Arc<dyn TenantStore>) {
    for name in ["c", "a-b", "a", "b", "a1"] {
        store.create(&tenant(name), None).await.expect("created");
    }
    let names = |page: Vec<Tenant>| page.into_iter().map(|t| t.slug.to_string()).collect::<Vec<_>>();
    let first = names(store.list(None, 3).await.expect("listed"));
    let rest = names(store.list(Some(&slug(&first[2])), 3).await.expect("listed"));
    assert_eq!([first, rest].concat(), ["a", "a-b", "a1", "b", "c"]);
}

async fn a_list_among_names_shows_those_that_are_tenants(store: Arc<dyn TenantStore>) {
    for name in ["a", "a-b", "a1", "b", "c"] {
        store.create(&tenant(name), None).await.expect("created");
    }
    let mut gone = store.find(&slug("b")).await.expect("asked").expect("there");
    gone.delete(clock(), Duration::ZERO);
    store.save(&gone).await.expect("saved");
    store.purge().await.expect("purged");
    let names = ["a1", "b", "a-b", "nobody", "c"].map(slug);
    let among = async |limit| {
        let listed = store.list_among(&names, limit).await.expect("listed");
        listed.into_iter().map(|t| t.slug.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(among(10).await, ["a-b", "a1", "c"]);
    assert_eq!(among(2).await, ["a-b", "a1"]);
    assert_eq!(store.list_among(&[], 10).await.expect("listed"), []);
}

async fn the_same_request_registers_once(store: Arc<dyn TenantStore>) {
    let first = store
        .create(&tenant("acme"), Some(&idempotency("k", 1)))
        .await
        .expect("created");
    let again = store
        .create(&tenant("acme"), Some(&idempotency("k", 1)))
        .await
        .expect("replayed");
    assert!(again.replayed);
    assert_eq!(again.tenant, first.tenant);
    assert_eq!(store.list(None, 10).await.expect("listed").len(), 1);
}

async fn an_idempotency_key_serves_one_request(store: Arc<dyn TenantStore>) {
    store
        .create(&tenant("acme"), Some(&idempotency("k", 1)))
        .await
        .expect("created");
    let other = store.create(&tenant("other"), Some(&idempotency("k", 2))).await;
    assert!(matches!(other, Err(RegistryError::IdempotencyMismatch)), "{other:?}");
    assert_eq!(store.find(&slug("other")).await.expect("asked"), None);
}

async fn a_purged_tenant_is_gone_and_its_slug_free(store: Arc<dyn TenantStore>) {
    let mut acme = store
        .create(&tenant("acme"), Some(&idempotency("k", 1)))
        .await
        .expect("created")
        .tenant;
    acme.delete(clock(), Duration::from_mins(1));
    let acme = store.save(&acme).await.expect("saved");
    assert_eq!(store.purge().await.expect("purged"), 0, "the safety window is not over");
    let mut gone = acme.clone();
    gone.status = TenantStatus::Deleting { purge_at: clock() };
    store.save(&gone).await.expect("saved");
    assert_eq!(store.purge().await.expect("purged"), 1);
    assert_eq!(store.find(&slug("acme")).await.expect("asked"), None);
    let replay = store.create(&tenant("acme"), Some(&idempotency("k", 1))).await;
    assert!(
        matches!(replay, Err(RegistryError::IdempotencyMismatch)),
        "a purged tenant is not answered: {replay:?}"
    );
    let next = store
        .create(&tenant("acme"), None)
        .await
        .expect("the slug is free")
        .tenant;
    assert_ne!(next.keys.tenant, acme.keys.tenant);
}

async fn changes_come_in_order_each_tenant_once(store: Arc<dyn TenantStore>) {
    let a = store.create(&tenant("a"), None).await.expect("created").tenant;
    store.create(&tenant("b"), None).await.expect("created");
    store.save(&a).await.expect("saved");
    let all = tenant_changes(&*store, Revision(0), 10).await;
    assert_eq!(
        all.iter().map(|c| c.slug.clone()).collect::<Vec<_>>(),
        [Some(slug("b")), Some(slug("a"))]
    );
    assert!(all.is_sorted_by_key(|c| c.mark.revision));
    let after_b = tenant_changes(&*store, all[0].mark.revision, 10).await;
    assert_eq!(after_b, all[1..]);
}

/// Many writers at once: each revision is drawn once, and a reader that follows page by page misses none.
async fn concurrent_saves_lose_nothing(store: Arc<dyn TenantStore>) {
    let writers: Vec<_> = (0..20)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store
                    .create(&tenant(&format!("t{n}")), None)
                    .await
                    .expect("created")
                    .tenant
            })
        })
        .collect();
    let (mut seen, mut after) = (std::collections::HashSet::new(), Revision(0));
    while seen.len() < 20 {
        for change in tenant_changes(&*store, after, 3).await {
            assert!(change.mark.revision > after, "the feed never goes back");
            after = change.mark.revision;
            seen.insert(change.mark.tenant);
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        assert!(seen.contains(&writer.await.expect("joined").keys.tenant));
    }
}

async fn the_view_follows_what_others_change(store: Arc<dyn TenantStore>) {
    let (here, there) = (view(&store), view(&store));
    let mut acme = there.create(&tenant("acme"), None).await.expect("created").tenant;
    here.follow().await.expect("followed");
    assert_eq!(
        here.tenant(&slug("acme")).await.expect("asked").expect("there").status,
        TenantStatus::Active
    );
    let mut changes = here.changes();
    acme.suspend().expect("suspended");
    let acme = there.save(&acme).await.expect("saved");
    let cancel = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (here, cancel) = (Arc::clone(&here), cancel.clone());
        async move { here.run(cancel).await }
    });
    until("it is told", async || tenants_told(&mut changes) == [acme.keys.tenant]).await;
    assert_eq!(
        here.tenant(&slug("acme")).await.expect("asked").expect("there").status,
        TenantStatus::Suspended
    );
    assert_eq!(here.stats().store_reads, 0, "the hot path asks no database");
    cancel.cancel();
    running.await.expect("stopped");
}

async fn the_view_forgets_what_is_purged(store: Arc<dyn TenantStore>) {
    let here = view(&store);
    let mut acme = here.create(&tenant("acme"), None).await.expect("created").tenant;
    acme.delete(clock(), Duration::ZERO);
    here.save(&acme).await.expect("saved");
    store.purge().await.expect("purged");
    here.follow().await.expect("followed");
    assert_eq!(here.tenant(&slug("acme")).await.expect("asked"), None);
}

async fn an_unknown_slug_is_asked_for_once(store: Arc<dyn TenantStore>) {
    let here = view(&store);
    here.follow().await.expect("followed");
    for _ in 0..10 {
        assert_eq!(here.tenant(&slug("nobody")).await.expect("asked"), None);
    }
    assert_eq!(here.stats().store_reads, 1);
}

async fn a_tenant_is_known_by_its_id_and_not_after_it_is_purged(store: Arc<dyn TenantStore>) {
    let (here, there) = (view(&store), view(&store));
    let mut acme = here.create(&tenant("acme"), None).await.expect("created").tenant;
    let id = acme.keys.tenant;
    assert_eq!(here.held(id).as_deref(), Some(&acme));
    assert_eq!(there.held(id), None, "it has followed nothing");
    assert_eq!(there.tenant_by_id(id).await.expect("asked").as_deref(), Some(&acme));
    assert_eq!(there.held(id).as_deref(), Some(&acme), "and keeps what it read");
    acme.delete(clock(), Duration::ZERO);
    here.save(&acme).await.expect("saved");
    store.purge().await.expect("purged");
    let globex = here.create(&tenant("acme"), None).await.expect("created").tenant;
    here.follow().await.expect("followed");
    assert_eq!(here.held(id), None, "the slug is another tenant's");
    assert_eq!(here.tenant_by_id(id).await.expect("asked"), None);
    assert_eq!(here.held(globex.keys.tenant).as_deref(), Some(&globex));
}

async fn a_tenant_is_usable_as_soon_as_it_is_registered(store: Arc<dyn TenantStore>) {
    let here = view(&store);
    assert_eq!(
        here.tenant(&slug("acme")).await.expect("asked"),
        None,
        "and the slug is now remembered as unknown"
    );
    here.create(&tenant("acme"), None).await.expect("created");
    assert!(here.tenant(&slug("acme")).await.expect("asked").is_some());
}

//! What a store promises of onboardings.

use std::{sync::Arc, time::Duration};

use keyferry_registry::{
    RegistryError, Revision, Tenant, TenantStore,
    onboarding::{EndpointState, Onboarding, Stage},
};

use crate::{
    customers::{active, complete, event, idempotency, onboarding, opened},
    stores::{at, clock, on_each_database, open_whole},
    world::{running, slug, tenant, tenant_changes, until, view},
};

on_each_database!(
    what_is_opened_is_found_whole,
    every_stage_and_state_is_kept,
    what_no_database_can_keep_of_a_text_keeps_none_from_being_saved,
    no_slug_is_a_tenants_and_an_onboardings,
    a_purged_tenants_slug_is_free_once_its_onboarding_is_closed,
    the_same_request_opens_once,
    an_idempotency_key_serves_a_tenant_or_an_onboarding,
    the_key_of_a_closed_onboarding_serves_nothing_more,
    a_used_id_opens_nothing,
    a_stale_save_changes_nothing_and_adds_no_history,
    a_list_is_in_order_and_goes_on_where_it_stopped,
    what_happened_is_told_newest_first,
    an_activated_onboarding_is_a_tenant_of_its_id,
    an_id_that_was_a_tenants_is_not_activated,
    an_activated_tenant_is_usable_at_once,
    whoever_shows_an_onboarding_is_told_of_its_changes,
);

async fn what_is_opened_is_found_whole(url: &str) {
    let store = open_whole(url).await;
    for (name, onboarding) in [("bare", onboarding("bare")), ("acme", complete("acme"))] {
        let kept = opened(&*store, &onboarding).await;
        assert!(kept.revision > Revision(0));
        let expected = Onboarding {
            revision: kept.revision,
            ..onboarding
        };
        assert_eq!(kept, expected);
        let found = store.find_onboarding(&slug(name)).await.expect("asked");
        assert_eq!(found.as_ref(), Some(&kept));
        assert_eq!(store.onboarding_of(kept.tenant).await.expect("asked"), Some(kept));
    }
    assert_eq!(store.find_onboarding(&slug("other")).await.expect("asked"), None);
    assert_eq!(store.find(&slug("acme")).await.expect("asked"), None, "it is no tenant");
    assert_eq!(tenant_changes(&*store, Revision(0), 10).await, []);
}

async fn every_stage_and_state_is_kept(url: &str) {
    let store = open_whole(url).await;
    let mut acme = opened(&*store, &complete("acme")).await;
    for stage in [
        Stage::Active { since: at(1) },
        Stage::Closing { since: at(2) },
        Stage::Closed { at: at(3) },
        Stage::Open,
    ] {
        acme.stage = stage;
        acme = store.save_onboarding(&acme, &[]).await.expect("saved");
        let found = store.onboarding_of(acme.tenant).await.expect("asked");
        assert_eq!(found.as_ref(), Some(&acme));
    }
    for state in EndpointState::ALL {
        acme.endpoint.as_mut().expect("there").state = state;
        acme = store.save_onboarding(&acme, &[]).await.expect("saved");
        let found = store.onboarding_of(acme.tenant).await.expect("asked");
        assert_eq!(found.as_ref(), Some(&acme));
    }
}

async fn what_no_database_can_keep_of_a_text_keeps_none_from_being_saved(url: &str) {
    let store = open_whole(url).await;
    let mut acme = opened(&*store, &complete("acme")).await;
    acme.endpoint.as_mut().expect("there").description = Some("no\0 \\u0000 \u{1}'\u{10ffff}".to_owned());
    let mut told = event("endpoint-rejected");
    told.details = [("a\0".to_owned(), "b\0".to_owned())].into();
    store.save_onboarding(&acme, &[told]).await.expect("saved");
    let found = store.onboarding_of(acme.tenant).await.expect("asked").expect("there");
    let description = found.endpoint.expect("there").description;
    assert_eq!(description.as_deref(), Some("no \\u0000 \u{1}'\u{10ffff}"));
    let history = store.history(acme.tenant, None, 1).await.expect("read");
    assert_eq!(history[0].details, [("a".to_owned(), "b".to_owned())].into());
}

async fn no_slug_is_a_tenants_and_an_onboardings(url: &str) {
    let store = open_whole(url).await;
    let mut acme = opened(&*store, &onboarding("acme")).await;
    store.create(&tenant("globex"), None).await.expect("created");
    let taken = |taken: Result<(), RegistryError>| assert!(matches!(taken, Err(RegistryError::SlugTaken)), "{taken:?}");
    taken(store.create(&tenant("acme"), None).await.map(drop));
    for name in ["acme", "globex"] {
        let opened = store.open(&onboarding(name), &event("opened"), None).await;
        taken(opened.map(drop));
    }
    assert_eq!(store.find(&slug("acme")).await.expect("asked"), None);
    for stage in [Stage::Closing { since: clock() }, Stage::Closed { at: clock() }] {
        taken(store.create(&tenant("acme"), None).await.map(drop));
        acme.stage = stage;
        acme = store.save_onboarding(&acme, &[]).await.expect("saved");
    }
    assert_eq!(store.find_onboarding(&slug("acme")).await.expect("asked"), None);
    let next = opened(&*store, &onboarding("acme")).await;
    assert_ne!(next.tenant, acme.tenant);
    assert_eq!(
        store.onboarding_of(acme.tenant).await.expect("asked"),
        Some(acme),
        "what was closed is kept"
    );
}

async fn a_purged_tenants_slug_is_free_once_its_onboarding_is_closed(url: &str) {
    let store = open_whole(url).await;
    let (acme, mut registered) = activated(&*store, "acme").await;
    registered.delete(clock(), Duration::ZERO);
    store.save(&registered).await.expect("saved");
    assert_eq!(store.purge().await.expect("purged"), 1);
    let early = store.create(&tenant("acme"), None).await;
    assert!(matches!(early, Err(RegistryError::SlugTaken)), "{early:?}");
    let mut acme = store.onboarding_of(acme.tenant).await.expect("asked").expect("there");
    acme.stage = Stage::Closed { at: clock() };
    store.save_onboarding(&acme, &[]).await.expect("saved");
    store.create(&tenant("acme"), None).await.expect("the slug is free");
}

async fn the_same_request_opens_once(url: &str) {
    let store = open_whole(url).await;
    let open = async |name, request| {
        let key = idempotency("k", request);
        store.open(&onboarding(name), &event("opened"), Some(&key)).await
    };
    let first = open("acme", 1).await.expect("opened");
    let again = open("acme", 1).await.expect("replayed");
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(again.onboarding, first.onboarding);
    let history = store.history(first.onboarding.tenant, None, 10).await.expect("read");
    assert_eq!(history.len(), 1, "it happened once");
    let other = open("other", 2).await;
    assert!(matches!(other, Err(RegistryError::IdempotencyMismatch)), "{other:?}");
    assert_eq!(store.find_onboarding(&slug("other")).await.expect("asked"), None);
}

async fn an_idempotency_key_serves_a_tenant_or_an_onboarding(url: &str) {
    let store = open_whole(url).await;
    let (tenants, onboardings) = (idempotency("t", 1), idempotency("o", 1));
    store.create(&tenant("globex"), Some(&tenants)).await.expect("created");
    let acme = complete("acme");
    let first = store.open(&acme, &event("opened"), Some(&onboardings)).await;
    let first = active(&first.expect("opened").onboarding);
    let registered = Tenant::onboarded(&first, clock()).expect("complete");
    store.activate(&first, &registered, &[]).await.expect("activated");

    let crossed = store.open(&onboarding("x"), &event("opened"), Some(&tenants)).await;
    assert!(
        matches!(crossed, Err(RegistryError::IdempotencyMismatch)),
        "{crossed:?}"
    );
    let crossed = store.create(&tenant("x"), Some(&onboardings)).await;
    assert!(
        matches!(crossed, Err(RegistryError::IdempotencyMismatch)),
        "{crossed:?}"
    );
    let again = store.open(&acme, &event("opened"), Some(&onboardings)).await;
    assert_eq!(again.expect("replayed").onboarding.stage, first.stage, "as it is now");
}

async fn the_key_of_a_closed_onboarding_serves_nothing_more(url: &str) {
    let store = open_whole(url).await;
    let key = idempotency("k", 1);
    let acme = store.open(&onboarding("acme"), &event("opened"), Some(&key)).await;
    let mut acme = acme.expect("opened").onboarding;
    acme.stage = Stage::Closed { at: clock() };
    store.save_onboarding(&acme, &[]).await.expect("saved");
    let again = store.open(&onboarding("acme"), &event("opened"), Some(&key)).await;
    assert!(matches!(again, Err(RegistryError::IdempotencyMismatch)), "{again:?}");
}

async fn a_used_id_opens_nothing(url: &str) {
    let store = open_whole(url).await;
    let acme = opened(&*store, &onboarding("acme")).await;
    let mut gone = store.create(&tenant("globex"), None).await.expect("created").tenant;
    gone.delete(clock(), Duration::ZERO);
    store.save(&gone).await.expect("saved");
    store.purge().await.expect("purged");
    for id in [acme.tenant, gone.keys.tenant] {
        let again = Onboarding {
            tenant: id,
            ..onboarding("other")
        };
        let again = store.open(&again, &event("opened"), None).await;
        assert!(matches!(again, Err(RegistryError::Conflict)), "{again:?}");
    }
    assert_eq!(store.find_onboarding(&slug("other")).await.expect("asked"), None);
}

async fn a_stale_save_changes_nothing_and_adds_no_history(url: &str) {
    let store = open_whole(url).await;
    let read = opened(&*store, &onboarding("acme")).await;
    let mut first = read.clone();
    first.link.serial = 2;
    let first = store
        .save_onboarding(&first, &[event("link-made")])
        .await
        .expect("saved");
    assert!(first.revision > read.revision);
    let stale = store.save_onboarding(&read, &[event("answered")]).await;
    assert!(matches!(stale, Err(RegistryError::Conflict)), "{stale:?}");
    let stale = complete("acme");
    let stale = Onboarding {
        tenant: read.tenant,
        revision: read.revision,
        ..stale
    };
    let registered = Tenant::onboarded(&stale, clock()).expect("complete");
    let stale = store
        .activate(&active(&stale), &registered, &[event("activated")])
        .await;
    assert!(matches!(stale, Err(RegistryError::Conflict)), "{stale:?}");
    assert_eq!(store.find(&slug("acme")).await.expect("asked"), None);
    assert_eq!(store.onboarding_of(read.tenant).await.expect("asked"), Some(first));
    assert_eq!(kinds(&*store, &read).await, ["link-made", "opened"]);
}

async fn a_list_is_in_order_and_goes_on_where_it_stopped(url: &str) {
    let store = open_whole(url).await;
    for name in ["c", "a-b", "a", "b", "a1", "d"] {
        let mut onboarding = opened(&*store, &onboarding(name)).await;
        if name == "b" {
            onboarding.stage = Stage::Closed { at: clock() };
            store.save_onboarding(&onboarding, &[]).await.expect("saved");
        }
    }
    let list = async |after: Option<&str>, among: Option<&[_]>, limit| {
        let listed = store.list_onboardings(after.map(slug).as_ref(), among, limit).await;
        let names = listed.expect("listed").into_iter().map(|o| o.slug.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 3).await, ["a", "a-b", "a1"]);
    assert_eq!(list(Some("a1"), None, 3).await, ["c", "d"]);
    let among = ["nobody", "d", "b", "a1", "a"].map(slug);
    assert_eq!(list(None, Some(&among), 10).await, ["a", "a1", "d"]);
    assert_eq!(list(Some("a"), Some(&among), 1).await, ["a1"]);
    assert_eq!(list(None, Some(&[]), 10).await, [""; 0]);
}

async fn what_happened_is_told_newest_first(url: &str) {
    let store = open_whole(url).await;
    let acme = opened(&*store, &onboarding("acme")).await;
    opened(&*store, &onboarding("other")).await;
    let acme = store
        .save_onboarding(&acme, &[event("answered"), event("link-made")])
        .await;
    store.save_onboarding(&acme.expect("saved"), &[]).await.expect("saved");
    let acme = store
        .find_onboarding(&slug("acme"))
        .await
        .expect("asked")
        .expect("there");
    assert_eq!(kinds(&*store, &acme).await, ["link-made", "answered", "opened"]);
    let page = store.history(acme.tenant, Some(3), 1).await.expect("read");
    let (told, [page]) = (event("answered"), &page[..]) else {
        panic!("{page:?}")
    };
    assert_eq!((page.number, page.at, page.actor), (2, told.at, told.actor));
    assert_eq!((page.kind.as_str(), &page.details), (told.kind, &told.details));
    assert_eq!(
        store.history(tenant("x").keys.tenant, None, 10).await.expect("read"),
        []
    );
}

async fn an_activated_onboarding_is_a_tenant_of_its_id(url: &str) {
    let store = open_whole(url).await;
    let (acme, registered) = activated(&*store, "acme").await;
    assert_eq!(registered.keys.tenant, acme.tenant);
    assert_eq!(
        store.find(&slug("acme")).await.expect("asked"),
        Some(registered.clone())
    );
    let changes = tenant_changes(&*store, Revision(0), 10).await;
    assert_eq!(changes.len(), 1, "it is in the feed");
    assert_eq!(changes[0].tenant.as_ref(), Some(&registered));
    assert_eq!(kinds(&*store, &acme).await, ["activated", "opened"]);
    let again = store.activate(&acme, &registered, &[event("activated")]).await;
    assert!(matches!(again, Err(RegistryError::Conflict)), "{again:?}");
    assert_eq!(kinds(&*store, &acme).await, ["activated", "opened"], "once");
    assert_eq!(store.find_onboarding(&slug("acme")).await.expect("asked"), Some(acme));
}

async fn an_id_that_was_a_tenants_is_not_activated(url: &str) {
    let store = open_whole(url).await;
    let (acme, mut registered) = activated(&*store, "acme").await;
    registered.delete(clock(), Duration::ZERO);
    store.save(&registered).await.expect("saved");
    store.purge().await.expect("purged");
    let acme = store.onboarding_of(acme.tenant).await.expect("asked").expect("there");
    let anew = Tenant::onboarded(&acme, clock()).expect("complete");
    let again = store.activate(&acme, &anew, &[event("activated")]).await;
    assert!(matches!(again, Err(RegistryError::Conflict)), "{again:?}");
    assert_eq!(store.onboarding_of(acme.tenant).await.expect("asked"), Some(acme));
}

async fn an_activated_tenant_is_usable_at_once(url: &str) {
    let store = open_whole(url).await;
    let tenants: Arc<dyn TenantStore> = Arc::clone(&store) as _;
    let here = view(&tenants);
    let unknown = here.tenant(&slug("acme")).await.expect("asked");
    assert!(unknown.is_none(), "and the slug is now remembered as unknown");
    let acme = active(&opened(&*store, &complete("acme")).await);
    let registered = Tenant::onboarded(&acme, clock()).expect("complete");
    let activated = here.activate(&*store, &acme, &registered, &[]).await;
    let (_, registered) = activated.expect("activated");
    let found = here.tenant(&slug("acme")).await.expect("asked");
    assert_eq!(found.as_deref(), Some(&registered));
}

/// On another replica, where the database tells of it.
async fn whoever_shows_an_onboarding_is_told_of_its_changes(url: &str) {
    let here = open_whole(url).await;
    let there = if url.starts_with("postgres") {
        open_whole(url).await
    } else {
        Arc::clone(&here)
    };
    let tenants: Arc<dyn TenantStore> = Arc::clone(&here) as _;
    let _running = running(&view(&tenants));
    let mut changes = here.onboarding_changes();
    let acme = opened(&*there, &onboarding("acme")).await;
    until("it is told", async || {
        // Again and again: the first may come before anybody listens.
        let read = there.onboarding_of(acme.tenant).await.expect("asked").expect("there");
        there.save_onboarding(&read, &[]).await.expect("saved");
        changes.try_recv() == Ok(acme.tenant)
    })
    .await;
}

async fn activated(store: &dyn keyferry_registry::Store, name: &str) -> (Onboarding, Tenant) {
    let open = active(&opened(store, &complete(name)).await);
    let registered = Tenant::onboarded(&open, clock()).expect("complete");
    let activated = store.activate(&open, &registered, &[event("activated")]).await;
    activated.expect("activated")
}

async fn kinds(store: &dyn keyferry_registry::Store, of: &Onboarding) -> Vec<String> {
    let history = store.history(of.tenant, None, 10).await.expect("read");
    history.into_iter().map(|recorded| recorded.kind).collect()
}

//! The change feed when something goes wrong with it: notifications that are lost, a database that is away, writers that
//! commit late.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use keyferry_registry::{Registry, RegistryError, TenantStatus, TenantStore};

use crate::{
    fake::{Ordered, Question},
    stores::{Raw, empty_postgres, empty_sqlite, open, sqlite},
    world::{running, slug, tenant, tenants_told, until, view, view_polling},
};

#[tokio::test]
async fn a_change_that_nobody_tells_of_is_found_by_the_poll_in_sqlite() {
    let (url, _held) = empty_sqlite();
    untold_changes_are_found(&url, "(select max(revision) + 1 from tenants)").await;
}

#[tokio::test]
async fn a_change_that_nobody_tells_of_is_found_by_the_poll_in_postgres() {
    let Some(url) = empty_postgres().await else { return };
    untold_changes_are_found(&url, "nextval('tenant_revisions')").await;
}

/// The change is written past the store, which alone notifies.
async fn untold_changes_are_found(url: &str, next_revision: &str) {
    let store = open(url).await;
    let here = following(&store, view(&store)).await;
    let _running = running(&here);
    until("all is loaded", async || here.stats().loaded).await;
    let mut raw = Raw::connect(url).await;
    // Several: the first may come by the one look that every beginning takes.
    for (name, status) in [
        ("suspended", TenantStatus::Suspended),
        ("active", TenantStatus::Active),
        ("suspended", TenantStatus::Suspended),
    ] {
        let change = format!("update tenants set status = '{name}', revision = {next_revision} where slug = 'acme'");
        raw.execute(&change).await.expect("written");
        until("the view has it", async || self::status(&here).await == status).await;
    }
    assert_eq!(here.stats().store_reads, 0, "it came by the feed");
}

/// No poll is due in this test: what was written while nobody could listen is read because listening begins again.
#[tokio::test]
async fn what_was_missed_while_the_database_was_away_is_read_when_it_is_back() {
    let Some(url) = empty_postgres().await else { return };
    let store = open(&url).await;
    let here = following(&store, view_polling(&store, Duration::from_hours(1))).await;
    let _running = running(&here);
    let (base, database) = url.rsplit_once('/').expect("a URL");
    let mut admin = Raw::connect(&format!("{base}/postgres")).await;
    let others = format!(
        "from pg_stat_activity where datname = '{database}' and application_name = 'keyferry'
         and query <> 'select 1 as hand'"
    );
    let listens = format!("select query {others} and query ilike 'listen%'");
    until("it listens", async || admin.texts(&listens).await.len() == 1).await;

    let mut hand = Raw::connect(&url).await;
    hand.execute("select 1 as hand").await.expect("connected");
    let closed = format!("alter database {database} with allow_connections false");
    admin.execute(&closed).await.expect("closed");
    let cut = format!("select pg_terminate_backend(pid)::text {others}");
    until("all are cut off", async || admin.texts(&cut).await.is_empty()).await;
    hand.execute(
        "begin; update tenants set status = 'suspended', revision = nextval('tenant_revisions') where slug = 'acme';
         notify keyferry_tenants; commit",
    )
    .await
    .expect("written");

    assert_eq!(status(&here).await, TenantStatus::Active, "known tenants stay in use");
    let unknown = here.tenant(&slug("unknown")).await;
    assert!(matches!(unknown, Err(RegistryError::Unavailable(_))), "{unknown:?}");
    let open = format!("alter database {database} with allow_connections true");
    admin.execute(&open).await.expect("opened");
    until("the view has it", async || {
        status(&here).await == TenantStatus::Suspended
    })
    .await;
}

#[tokio::test]
async fn a_listener_that_was_cut_off_hears_again() {
    let Some(url) = empty_postgres().await else { return };
    let store = open(&url).await;
    let here = following(&store, view_polling(&store, Duration::from_hours(1))).await;
    let _running = running(&here);
    let mut raw = Raw::connect(&url).await;
    let listener = "from pg_stat_activity where datname = current_database() and query ilike 'listen%'";
    let listens = format!("select pid::text {listener}");
    until("it listens", async || raw.texts(&listens).await.len() == 1).await;
    let first = raw.texts(&listens).await;
    let cut = format!("select pg_terminate_backend(pid)::text {listener}");
    assert_eq!(raw.texts(&cut).await, ["true"]);
    until("another listens", async || {
        let now = raw.texts(&listens).await;
        now.len() == 1 && now != first
    })
    .await;
    let mut acme = store.find(&slug("acme")).await.expect("asked").expect("there");
    acme.suspend().expect("suspended");
    store.save(&acme).await.expect("saved by another replica");
    until("the view has it", async || {
        status(&here).await == TenantStatus::Suspended
    })
    .await;
}

/// One writer has drawn its revision and is held up before it can commit; another begins after it. If the second could
/// commit first, a view that read it would never look back for the first.
#[tokio::test]
async fn a_writer_that_commits_late_is_not_skipped() {
    let Some(url) = empty_postgres().await else { return };
    let store = open(&url).await;
    let here = following(&store, view(&store)).await;
    let acme = store.find(&slug("acme")).await.expect("asked").expect("there");
    let other = store.create(&tenant("other"), None).await.expect("created").tenant;
    here.follow().await.expect("followed");
    let mut raw = Raw::connect(&url).await;
    raw.execute("begin; select from tenants where slug = 'acme' for update")
        .await
        .expect("held up");

    let suspend = |mut tenant: keyferry_registry::Tenant| {
        let store = Arc::clone(&store);
        tenant.suspend().expect("suspended");
        tokio::spawn(async move { store.save(&tenant).await })
    };
    let mut observer = Raw::connect(&url).await;
    let mut waiting = async || {
        let query =
            "select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        observer.texts(query).await.len()
    };
    let late = suspend(acme);
    until("the first waits for the row", async || waiting().await == 1).await;
    let early = suspend(other);
    until("the second waits for its turn, or is through", async || {
        waiting().await == 2 || early.is_finished()
    })
    .await;
    here.follow().await.expect("followed");
    raw.execute("rollback").await.expect("let go");

    let (late, early) = (late.await.expect("joined"), early.await.expect("joined"));
    let (late, early) = (late.expect("saved"), early.expect("saved"));
    here.follow().await.expect("followed");
    assert_eq!(
        status(&here).await,
        TenantStatus::Suspended,
        "the late one is not skipped"
    );
    assert!(late.revision < early.revision, "and it came first");
    assert_eq!(here.stats().store_reads, 0, "it came by the feed");
}

#[tokio::test]
async fn what_is_written_here_holds_here_even_if_the_feed_does_not_answer() {
    let (real, _held) = sqlite().await;
    let store = Ordered::over(&real);
    let here = following(&(Arc::clone(&store) as _), view(&(Arc::clone(&store) as _))).await;
    let mut changes = here.changes();
    store.feed_is_down.store(true, SeqCst);
    let mut unseen = real.create(&tenant("unseen"), None).await.expect("created").tenant;
    let created = here.create(&tenant("other"), None).await.expect("created").tenant;
    assert_eq!(
        here.tenant(&slug("other")).await.expect("asked").as_deref(),
        Some(&created)
    );
    let mut acme = real.find(&slug("acme")).await.expect("asked").expect("there");
    acme.suspend().expect("suspended");
    here.save(&acme).await.expect("saved");
    assert_eq!(status(&here).await, TenantStatus::Suspended);
    assert_eq!(here.stats().store_reads, 0, "it is in the view");
    assert_eq!(
        tenants_told(&mut changes),
        [created.keys.tenant, acme.keys.tenant],
        "whoever keeps their keys is told"
    );

    // What others had written before was not skipped.
    unseen.suspend().expect("suspended");
    store.feed_is_down.store(false, SeqCst);
    here.follow().await.expect("followed");
    assert!(here.tenant(&slug("unseen")).await.expect("asked").is_some());
    assert_eq!(here.stats().store_reads, 0, "it came by the feed");
}

/// A page that was read before is not taken for newer than what was written here since.
#[tokio::test]
async fn a_late_page_of_the_feed_undoes_nothing_that_was_written_here() {
    let (real, _held) = sqlite().await;
    let store = Ordered::over(&real);
    let here = view(&(Arc::clone(&store) as _));
    let mut acme = real.create(&tenant("acme"), None).await.expect("created").tenant;
    let late = store.holds_back(Question::Page);
    let following = tokio::spawn({
        let here = Arc::clone(&here);
        async move { here.follow().await }
    });
    late.was_read.await.expect("told");
    acme.suspend().expect("suspended");
    store.feed_is_down.store(true, SeqCst);
    here.save(&acme).await.expect("saved");
    late.release.send(()).expect("it waits");
    // The page is in, and the one after it, which would mend what it broke, fails.
    following.await.expect("joined").expect("followed");
    assert_eq!(status(&here).await, TenantStatus::Suspended);
}

/// A view that has one tenant, `acme`, in memory.
async fn following(store: &Arc<dyn TenantStore>, view: Arc<Registry>) -> Arc<Registry> {
    store.create(&tenant("acme"), None).await.expect("created");
    view.follow().await.expect("followed");
    assert_eq!(status(&view).await, TenantStatus::Active);
    view
}

async fn status(view: &Registry) -> TenantStatus {
    let acme = view.tenant(&slug("acme")).await.expect("in memory");
    acme.expect("there").status
}

//! A database that loses changes which it has acknowledged, as a failover to a server that lagged does, and gives their
//! revisions to others.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use keyferry_registry::{Changed, Registry, Tenant, TenantStatus, TenantStore};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use crate::{
    fake::{Ordered, Question},
    stores::{Raw, clock, on_each_database, open},
    world::{running, slug, tenant, until, view},
};

on_each_database!(
    a_history_that_goes_back_is_read_again,
    revisions_that_are_given_again_are_not_taken_for_known,
    a_tenants_own_revision_given_again_is_not_taken_for_known,
    what_was_written_here_and_then_lost_is_forgotten,
    a_late_page_of_a_lost_history_is_not_taken_in,
    a_loss_amid_a_look_is_noticed,
    a_history_that_goes_on_is_read_once,
);

async fn a_history_that_goes_back_is_read_again(url: &str) {
    let store = open(url).await;
    let here = following(&store, ["acme", "globex", "initech"]).await;
    let mut changes = here.changes();
    let _running = running(&here);
    let mut raw = Raw::connect(url).await;
    raw.execute(&format!("{LOSES_THE_LAST_TWO}; {SUSPENDS_IN_THEIR_PLACE}"))
        .await
        .expect("written");
    until("the suspension holds", async || {
        status(&here, "acme").await == Some(TenantStatus::Suspended)
    })
    .await;
    assert_eq!(status(&here, "globex").await, None, "what was lost is forgotten");
    assert!(everything_may_have_changed(&mut changes), "whoever keeps keys is told");
    assert!(here.stats().loaded, "it stays ready");

    // From here on the new history is followed, though it is not longer than the old one yet.
    raw.execute("update tenants set status = 'active', revision = 3 where slug = 'acme'")
        .await
        .expect("written");
    until("the resumption holds", async || {
        status(&here, "acme").await == Some(TenantStatus::Active)
    })
    .await;
}

/// The view looks only when the new history is longer than the one it knows: its own last revision is another's by now, or
/// below the newest.
async fn revisions_that_are_given_again_are_not_taken_for_known(url: &str) {
    let store = open(url).await;
    let here = following(&store, ["acme", "globex", "initech"]).await;
    let mut changes = here.changes();
    let mut raw = Raw::connect(url).await;
    raw.execute(&format!("{LOSES_THE_LAST_TWO}; {SUSPENDS_IN_THEIR_PLACE}"))
        .await
        .expect("written");
    for name in ["umbrella", "wayne"] {
        store.create(&tenant(name), None).await.expect("created");
    }
    here.follow().await.expect("followed");
    assert_eq!(status(&here, "acme").await, Some(TenantStatus::Suspended));
    assert_eq!(status(&here, "globex").await, None);
    assert_eq!(status(&here, "umbrella").await, Some(TenantStatus::Active));
    assert!(everything_may_have_changed(&mut changes));
}

async fn a_tenants_own_revision_given_again_is_not_taken_for_known(url: &str) {
    let store = open(url).await;
    let here = following(&store, ["acme"]).await;
    let mut changes = here.changes();
    let mut raw = Raw::connect(url).await;
    raw.execute(&loses_the_first(&raw)).await.expect("written");
    here.follow().await.expect("followed");
    assert_eq!(status(&here, "acme").await, Some(TenantStatus::Suspended));
    assert!(everything_may_have_changed(&mut changes));
}

/// The feed never told of it, and the database was lost before it could.
async fn what_was_written_here_and_then_lost_is_forgotten(url: &str) {
    let store = Ordered::over(&open(url).await);
    let here = following(&(Arc::clone(&store) as _), ["acme"]).await;
    let mut raw = Raw::connect(url).await;
    store.feed_is_down.store(true, SeqCst);
    let mut acme = store.find(&slug("acme")).await.expect("asked").expect("there");
    acme.suspend().expect("suspended");
    here.save(&acme).await.expect("saved");
    assert_eq!(status(&here, "acme").await, Some(TenantStatus::Suspended));

    raw.execute("update tenants set status = 'active', revision = 1 where slug = 'acme'")
        .await
        .expect("lost");
    store.feed_is_down.store(false, SeqCst);
    here.follow().await.expect("followed");
    assert_eq!(status(&here, "acme").await, Some(TenantStatus::Active));
}

/// One task has read a page and heard that its history holds; before it can go on, the changes are lost and another task has
/// begun anew.
async fn a_late_page_of_a_lost_history_is_not_taken_in(url: &str) {
    let store = Ordered::over(&open(url).await);
    let here = following(&(Arc::clone(&store) as _), ["acme"]).await;
    for name in ["globex", "initech"] {
        store.create(&tenant(name), None).await.expect("created");
    }
    let late = store.holds_back(Question::Memory);
    let following = tokio::spawn({
        let here = Arc::clone(&here);
        async move { here.follow().await }
    });
    late.was_read.await.expect("told");
    let mut raw = Raw::connect(url).await;
    raw.execute(&format!("{LOSES_THE_LAST_TWO}; {}", loses_the_first(&raw)))
        .await
        .expect("written");
    here.follow().await.expect("followed");
    late.release.send(()).expect("it waits");
    following.await.expect("joined").expect("followed");
    for name in ["globex", "initech"] {
        assert_eq!(status(&here, name).await, None);
    }
    assert_eq!(status(&here, "acme").await, Some(TenantStatus::Suspended));
}

/// One question of a look is answered by the old history, the next by the new one.
async fn a_loss_amid_a_look_is_noticed(url: &str) {
    let store = Ordered::over(&open(url).await);
    let here = following(&(Arc::clone(&store) as _), ["acme", "globex", "initech"]).await;
    let late = store.holds_back(Question::Memory);
    let looking = tokio::spawn({
        let here = Arc::clone(&here);
        async move { here.follow().await }
    });
    late.was_read.await.expect("told");
    let mut raw = Raw::connect(url).await;
    raw.execute(&format!("{LOSES_THE_LAST_TWO}; {SUSPENDS_IN_THEIR_PLACE}"))
        .await
        .expect("written");
    for name in ["umbrella", "wayne"] {
        store.create(&tenant(name), None).await.expect("created");
    }
    late.release.send(()).expect("it waits");
    looking.await.expect("joined").expect("followed");
    here.follow().await.expect("followed");
    assert_eq!(status(&here, "acme").await, Some(TenantStatus::Suspended));
}

/// Nothing that a database does in its right mind looks like a loss: that would cost every tenant its cached keys.
async fn a_history_that_goes_on_is_read_once(url: &str) {
    let store = open(url).await;
    let here = following(&store, ["acme", "globex"]).await;
    let mut changes = here.changes();
    let mut globex = store.find(&slug("globex")).await.expect("asked").expect("there");
    let changes_of_globex: [fn(&mut Tenant); 3] = [
        |tenant| tenant.suspend().expect("suspended"),
        Tenant::resume,
        |tenant| tenant.delete(clock(), std::time::Duration::ZERO),
    ];
    for change in changes_of_globex {
        change(&mut globex);
        globex = store.save(&globex).await.expect("saved");
        here.follow().await.expect("followed");
        here.follow().await.expect("followed again");
        assert_eq!(status(&here, "globex").await, Some(globex.status));
    }
    store.purge().await.expect("purged");
    for _ in 0..2 {
        here.follow().await.expect("followed");
    }
    for name in ["initech", "globex"] {
        here.create(&tenant(name), None).await.expect("created");
        here.follow().await.expect("followed");
    }
    assert!(!everything_may_have_changed(&mut changes));
    assert_eq!(here.stats().store_reads, 0, "nothing was dropped");
}

/// Of three tenants, the last two registrations are lost.
const LOSES_THE_LAST_TWO: &str = "delete from tenants where revision > 1";
const SUSPENDS_IN_THEIR_PLACE: &str = "update tenants set status = 'suspended', revision = 2 where slug = 'acme'";

/// The first registration is lost, and made again with its revision; the tenant is another now.
fn loses_the_first(raw: &Raw) -> String {
    let later = match raw {
        Raw::Postgres(_) => "updated_at + interval '1 microsecond'",
        Raw::Sqlite(_) => "updated_at + 1",
    };
    format!("update tenants set status = 'suspended', updated_at = {later} where slug = 'acme'")
}

/// A view that has seen these tenants registered.
async fn following<const N: usize>(store: &Arc<dyn TenantStore>, names: [&str; N]) -> Arc<Registry> {
    for name in names {
        store.create(&tenant(name), None).await.expect("created");
    }
    let here = view(store);
    here.follow().await.expect("followed");
    here
}

async fn status(view: &Registry, name: &str) -> Option<TenantStatus> {
    view.tenant(&slug(name))
        .await
        .expect("asked")
        .map(|tenant| tenant.status)
}

fn everything_may_have_changed(changes: &mut Receiver<Changed>) -> bool {
    loop {
        match changes.try_recv() {
            Ok(Changed::Everything) => return true,
            Ok(Changed::Tenant(_) | Changed::Key(_) | Changed::Heard(..)) => {}
            Err(TryRecvError::Empty) => return false,
            Err(error) => panic!("{error}"),
        }
    }
}

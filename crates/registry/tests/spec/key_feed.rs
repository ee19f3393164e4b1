//! What happens to keys, in the change feed; and when all was heard.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use keyferry_registry::{
    Change, Changed, Revision, Store, TenantStatus, TenantStore,
    key::{KeyEvent, KeyNews, ReplicaId},
};
use tokio::{
    sync::broadcast::{Receiver, error::TryRecvError},
    time::Instant,
};

use crate::{
    fake::{Ordered, Question},
    key_world::{kek, registered, withdrawn},
    stores::{Raw, empty_postgres, on_each_database, open_whole, sqlite},
    world::{running, slug, tenants_told, until, view, view_polling},
};

on_each_database!(
    the_feed_tells_of_tenants_and_keys_in_one_order,
    what_happens_to_a_key_is_told_on_every_replica,
    what_happens_to_a_key_is_found_by_the_poll_alone,
    what_happened_before_a_view_began_is_not_told,
    a_key_event_that_is_lost_is_noticed,
    a_key_event_from_before_a_view_that_is_lost_is_noticed,
    a_key_event_that_is_forgotten_is_no_loss,
    what_cannot_be_read_of_a_key_is_told_as_a_change_of_its_tenant,
    a_view_that_has_read_all_says_since_when,
    nothing_is_heard_from_a_feed_that_does_not_answer,
    whoever_hears_has_been_told_of_all_that_was_there,
);

async fn tells(store: &dyn Store, tenant: TenantId, news: &KeyNews) -> Revision {
    let told = store.tell_key_news(ReplicaId::generate(), tenant, news, Duration::ZERO);
    told.await.expect("told").expect("new")
}

async fn the_feed_tells_of_tenants_and_keys_in_one_order(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let mut expected = vec![acme.revision];
    for n in 0..3 {
        expected.push(tells(&*store, acme.keys.tenant, &withdrawn("r-1")).await);
        expected.push(registered(&*store, &format!("t{n}")).await.revision);
    }
    assert!(expected.is_sorted());
    let read = async |after: Revision, limit| {
        let changes = store.changes(after.into(), limit).await.expect("read");
        changes.iter().map(|change| change.mark().revision).collect::<Vec<_>>()
    };
    assert_eq!(read(Revision(0), 100).await, expected);
    let (mut paged, mut after) = (Vec::new(), Revision(0));
    loop {
        let page = read(after, 2).await;
        paged.extend_from_slice(&page);
        if page.len() < 2 {
            break;
        }
        after = page[1];
    }
    assert_eq!(paged, expected, "page by page, the same");
    assert_eq!(store.newest().await.expect("read"), expected[6]);
    let keys = Change::mark(&store.changes(expected[0].into(), 1).await.expect("read")[0]);
    assert!(store.remembers(&keys).await.expect("asked"));
}

/// No poll is due in this test.
async fn what_happens_to_a_key_is_told_on_every_replica(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let here = view_polling(&(Arc::clone(&store) as _), Duration::from_hours(1));
    let mut changes = here.changes();
    let _running = running(&here);
    if url.starts_with("postgres") {
        let mut raw = Raw::connect(url).await;
        let listens = "select query from pg_stat_activity where datname = current_database() and query ilike 'listen%'";
        until("it listens", async || raw.texts(listens).await.len() == 1).await;
    }
    until("all is loaded", async || here.stats().loaded).await;
    let revision = tells(&*store, acme.keys.tenant, &withdrawn("r-1")).await;
    until("it is told", async || {
        keys_told(&mut changes)
            .iter()
            .any(|event| (event.revision, event.tenant, &event.what) == (revision, acme.keys.tenant, &withdrawn("r-1")))
    })
    .await;
}

/// The event is written past the store, which alone notifies.
async fn what_happens_to_a_key_is_found_by_the_poll_alone(url: &str) {
    let store = open_whole(url).await;
    registered(&*store, "acme").await;
    let here = view(&(Arc::clone(&store) as _));
    let mut changes = here.changes();
    let _running = running(&here);
    until("all is loaded", async || here.stats().loaded).await;
    let mut raw = Raw::connect(url).await;
    // Several: the first may come by the one look that every beginning takes.
    for revision in 2..5 {
        raw.writes_event(revision, HEALTHY).await;
        until("it is told", async || {
            keys_told(&mut changes).iter().any(|event| event.revision.0 == revision)
        })
        .await;
    }
}

async fn what_happened_before_a_view_began_is_not_told(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    tells(&*store, acme.keys.tenant, &withdrawn("r-1")).await;
    registered(&*store, "other").await;
    tells(&*store, acme.keys.tenant, &withdrawn("r-2")).await;
    let here = view(&(Arc::clone(&store) as _));
    let mut changes = here.changes();
    here.follow().await.expect("followed");
    assert_eq!(keys_told(&mut changes), []);
    let news = KeyNews::Version(kek(1));
    tells(&*store, acme.keys.tenant, &news).await;
    here.follow().await.expect("followed");
    let told = keys_told(&mut changes).into_iter().map(|event| event.what);
    assert_eq!(told.collect::<Vec<_>>(), [news]);
}

/// All that it may have led to is undone, and what happens from then on is told.
async fn a_key_event_that_is_lost_is_noticed(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let here = view(&(Arc::clone(&store) as _));
    let mut changes = here.changes();
    here.follow().await.expect("followed");
    let lost = tells(&*store, acme.keys.tenant, &withdrawn("r-1")).await;
    here.follow().await.expect("followed");
    assert_eq!(keys_told(&mut changes).len(), 1);
    let mut raw = Raw::connect(url).await;
    raw.loses_events().await;
    // Its revision is given again, to another.
    raw.writes_event(lost.0, HEALTHY).await;
    here.follow().await.expect("followed");
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert_eq!(told[0], Changed::Everything);
    assert!(
        !told.iter().any(|changed| matches!(changed, Changed::Key(_))),
        "nothing is held: {told:?}"
    );
    raw.writes_event(lost.0 + 1, HEALTHY).await;
    here.follow().await.expect("followed");
    assert_eq!(keys_told(&mut changes).len(), 1);
}

/// Of what happened before a view began it is not told, and yet it must notice that it is lost: else it would not be told of what
/// happens under the same revisions either.
async fn a_key_event_from_before_a_view_that_is_lost_is_noticed(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let lost = tells(&*store, acme.keys.tenant, &withdrawn("r-1")).await;
    let here = view(&(Arc::clone(&store) as _));
    here.follow().await.expect("followed");
    let mut changes = here.changes();
    let mut raw = Raw::connect(url).await;
    raw.loses_events().await;
    raw.writes_event(lost.0, HEALTHY).await;
    here.follow().await.expect("followed");
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    let everything = told.iter().filter(|changed| **changed == Changed::Everything);
    assert_eq!(
        everything.count(),
        2,
        "at once, and when it is known what is told from then on: {told:?}"
    );
    raw.writes_event(lost.0 + 1, HEALTHY).await;
    here.follow().await.expect("followed");
    assert_eq!(keys_told(&mut changes).len(), 1);
}

async fn a_key_event_that_is_forgotten_is_no_loss(url: &str) {
    let store = open_whole(url).await;
    registered(&*store, "acme").await;
    let here = view(&(Arc::clone(&store) as _));
    let mut changes = here.changes();
    here.follow().await.expect("followed");
    let mut raw = Raw::connect(url).await;
    raw.writes_ancient_event(2).await;
    here.follow().await.expect("followed");
    assert_eq!(keys_told(&mut changes).len(), 1);
    raw.execute("delete from key_events").await.expect("forgotten");
    here.follow().await.expect("followed");
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert!(!told.contains(&Changed::Everything), "{told:?}");
}

async fn what_cannot_be_read_of_a_key_is_told_as_a_change_of_its_tenant(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let here = view(&(Arc::clone(&store) as _));
    here.follow().await.expect("followed");
    let mut changes = here.changes();
    let mut raw = Raw::connect(url).await;
    for (revision, details) in [
        (2, r#"{"state": "healthy", "cause": null, "evidence": null, "more": 1}"#),
        (3, r#"{"state": "unheard-of", "cause": null, "evidence": null}"#),
        (
            4,
            r#"{"state": "refused", "cause": "unheard-of", "evidence": {"status": null, "code": null, "request_id": null}}"#,
        ),
        (5, r#"{"state": "healthy", "cause": "throttled", "evidence": null}"#),
    ] {
        raw.writes_event(revision, details).await;
        here.follow().await.expect("followed");
        assert_eq!(tenants_told(&mut changes), [acme.keys.tenant], "{details}");
    }
    raw.writes_event(6, HEALTHY).await;
    here.follow().await.expect("followed");
    assert_eq!(keys_told(&mut changes).len(), 1, "it keeps nobody from the others");
}

async fn a_view_that_has_read_all_says_since_when(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    Raw::connect(url).await.multiply(1_500).await;
    let here = view(&(Arc::clone(&store) as _));
    let mut changes = here.changes();
    let before = Instant::now();
    here.follow().await.expect("followed");
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    let Some(Changed::Heard(at, revision)) = told.last() else {
        panic!("{:?}", told.last())
    };
    assert!(*at >= before);
    assert_eq!(*revision, Revision(1_501));
    assert_eq!(told.len(), 1_502, "once, though there were two pages");
    let told = tells(&*store, acme.keys.tenant, &withdrawn("r-1")).await;
    let between = Instant::now();
    here.follow().await.expect("followed");
    assert!(matches!(changes.try_recv(), Ok(Changed::Key(event)) if event.revision == told));
    assert!(matches!(changes.try_recv(), Ok(Changed::Heard(at, revision)) if at >= between && revision == told));
    here.follow().await.expect("followed");
    assert!(
        matches!(changes.try_recv(), Ok(Changed::Heard(_, revision)) if revision == told),
        "each time"
    );
}

async fn nothing_is_heard_from_a_feed_that_does_not_answer(url: &str) {
    let store = Ordered::over(&(open_whole(url).await as Arc<dyn TenantStore>));
    let here = view(&(Arc::clone(&store) as _));
    let mut changes = here.changes();
    store.feed_is_down.store(true, SeqCst);
    here.follow().await.expect_err("it is down");
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
    store.feed_is_down.store(false, SeqCst);
    here.follow().await.expect("followed");
    assert!(matches!(changes.try_recv(), Ok(Changed::Heard(..))));
}

/// One task reads a page, and is held up; another reads after it, and is through first. What the first says then is older than what
/// the second said, and nobody is told to have heard less than before.
#[tokio::test]
async fn a_late_reader_takes_back_nothing_that_was_heard() {
    let (real, _held) = sqlite().await;
    let store = Ordered::over(&real);
    let here = view(&(Arc::clone(&store) as _));
    here.follow().await.expect("followed");
    let mut changes = here.changes();
    let late = store.holds_back(Question::Page);
    let first = tokio::spawn({
        let here = Arc::clone(&here);
        async move { here.follow().await }
    });
    late.was_read.await.expect("told");
    real.create(&crate::world::tenant("acme"), None).await.expect("created");
    here.follow().await.expect("followed");
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    assert!(
        matches!(told[..], [Changed::Tenant(_), Changed::Heard(_, Revision(1))]),
        "{told:?}"
    );
    late.release.send(()).expect("it waits");
    first.await.expect("joined").expect("followed");
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}

/// Several tasks follow and others write, of keys and of tenants, all at once. Whoever hears that all up to a time is told, has been told of whatever
/// had been acknowledged to its writer by then; of all up to the revision; and of nothing twice.
async fn whoever_hears_has_been_told_of_all_that_was_there(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let here = view(&(Arc::clone(&store) as _));
    here.follow().await.expect("followed");
    let mut changes = here.changes();
    let writers = (0..3).map(|_| {
        let (store, tenant) = (Arc::clone(&store), acme.keys.tenant);
        tokio::spawn(async move {
            let mut written = Vec::new();
            for n in 0..15 {
                let revision = tells(&*store, tenant, &withdrawn(&n.to_string())).await;
                written.push((revision, Instant::now()));
            }
            written
        })
    });
    let mut writers: Vec<_> = writers.collect();
    writers.push(tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut written = Vec::new();
            for n in 0..15 {
                let tenant = registered(&*store, &format!("t{n}")).await;
                written.push((tenant.revision, Instant::now()));
            }
            written
        }
    }));
    let followers = (0..4).map(|_| {
        let here = Arc::clone(&here);
        tokio::spawn(async move {
            for _ in 0..30 {
                here.follow().await.expect("followed");
            }
        })
    });
    let followers: Vec<_> = followers.collect();
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.expect("joined"));
    }
    for follower in followers {
        follower.await.expect("joined");
    }
    here.follow().await.expect("followed");

    let registered = revisions(&*store).await;
    let (mut told, mut heard, mut last) = (Vec::new(), 0, None);
    while let Ok(changed) = changes.try_recv() {
        match changed {
            Changed::Key(event) => told.push(event.revision),
            Changed::Tenant(tenant) => told.push(registered[&tenant]),
            Changed::Heard(at, revision) => {
                let was_there = written.iter().filter(|(drawn, when)| *when <= at || *drawn <= revision);
                for (drawn, _) in was_there {
                    assert!(told.contains(drawn), "{drawn:?} is told before {revision:?} is heard");
                }
                assert!(last.is_none_or(|last| last < at), "it never goes back");
                (heard, last) = (heard + 1, Some(at));
            }
            Changed::Everything => panic!("nothing was lost"),
        }
    }
    written.sort_unstable();
    assert_eq!(
        told,
        written.into_iter().map(|(drawn, _)| drawn).collect::<Vec<_>>(),
        "in order, once"
    );
    assert!(heard > 1);
}

/// A page is read in two: tenants, and what happened to keys. Between the two a tenant changes, and then something happens to a
/// key. Whoever took in the second without the first would never look back for it.
#[tokio::test]
async fn what_comes_amid_the_reading_of_a_page_is_not_skipped() {
    let Some(url) = empty_postgres().await else { return };
    let store = open_whole(&url).await;
    registered(&*store, "acme").await;
    let here = view(&(Arc::clone(&store) as _));
    here.follow().await.expect("followed");
    let mut changes = here.changes();
    let mut raw = Raw::connect(&url).await;
    raw.execute("begin; lock table key_events").await.expect("locked");
    let following = tokio::spawn({
        let here = Arc::clone(&here);
        async move { here.follow().await }
    });
    let mut observer = Raw::connect(&url).await;
    let waits = "select query from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                 and query like '%from key_events%'";
    until("tenants are read, and keys are not", async || {
        observer.texts(waits).await.len() == 1
    })
    .await;
    raw.execute("update tenants set status = 'suspended', revision = 2")
        .await
        .expect("written");
    raw.writes_event(3, HEALTHY).await;
    raw.execute("commit").await.expect("let go");
    following.await.expect("joined").expect("followed");
    here.follow().await.expect("followed");
    let acme = here.tenant(&slug("acme")).await.expect("in memory").expect("there");
    assert_eq!(acme.status, TenantStatus::Suspended);
    assert_eq!(keys_told(&mut changes).len(), 1);
}

/// At which revision each tenant is.
async fn revisions(store: &dyn Store) -> HashMap<TenantId, Revision> {
    let tenants = store.list(None, 1_000).await.expect("listed").into_iter();
    tenants.map(|tenant| (tenant.keys.tenant, tenant.revision)).collect()
}

const HEALTHY: &str = r#"{"state": "healthy", "cause": null, "evidence": null}"#;

/// What a view has told of keys since it was last asked.
fn keys_told(changes: &mut Receiver<Changed>) -> Vec<KeyEvent> {
    let told = std::iter::from_fn(|| changes.try_recv().ok());
    told.filter_map(|changed| match changed {
        Changed::Key(event) => Some(KeyEvent::clone(&event)),
        Changed::Tenant(_) | Changed::Heard(..) | Changed::Everything => None,
    })
    .collect()
}

impl Raw {
    /// Writes, past the store, that a state of the one tenant's key became this.
    async fn writes_event(&mut self, revision: i64, details: &str) {
        let now = match self {
            Self::Postgres(_) => "statement_timestamp()",
            Self::Sqlite(_) => "created_at + 1",
        };
        self.writes_event_of(revision, details, now).await;
    }

    async fn writes_ancient_event(&mut self, revision: i64) {
        let then = match self {
            Self::Postgres(_) => "'2001-01-01 00:00:00+00'",
            Self::Sqlite(_) => "0",
        };
        self.writes_event_of(revision, HEALTHY, then).await;
    }

    async fn writes_event_of(&mut self, revision: i64, details: &str, at: &str) {
        let id = match self {
            Self::Postgres(_) => "gen_random_uuid()",
            Self::Sqlite(_) => "randomblob(16)",
        };
        self.execute(&format!(
            "insert into key_events (revision, tenant_id, at, replica, kind, details)
             select {revision}, id, {at}, {id}, 'state', '{details}' from tenants where slug = 'acme'"
        ))
        .await
        .expect("written");
    }

    /// As a failover to a server that lagged.
    async fn loses_events(&mut self) {
        self.execute(match self {
            Self::Postgres(_) => {
                "alter table key_events disable trigger user; delete from key_events;
                 alter table key_events enable trigger user"
            }
            Self::Sqlite(_) => "delete from key_events",
        })
        .await
        .expect("lost");
    }
}

//! What happened to keys: told once, kept for a while, and acknowledged by those who obeyed.

use std::time::Duration;

use keyferry_crypto::vault::VaultCause;
use keyferry_registry::{
    Revision, Tenant,
    key::{KeyNews, KeyState, Looked, Replica, ReplicaId},
};

use crate::{
    key_world::{claimed, claims_one, kek, looked, registered, replica, saves, trouble, withdrawn},
    stores::{Raw, on_each_database, open_whole},
};

on_each_database!(
    the_same_is_not_told_again_within_the_pause,
    what_comes_back_is_told_again,
    what_is_told_makes_the_key_due,
    news_of_looks_come_in_their_order,
    what_happened_is_paged_newest_first,
    what_happened_is_changed_by_nobody,
    what_happened_is_forgotten_when_it_is_old,
    of_a_key_to_which_much_happens_the_newest_is_kept,
    withdrawals_are_acknowledged_once_by_each,
    replicas_are_known_while_they_say_so,
    a_replica_of_any_name_is_known,
);

const HOUR: Duration = Duration::from_hours(1);

async fn the_same_is_not_told_again_within_the_pause(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let globex = registered(&*store, "globex").await;
    let me = ReplicaId::generate();
    let tells = async |tenant: &Tenant, news: KeyNews, pause| {
        let told = store.tell_key_news(me, tenant.keys.tenant, &news, pause).await;
        told.expect("asked").is_some()
    };
    assert!(tells(&acme, withdrawn("r-1"), HOUR).await);
    assert!(!tells(&acme, withdrawn("r-1"), HOUR).await);
    assert!(
        !tells(&acme, withdrawn("r-2"), HOUR).await,
        "the vault's own words are another's each time"
    );
    assert!(tells(&globex, withdrawn("r-1"), HOUR).await, "another tenant's");
    let refused = KeyState::Refused(trouble(VaultCause::RoleMissing));
    assert!(tells(&acme, KeyNews::State(refused), HOUR).await, "something else");
    assert!(tells(&acme, KeyNews::Version(kek(1)), HOUR).await);
    assert!(tells(&acme, KeyNews::Version(kek(2)), HOUR).await);
    assert!(
        tells(&acme, withdrawn("r-3"), Duration::ZERO).await,
        "the pause is over"
    );
}

/// However short a while it was otherwise: whoever went back to what was before is told again.
async fn what_comes_back_is_told_again(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let tells = async |news: &KeyNews| {
        let told = store.tell_key_news(me, acme.keys.tenant, news, HOUR).await;
        told.expect("asked").is_some()
    };
    let healthy = KeyNews::State(KeyState::Healthy);
    let degraded = KeyNews::State(KeyState::Degraded(trouble(VaultCause::Throttled)));
    let (first, second) = (KeyNews::Version(kek(1)), KeyNews::Version(kek(2)));
    for news in [withdrawn("r-1"), healthy, first] {
        assert!(tells(&news).await, "{news:?}");
    }
    let healthy = KeyNews::State(KeyState::Healthy);
    let first = KeyNews::Version(kek(1));
    assert!(!tells(&healthy).await, "it is healthy still");
    assert!(!tells(&first).await, "it is the newest still");
    for news in [withdrawn("r-2"), healthy, degraded] {
        assert!(tells(&news).await, "{news:?}");
    }
    for news in [second, first] {
        assert!(tells(&news).await, "{news:?}");
    }
}

async fn what_is_told_makes_the_key_due(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    let told = store
        .tell_key_news(other, acme.keys.tenant, &withdrawn("r-1"), HOUR)
        .await;
    told.expect("told").expect("new");
    assert_eq!(claimed(&*store, me).await, [acme.keys.tenant]);
}

async fn news_of_looks_come_in_their_order(url: &str) {
    let store = open_whole(url).await;
    let me = ReplicaId::generate();
    let mut looks = Vec::new();
    for name in ["a", "b", "c"] {
        registered(&*store, name).await;
        looks.push(Looked {
            news: vec![withdrawn(name), KeyNews::State(KeyState::Healthy)],
            ..looked(claims_one(&*store, me).await)
        });
    }
    let revisions = store.save_looks(me, &looks, HOUR).await.expect("saved");
    assert_eq!(revisions.len(), 6);
    assert!(revisions.is_sorted());
    for (n, look) in looks.iter().enumerate() {
        let events = store.key_events(look.health.tenant, None, 10).await.expect("read");
        let told: Vec<_> = events.iter().rev().map(|event| event.what.clone()).collect();
        assert_eq!(told, look.news);
        let drawn: Vec<_> = events.iter().rev().map(|event| event.revision).collect();
        assert_eq!(drawn, revisions[2 * n..2 * n + 2]);
    }
    assert_eq!(store.save_looks(me, &[], HOUR).await.expect("saved"), []);
}

async fn what_happened_is_paged_newest_first(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let globex = registered(&*store, "globex").await;
    let me = ReplicaId::generate();
    let mut told = Vec::new();
    for version in 0..5 {
        let news = KeyNews::Version(kek(version));
        let revision = store.tell_key_news(me, acme.keys.tenant, &news, HOUR).await;
        told.insert(0, revision.expect("told").expect("new"));
        let other = store.tell_key_news(me, globex.keys.tenant, &news, HOUR).await;
        other.expect("told").expect("new");
    }
    let page = async |before, limit| {
        let events = store.key_events(acme.keys.tenant, before, limit).await.expect("read");
        assert!(
            events
                .iter()
                .all(|event| event.tenant == acme.keys.tenant && event.by == me)
        );
        events.into_iter().map(|event| event.revision).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2).await, told[..2]);
    assert_eq!(page(Some(told[1]), 2).await, told[2..4]);
    assert_eq!(page(Some(told[3]), 2).await, told[4..]);
    assert_eq!(page(Some(told[4]), 2).await, []);
}

async fn what_happened_is_changed_by_nobody(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let told = store
        .tell_key_news(ReplicaId::generate(), acme.keys.tenant, &withdrawn("r-1"), HOUR)
        .await;
    told.expect("told").expect("new");
    let mut statements = vec!["update key_events set kind = 'state'"];
    if matches!(raw, Raw::Postgres(_)) {
        statements.extend(["delete from key_events", "truncate key_events cascade"]);
    }
    for statement in statements {
        let refused = raw.execute(statement).await.expect_err(statement);
        assert!(refused.to_string().contains("only added to"), "{refused}");
    }
}

async fn what_happened_is_forgotten_when_it_is_old(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let (id, old) = match &raw {
        Raw::Postgres(_) => ("gen_random_uuid()", "'2001-01-01 00:00:00+00'"),
        Raw::Sqlite(_) => ("randomblob(16)", "0"),
    };
    let ancient = format!(
        "insert into key_events (revision, tenant_id, at, replica, kind, details)
         select revision + 1, id, {old}, {id}, 'state', '{{\"state\": \"healthy\", \"cause\": null, \"evidence\": null}}'
         from tenants"
    );
    raw.execute(&ancient).await.expect("written");
    let count = async || store.key_events(acme.keys.tenant, None, 10).await.expect("read").len();
    store.purge().await.expect("purged");
    assert_eq!(count().await, 1, "the newest stays, lest its revision be given again");
    if matches!(raw, Raw::Postgres(_)) {
        raw.execute("select setval('tenant_revisions', 2)")
            .await
            .expect("drawn");
    }
    let told = store
        .tell_key_news(ReplicaId::generate(), acme.keys.tenant, &withdrawn("r-1"), HOUR)
        .await;
    assert_eq!(told.expect("told"), Some(Revision(3)));
    store.purge().await.expect("purged");
    let events = store.key_events(acme.keys.tenant, None, 10).await.expect("read");
    assert_eq!(
        events.iter().map(|event| event.revision).collect::<Vec<_>>(),
        [Revision(3)]
    );
}

/// A customer's key that comes and goes does not fill the registry; what is young stays, however much it is, as replicas may still
/// have to hear of it.
async fn of_a_key_to_which_much_happens_the_newest_is_kept(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let me = ReplicaId::generate();
    let tells = async |tenant: &Tenant| {
        let told = store
            .tell_key_news(me, tenant.keys.tenant, &withdrawn("r-1"), Duration::ZERO)
            .await;
        told.expect("told").expect("new");
    };
    let count = async |tenant: &Tenant| {
        let events = store.key_events(tenant.keys.tenant, None, 2_000).await;
        events.expect("read").len()
    };
    let busy = registered(&*store, "busy").await;
    tells(&busy).await;
    happens(&mut raw, 1_150, "(select max(at) from key_events)").await;
    tells(&busy).await;
    assert_eq!(count(&busy).await, 1_152, "it is young");
    let (acme, globex) = (registered(&*store, "acme").await, registered(&*store, "globex").await);
    let old = match &raw {
        Raw::Postgres(_) => "timestamptz '2001-01-01 00:00:00+00'",
        Raw::Sqlite(_) => "0",
    };
    happens(&mut raw, 1_150, old).await;
    tells(&acme).await;
    assert_eq!(count(&acme).await, 1_051, "a hundred at once");
    tells(&acme).await;
    tells(&acme).await;
    assert_eq!(count(&acme).await, 1_000);
    assert_eq!(count(&globex).await, 1_150, "it is another's");
}

/// So much happens to each key, at that time.
async fn happens(raw: &mut Raw, much: u32, at: &str) {
    let (revision, id) = match raw {
        Raw::Postgres(_) => ("nextval('tenant_revisions')", "gen_random_uuid()"),
        Raw::Sqlite(_) => (
            "(select max(revision) from key_events) + row_number() over ()",
            "randomblob(16)",
        ),
    };
    raw.execute(&format!(
        "with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < {much})
         insert into key_events (revision, tenant_id, at, replica, kind, details)
         select {revision}, id, {at}, {id}, 'state', '{{\"state\": \"healthy\", \"cause\": null, \"evidence\": null}}'
         from tenants, numbers"
    ))
    .await
    .expect("written");
}

async fn withdrawals_are_acknowledged_once_by_each(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let (first, second, unknown) = (replica("host-1"), replica("host-2"), ReplicaId::generate());
    for replica in [&first, &second] {
        store.beat(replica, HOUR).await.expect("known");
    }
    let tells = async |news| {
        let told = store.tell_key_news(first.id, acme.keys.tenant, &news, HOUR).await;
        told.expect("told").expect("new")
    };
    let withdrawal = tells(withdrawn("r-1")).await;
    let state = tells(KeyNews::State(KeyState::Healthy)).await;
    let obeyed = [withdrawal, state, Revision(1_000)];
    for replica in [second.id, first.id, second.id, unknown] {
        store.acknowledge(replica, &obeyed).await.expect("acknowledged");
    }
    let acknowledged = store.acknowledgements(withdrawal).await.expect("read");
    assert!(acknowledged.is_sorted_by_key(|acknowledged| acknowledged.at));
    let mut by: Vec<_> = acknowledged.into_iter().map(|by| (by.replica, by.name)).collect();
    by.sort();
    let mut expected = vec![
        (first.id, "host-1".to_owned()),
        (second.id, "host-2".to_owned()),
        (unknown, unknown.to_string()),
    ];
    expected.sort();
    assert_eq!(by, expected);
    for none in [state, Revision(1_000)] {
        assert_eq!(store.acknowledgements(none).await.expect("read"), []);
    }
}

async fn replicas_are_known_while_they_say_so(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let (first, second) = (replica("host-1"), replica("host-2"));
    let beats = async |replica: &Replica| {
        let alive = store.beat(replica, Duration::from_mins(1)).await.expect("known");
        alive.into_iter().map(|r| (r.id, r.followed.0)).collect::<Vec<_>>()
    };
    assert_eq!(beats(&first).await, [(first.id, 0)]);
    assert_eq!(beats(&second).await, [(first.id, 0), (second.id, 0)]);
    raw.passes(61).await;
    let first = Replica {
        followed: Revision(7),
        ..first.clone()
    };
    assert_eq!(beats(&first).await, [(first.id, 7)], "the other is silent");
    let replicas = async |alive| {
        let replicas = store.replicas(alive).await.expect("read");
        replicas.into_iter().map(|r| r.name).collect::<Vec<_>>()
    };
    assert_eq!(replicas(Duration::from_mins(1)).await, ["host-1"]);
    assert_eq!(replicas(HOUR).await, ["host-1", "host-2"]);
    raw.passes(86_400).await;
    beats(&first).await;
    let ever = Duration::from_hours(1_000);
    assert_eq!(replicas(ever).await, ["host-1"], "the other is forgotten");
    store.leave(first.id).await.expect("left");
    assert_eq!(replicas(ever).await, [""; 0]);
}

async fn a_replica_of_any_name_is_known(url: &str) {
    let store = open_whole(url).await;
    for name in [String::new(), "\0\n".to_owned(), "ü".repeat(300)] {
        store.beat(&replica(&name), HOUR).await.expect("known");
    }
}

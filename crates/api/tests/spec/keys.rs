//! How customers' keys are, as administration shows it.

use std::time::Duration;

use http::Method;
use keyferry_crypto::{
    canary::Canary,
    id::{KekId, TenantId},
    news::Refusal,
    vault::{Call, Evidence, VaultCause},
};
use keyferry_registry::{
    Tenant,
    key::{KeyHealth, KeyNews, KeyState, Looked, Newest, Replica, ReplicaId, Trouble},
    tenant::Revision,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    metrics::count,
    reply::Reply,
    vault::VERSION,
    world::{OPERATOR, Setup, World},
};

const LEASE: Duration = Duration::from_mins(1);
const READER: &str = "Keyferry.Reader";
const KEY: &str = "/v1/admin/tenants/acme/key";

pub(crate) async fn read(world: &World, path: &str) -> Reply {
    let request = world.call(Method::GET, path);
    Reply::to(request.bearer_auth(world.issuer.token(&[READER]))).await
}

fn now() -> OffsetDateTime {
    keyferry_api::clock::system()()
}

fn replica(number: u128, name: &str) -> Replica {
    Replica {
        id: ReplicaId(Uuid::from_u128(number)),
        name: name.to_owned(),
        release: "1.2.3".to_owned(),
        started_at: now() - Duration::from_hours(1),
        seen_at: now(),
        followed: Revision(0),
    }
}

/// Makes a replica known.
async fn lives(world: &World, replica: &Replica) {
    world.store.beat(replica, LEASE).await.unwrap();
}

async fn tenant(world: &World, slug: &str) -> Tenant {
    world.store.find(&slug.parse().unwrap()).await.unwrap().unwrap()
}

fn kek(tenant: &Tenant) -> KekId {
    KekId {
        key: tenant.keys.current.clone(),
        version: VERSION.parse().unwrap(),
    }
}

fn refusal(tenant: &Tenant) -> Refusal {
    Refusal {
        call: Call::Unwrap,
        key: tenant.keys.current.clone(),
        version: Some(VERSION.parse().unwrap()),
        cause: VaultCause::KeyDisabled,
        evidence: Evidence {
            status: Some(403),
            code: Some("KeyDisabled".to_owned()),
            request_id: Some("c1f3a1d0".to_owned()),
        },
    }
}

fn refused(tenant: &Tenant) -> KeyState {
    let Refusal { cause, evidence, .. } = refusal(tenant);
    KeyState::Refused(Trouble { cause, evidence })
}

/// Has a replica look after every key, and find that one tenant's is in that state, with that news.
pub(crate) async fn finds(
    world: &World,
    by: ReplicaId,
    of: TenantId,
    change: impl FnOnce(&mut KeyHealth),
    news: Vec<KeyNews>,
) -> Vec<Revision> {
    world.store.claim_keys(by, LEASE, LEASE, 100).await.unwrap();
    let mut health = world.store.key_health(of).await.unwrap().unwrap();
    change(&mut health);
    let looked = Looked {
        health,
        due_in: Duration::from_hours(1),
        keeps: true,
        news,
    };
    world.store.save_looks(by, &[looked], LEASE).await.unwrap()
}

/// Has everything be found that can be shown of a tenant's key. Answers the withdrawal's revision.
pub(crate) async fn whatever_can_happen(world: &World, slug: &str) -> i64 {
    let (one, other) = (replica(1, "one"), replica(2, "other"));
    lives(world, &one).await;
    lives(world, &other).await;
    let tenant = tenant(world, slug).await;
    let (kek, now) = (kek(&tenant), now());
    let news = vec![
        KeyNews::Version(kek.clone()),
        KeyNews::Withdrawn(refusal(&tenant)),
        KeyNews::State(refused(&tenant)),
    ];
    let find = |health: &mut KeyHealth| {
        health.state = refused(&tenant);
        health.checked_at = Some(now);
        health.served_at = Some(now);
        health.newest = Some(Newest {
            kek: kek.clone(),
            seen_at: now,
        });
        health.canaries = vec![Canary {
            kek: kek.clone(),
            wrapped: vec![1; 256].into(),
            digest: [2; 32],
        }];
    };
    let revisions = finds(world, one.id, tenant.keys.tenant, find, news).await;
    world.store.note_held(&[tenant.keys.tenant], LEASE).await.unwrap();
    world.store.acknowledge(one.id, &revisions[1..2]).await.unwrap();
    revisions[1].0
}

#[tokio::test]
async fn a_key_is_shown_as_it_was_last_found() {
    let world = World::new().await;
    whatever_can_happen(&world, "acme").await;
    let mut shown = read(&world, KEY).await.with(200);
    for time in ["since", "checked_at", "served_at", "due_at", "held_at"] {
        let time = shown.as_object_mut().unwrap().remove(time).unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    }
    let key_id = kek(&tenant(&world, "acme").await).to_string();
    assert_eq!(shown["newest"]["key_id"], json!(key_id));
    assert!(shown["newest"]["seen_at"].is_string() && shown["owner"]["until"].is_string());
    assert_eq!(shown["owner"]["name"], "one");
    assert_eq!(shown["watched"], json!([key_id]));
    assert_eq!(shown["state"], "refused");
    let trouble = json!({"cause": "key-disabled", "status": 403, "code": "KeyDisabled", "request_id": "c1f3a1d0"});
    assert_eq!(shown["trouble"], trouble);
    let bound = json!({
        "watch_seconds": 48.0, "hearing_seconds": 10.0, "confirmation_seconds": 3.0, "try_seconds": 8.0, "total_seconds": 69.0,
    });
    assert_eq!(shown["bound"], bound);
}

#[tokio::test]
async fn a_key_that_nobody_looked_at_is_unknown() {
    let world = World::new().await;
    let shown = read(&world, KEY).await.with(200);
    assert_eq!(shown["state"], "unknown");
    for absent in [
        "checked_at",
        "served_at",
        "trouble",
        "newest",
        "owner",
        "held_at",
        "gauge",
    ] {
        assert_eq!(shown.get(absent), None, "{absent}");
    }
    assert_eq!(shown["watched"], json!([]));
}

#[tokio::test]
async fn an_operator_has_a_key_looked_at_sooner() {
    let world = World::new().await;
    let acme = tenant(&world, "acme").await.keys.tenant;
    let one = replica(1, "one");
    lives(&world, &one).await;
    finds(&world, one.id, acme, |_| {}, Vec::new()).await;
    let due = async || world.store.key_health(acme).await.unwrap().unwrap().due_at;
    assert!(due().await > now() + Duration::from_mins(30));
    let look = world.call(Method::POST, &format!("{KEY}/look"));
    let looked = Reply::to(look.bearer_auth(world.issuer.token(&[OPERATOR]))).await;
    assert_eq!(looked.with(202)["state"], "unknown");
    assert!(due().await <= now());
}

#[tokio::test]
async fn what_happened_is_told_newest_first_page_by_page() {
    let world = World::new().await;
    whatever_can_happen(&world, "acme").await;
    whatever_can_happen(&world, "globex").await;
    let whole = read(&world, &format!("{KEY}/events")).await.with(200);
    let events = whole["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["state", "withdrawn", "version"]);
    let acme = tenant(&world, "acme").await;
    let told = |event: &Value, members: &[&str]| {
        assert!(event["revision"].is_i64() && event["at"].is_string() && event["by"].is_string());
        let members: Vec<_> = members.iter().map(|&member| event[member].clone()).collect();
        Value::from(members)
    };
    assert_eq!(
        told(&events[0], &["state", "cause", "status", "code", "request_id"]),
        json!(["refused", "key-disabled", 403, "KeyDisabled", "c1f3a1d0"])
    );
    assert_eq!(
        told(&events[1], &["call", "key", "version", "cause", "request_id"]),
        json!([
            "unwrap",
            acme.keys.current.to_string(),
            VERSION,
            "key-disabled",
            "c1f3a1d0"
        ])
    );
    assert_eq!(told(&events[2], &["key_id"]), json!([kek(&acme).to_string()]));
    let (mut paged, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = read(&world, &format!("{KEY}/events{query}")).await.with(200);
        paged.extend(page["events"].as_array().unwrap().iter().cloned());
        let Some(next) = page.get("next_cursor") else { break };
        query = format!("?limit=2&cursor={}", next.as_str().unwrap());
    }
    assert_eq!(&paged, events);
    for query in ["?limit=0", "?cursor=", "?cursor=QQ", "?page=2"] {
        let refused = read(&world, &format!("{KEY}/events{query}")).await;
        refused.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn a_withdrawal_tells_who_obeyed_it_and_who_has_not_said_so() {
    let world = World::new().await;
    let revision = whatever_can_happen(&world, "acme").await;
    // It started later, and holds nothing from before.
    let newcomer = Replica {
        started_at: now() + Duration::from_secs(1),
        ..replica(3, "newcomer")
    };
    lives(&world, &newcomer).await;
    let path = format!("{KEY}/events/{revision}/acknowledgements");
    let told = read(&world, &path).await.with(200);
    let names = |of: &str| {
        let all = told[of].as_array().unwrap();
        let names = all.iter().map(|replica| replica["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        (names("acknowledged"), names("missing")),
        (vec!["one".to_owned()], vec!["other".to_owned()])
    );
    assert!(told["acknowledged"][0]["at"].is_string());
    assert_eq!(names("followed"), [""; 0]);
}

/// One that lags behind the feed evicts everything, and cannot say what it has obeyed thereby.
#[tokio::test]
async fn a_replica_that_has_followed_the_feed_beyond_a_withdrawal_has_obeyed_it() {
    let world = World::new().await;
    let revision = whatever_can_happen(&world, "acme").await;
    let other = world.store.replicas(LEASE).await.unwrap();
    let other = other.into_iter().find(|replica| replica.name == "other").unwrap();
    let path = format!("{KEY}/events/{revision}/acknowledgements");
    for (followed, expected) in [(revision - 1, "missing"), (revision, "followed")] {
        let other = Replica {
            followed: Revision(followed),
            ..other.clone()
        };
        lives(&world, &other).await;
        let told = read(&world, &path).await.with(200);
        let lists = ["acknowledged", "followed", "missing"].into_iter();
        let named = lists.filter(|list| {
            told[list]
                .as_array()
                .unwrap()
                .iter()
                .any(|replica| replica["name"] == "other")
        });
        assert_eq!(named.collect::<Vec<_>>(), [expected]);
    }
}

/// The registry's clock when something happened.
fn earlier() -> OffsetDateTime {
    now() - Duration::from_secs(40)
}

/// The registry's clock well before that.
fn long_before() -> OffsetDateTime {
    now() - Duration::from_mins(10)
}

/// The clock of a service that is behind the registry's, by less than its callers' tokens may be.
fn behind() -> OffsetDateTime {
    now() - Duration::from_secs(50)
}

#[tokio::test]
async fn who_lived_at_a_withdrawal_is_told_by_the_registrys_clock_whatever_the_time_is_here() {
    let setup = Setup {
        clock: behind,
        ..Setup::usual().await
    };
    let mut world = World::of(setup).await;
    world.is_ready().await;
    world.store = world.store_by(long_before);
    lives(&world, &replica(3, "dead by then")).await;
    world.store = world.store_by(earlier);
    // Nobody was seen since: whoever is cut off obeys by itself, and cannot say so.
    let (one, acme) = (replica(1, "one"), tenant(&world, "acme").await);
    lives(&world, &one).await;
    lives(&world, &replica(2, "other")).await;
    let news = KeyNews::Withdrawn(refusal(&acme));
    let told = world.store.tell_key_news(one.id, acme.keys.tenant, &news, LEASE).await;
    let revision = told.unwrap().unwrap();
    world.store.acknowledge(one.id, &[revision]).await.unwrap();
    let path = format!("{KEY}/events/{}/acknowledgements", revision.0);
    let told = read(&world, &path).await.with(200);
    let missing = told["missing"].as_array().unwrap();
    let missing: Vec<_> = missing.iter().map(|replica| &replica["name"]).collect();
    assert_eq!(missing, ["other"]);
}

#[tokio::test]
async fn what_is_no_withdrawal_of_the_tenants_has_no_acknowledgements() {
    let world = World::new().await;
    let revision = whatever_can_happen(&world, "acme").await;
    whatever_can_happen(&world, "globex").await;
    for (tenant, revision) in [
        ("acme", (revision + 1).to_string()),
        ("globex", revision.to_string()),
        ("acme", i64::MAX.to_string()),
        ("acme", "-1".to_owned()),
        ("acme", "x".to_owned()),
    ] {
        let path = format!("/v1/admin/tenants/{tenant}/key/events/{revision}/acknowledgements");
        read(&world, &path).await.problem(404, "key-event-not-found");
    }
}

#[tokio::test]
async fn the_replicas_that_live_are_listed() {
    let world = World::new().await;
    let one = Replica {
        followed: Revision(7),
        ..replica(1, "one")
    };
    lives(&world, &one).await;
    let listed = read(&world, "/v1/admin/replicas").await.with(200);
    let one = &listed["replicas"][0];
    assert_eq!(listed["replicas"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&one["name"], &one["release"], &one["followed"]),
        (&json!("one"), &json!("1.2.3"), &json!(7))
    );
    assert_eq!(one["replica"], json!(Uuid::from_u128(1)));
}

/// A world whose keys are looked at.
async fn watched() -> World {
    let setup = Setup {
        is_watched: true,
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    world.is_ready().await;
    world
}

/// Reads how a key is until it is so, as found by a replica that has made itself known meanwhile.
async fn becomes(world: &World, state: &str) -> Value {
    loop {
        let shown = read(world, KEY).await.with(200);
        if shown["state"] == state && shown["owner"]["name"] == "here" {
            return shown;
        }
    }
}

#[tokio::test]
async fn a_service_looks_at_keys_and_obeys_what_it_finds_and_says_so() {
    let world = watched().await;
    let shown = becomes(&world, "healthy").await;
    let key_id = kek(&tenant(&world, "acme").await).to_string();
    assert_eq!(shown["watched"], json!([key_id]));
    let unwrap = json!({"wrapped_key": world.wrapped_key("acme").await});
    world.does("acme/unwrap", &unwrap).await.with(200);
    world.vault.fails(VaultCause::KeyDisabled);
    let shown = becomes(&world, "refused").await;
    assert_eq!(shown["trouble"]["cause"], "key-disabled");
    // Though its data key was in the cache.
    let refused = world.does("acme/unwrap", &unwrap).await;
    refused.problem(403, "key-disabled");
    // The state is saved with other looks, and may be so before the withdrawal is told.
    let withdrawn = loop {
        let told = read(&world, &format!("{KEY}/events")).await.with(200);
        let events = told["events"].as_array().unwrap();
        if let Some(found) = events.iter().find(|event| event["kind"] == "withdrawn") {
            break found.clone();
        }
    };
    let path = format!("{KEY}/events/{}/acknowledgements", withdrawn["revision"]);
    let acknowledged = loop {
        let told = read(&world, &path).await.with(200);
        if told["missing"] == json!([]) {
            break told["acknowledged"].clone();
        }
    };
    assert_eq!(acknowledged[0]["name"], "here");
    let replicas = read(&world, "/v1/admin/replicas").await.with(200);
    assert_eq!(replicas["replicas"][0]["replica"], withdrawn["by"]);
    world.vault.works();
    becomes(&world, "healthy").await;
    world.does("acme/unwrap", &unwrap).await.with(200);
}

#[tokio::test]
async fn what_the_watch_does_is_counted() {
    let world = watched().await;
    becomes(&world, "healthy").await;
    assert!(count(&world, "keyferry_key_looks_total", &[("outcome", "served")]).await > 0);
    assert_eq!(
        count(&world, "keyferry_key_looks_total", &[("outcome", "refused")]).await,
        0
    );
    assert_eq!(count(&world, "keyferry_replicas", &[]).await, 1);
    world.vault.fails(VaultCause::KeyDisabled);
    becomes(&world, "refused").await;
    assert!(count(&world, "keyferry_key_looks_total", &[("outcome", "refused")]).await > 0);
}

#[tokio::test]
async fn a_service_is_ready_whatever_customers_refuse() {
    let world = watched().await;
    world.vault.fails(VaultCause::KeyDisabled);
    becomes(&world, "refused").await;
    assert_eq!(Reply::to(world.ops("/readyz")).await.status, 200);
}

#[tokio::test]
async fn without_its_registry_administration_says_so() {
    let setup = Setup {
        has_database: false,
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    for (method, path) in [
        (Method::GET, KEY.to_owned()),
        (Method::POST, format!("{KEY}/look")),
        (Method::GET, format!("{KEY}/events")),
        (Method::GET, format!("{KEY}/events/1/acknowledgements")),
        (Method::GET, "/v1/admin/replicas".to_owned()),
    ] {
        let request = world.call(method, &path);
        let refused = Reply::to(request.bearer_auth(world.issuer.token(&[OPERATOR]))).await;
        refused.problem(503, "registry-unavailable");
    }
}

//! Event Grid's events: who may deliver them, how an endpoint agrees to it, and what they do.

use std::{fs, time::Duration};

use http::Method;
use keyferry_api::config::EventsConfig;
use keyferry_registry::key::ReplicaId;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    issuer::{AUDIENCE, FIRST, FOREIGN, Issuer, header},
    keys::finds,
    reply::Reply,
    vault::VERSION,
    world::{DATA, Setup, World},
};

const PATH: &str = "/v1/events/azure";
const HEADER: &str = "keyferry-event-secret";
const SECRET: &str = "one-secret-of-thirty-two-letters";
const OTHER_SECRET: &str = "and-another-while-it-is-replaced";
const ORIGIN: &str = "eventgrid.azure.net";
const NEW_VERSION: &str = "Microsoft.KeyVault.KeyNewVersionCreated";
/// Event Grid's own application.
const EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";

async fn world_with(config: Value) -> World {
    let setup = Setup {
        events: Some(serde_json::from_value::<EventsConfig>(config).unwrap()),
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    world.is_ready().await;
    world
}

/// A world whose deliveries are known by a secret.
async fn world_with_secret(more: Value) -> World {
    let dir = secrets();
    let mut config = json!({"secret_file": dir.path().join("secrets")});
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    world_with(config).await
}

fn secrets() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secrets"), format!("{SECRET}\n\n  {OTHER_SECRET}\n")).unwrap();
    dir
}

/// A delivery with the secret, of a body of that media type.
fn delivery(world: &World, media: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let request = world.call(Method::POST, PATH).header(HEADER, SECRET);
    request.header("content-type", media).body(body)
}

fn validation() -> Value {
    json!([{
        "id": "1", "topic": topic("shared"), "subject": "", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-01T00:00:00Z", "metadataVersion": "1", "dataVersion": "2",
        "data": {"validationCode": "0b1c2d3e", "validationUrl": "https://evil.example/"},
    }])
}

fn topic(vault: &str) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/{vault}",
        Uuid::from_u128(5)
    )
}

fn data(vault: &str, key: &str) -> Value {
    json!({
        "Id": format!("https://{vault}.vault.azure.net/keys/{key}/{VERSION}"), "VaultName": vault, "ObjectType": "Key",
        "ObjectName": key, "Version": VERSION, "NBF": null, "EXP": 1_800_000_000,
    })
}

fn event(kind: &str, vault: &str, key: &str) -> Value {
    json!({
        "id": "1", "topic": topic(vault), "subject": key, "eventType": kind, "eventTime": "2026-01-01T00:00:00Z",
        "metadataVersion": "1", "dataVersion": "1", "data": data(vault, key),
    })
}

fn cloud_event(kind: &str, vault: &str, key: &str) -> Value {
    json!({
        "id": "1", "source": topic(vault), "subject": key, "type": kind, "time": "2026-01-01T00:00:00Z", "specversion": "1.0",
        "data": data(vault, key),
    })
}

async fn announces(world: &World, origin: &str) -> Reply {
    let request = world.call(Method::OPTIONS, PATH).header(HEADER, SECRET);
    Reply::to(request.header("webhook-request-origin", origin)).await
}

#[tokio::test]
async fn there_is_nothing_to_deliver_to_unless_it_is_configured() {
    let world = World::new().await;
    for method in [Method::POST, Method::OPTIONS] {
        let request = world.call(method, PATH).header(HEADER, SECRET);
        Reply::to(request.json(&validation()))
            .await
            .problem(404, "route-not-found");
    }
}

#[tokio::test]
async fn a_delivery_and_both_handshakes_need_the_secret() {
    let world = world_with_secret(json!({})).await;
    let deliver = || world.call(Method::POST, PATH).json(&json!([]));
    let validate = || {
        let request = world.call(Method::POST, PATH).json(&validation());
        request.header("aeg-event-type", "SubscriptionValidation")
    };
    let announce = || {
        world
            .call(Method::OPTIONS, PATH)
            .header("webhook-request-origin", ORIGIN)
    };
    let asked: [&dyn Fn() -> RequestBuilder; 3] = [&deliver, &validate, &announce];
    let token = world.issuer.token(&DATA);
    for ask in asked {
        for unauthentic in [
            ask(),
            ask().header(HEADER, ""),
            ask().header(HEADER, &SECRET[1..]),
            ask().header(HEADER, format!("{SECRET}\n").trim_end().to_uppercase()),
            ask().header(HEADER, SECRET).header(HEADER, SECRET),
            ask().header("x-secret", SECRET),
            ask().bearer_auth(&token),
        ] {
            Reply::to(unauthentic).await.problem(401, "delivery-not-authentic");
        }
        for secret in [SECRET, OTHER_SECRET] {
            assert_eq!(Reply::to(ask().header(HEADER, secret)).await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_validation_is_answered_with_its_code() {
    let world = world_with_secret(json!({})).await;
    let request = delivery(&world, "application/json; charset=utf-8", validation().to_string());
    let answer = Reply::to(request.header("aeg-event-type", "SubscriptionValidation")).await;
    assert_eq!(answer.with(200), json!({"validationResponse": "0b1c2d3e"}));
    let mut coded = validation();
    coded[0]["data"]["validationCode"] = json!("x".repeat(257));
    for bad in [
        json!([]),
        json!([validation()[0], validation()[0]]),
        coded,
        json!([event(NEW_VERSION, "shared", "kek")]),
    ] {
        let request = delivery(&world, "application/json", bad.to_string());
        let refused = Reply::to(request.header("aeg-event-type", "SubscriptionValidation")).await;
        refused.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn an_announcement_is_answered_with_its_origin_if_that_is_event_grids() {
    let world = world_with_secret(json!({"deliveries_per_minute": 77})).await;
    let agreed = announces(&world, ORIGIN).await;
    assert_eq!(agreed.status, 200);
    assert_eq!(agreed.header("webhook-allowed-origin"), ORIGIN);
    assert_eq!(agreed.header("webhook-allowed-rate"), "77");
    for origin in ["evil.example", "*", "", "eventgrid.azure.net.evil.example"] {
        let refused = announces(&world, origin).await;
        refused.problem(400, "malformed-request");
        assert_eq!(refused.header("webhook-allowed-origin"), "", "{origin}");
    }
}

/// A world in which no key is due for an hour, and when one is due.
async fn undisturbed(world: &World) {
    let replica = ReplicaId(Uuid::from_u128(1));
    for slug in ["acme", "globex", "initech"] {
        let tenant = world.store.find(&slug.parse().unwrap()).await.unwrap().unwrap();
        finds(world, replica, tenant.keys.tenant, |_| {}, Vec::new()).await;
    }
}

async fn are_due(world: &World) -> Vec<&'static str> {
    let mut due = Vec::new();
    for slug in ["acme", "globex", "initech"] {
        let tenant = world.store.find(&slug.parse().unwrap()).await.unwrap().unwrap();
        let health = world.store.key_health(tenant.keys.tenant).await.unwrap().unwrap();
        let now: OffsetDateTime = keyferry_api::clock::system()();
        if health.due_at < now + Duration::from_mins(30) {
            due.push(slug);
        }
    }
    due
}

#[tokio::test]
async fn an_event_of_either_schema_has_the_key_looked_at_of_every_tenant_that_has_it() {
    for (media, body) in [
        ("application/json", json!([event(NEW_VERSION, "shared", "kek")])),
        (
            "application/cloudevents+json; charset=utf-8",
            cloud_event(NEW_VERSION, "shared", "kek"),
        ),
        (
            "application/cloudevents-batch+json",
            json!([cloud_event("Microsoft.KeyVault.KeyExpired", "shared", "kek")]),
        ),
        // Twice, and with others.
        (
            "application/json",
            json!([
                event("Microsoft.KeyVault.SecretNewVersionCreated", "initech", "kek"),
                event("Microsoft.KeyVault.KeyNearExpiry", "shared", "kek"),
                event(NEW_VERSION, "nobodys", "kek"),
                event(NEW_VERSION, "shared", "kek"),
            ]),
        ),
    ] {
        let world = world_with_secret(json!({})).await;
        undisturbed(&world).await;
        assert_eq!(are_due(&world).await, [""; 0]);
        let taken = Reply::to(delivery(&world, media, body.to_string())).await;
        assert_eq!((taken.status, taken.text()), (200, ""), "{media}");
        assert_eq!(are_due(&world).await, ["acme", "globex"], "{media}");
    }
}

#[tokio::test]
async fn what_concerns_nobody_or_does_not_agree_with_itself_is_taken_and_does_nothing() {
    let world = world_with_secret(json!({})).await;
    undisturbed(&world).await;
    let mut forged = event(NEW_VERSION, "shared", "kek");
    forged["topic"] = json!(topic("another"));
    for events in [
        json!([]),
        json!([
            event(NEW_VERSION, "nobodys", "kek"),
            event(NEW_VERSION, "shared", "another")
        ]),
        json!([event("Microsoft.KeyVault.SecretNewVersionCreated", "shared", "kek")]),
        json!([{"eventType": "Somebody.Elses", "topic": "", "data": 7}]),
        json!([forged]),
    ] {
        let taken = Reply::to(delivery(&world, "application/json", events.to_string())).await;
        assert_eq!(taken.status, 200, "{events}");
    }
    assert_eq!(are_due(&world).await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_read_is_malformed() {
    let world = world_with_secret(json!({})).await;
    let (grid, cloud, batch) = (
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    );
    let of_other_version = {
        let mut event = cloud_event(NEW_VERSION, "shared", "kek");
        event["specversion"] = json!("0.3");
        event
    };
    for (media, body) in [
        (grid, String::new()),
        (grid, "{".to_owned()),
        (grid, event(NEW_VERSION, "shared", "kek").to_string()),
        (grid, json!([{"eventType": NEW_VERSION}]).to_string()),
        (
            grid,
            json!([{"eventType": NEW_VERSION, "topic": topic("shared")}]).to_string(),
        ),
        (
            grid,
            json!([{"eventType": NEW_VERSION, "topic": topic("shared"), "data": {"Id": 7}}]).to_string(),
        ),
        (cloud, json!([cloud_event(NEW_VERSION, "shared", "kek")]).to_string()),
        (cloud, of_other_version.to_string()),
        (batch, cloud_event(NEW_VERSION, "shared", "kek").to_string()),
    ] {
        let refused = Reply::to(delivery(&world, media, body.clone())).await;
        assert_eq!(refused.slug().as_deref(), Some("malformed-request"), "{body}");
        refused.problem(400, "malformed-request");
    }
    for media in ["text/plain", "application/octet-stream"] {
        let refused = Reply::to(delivery(&world, media, "[]")).await;
        refused.problem(415, "unsupported-media-type");
    }
}

#[tokio::test]
async fn deliveries_are_bounded_in_length_number_and_rate() {
    let world = world_with_secret(json!({"deliveries_per_minute": 3})).await;
    let long = Reply::to(delivery(&world, "application/json", vec![b' '; (2 << 20) + 1])).await;
    long.problem(413, "body-too-large");
    let many = Value::from(vec![json!({"eventType": "x", "topic": ""}); 5_001]);
    let many = Reply::to(delivery(&world, "application/json", many.to_string())).await;
    many.problem(400, "batch-too-large");
    assert_eq!(Reply::to(delivery(&world, "application/json", "[]")).await.status, 200);
    let refused = Reply::to(delivery(&world, "application/json", "[]")).await;
    assert_eq!(refused.problem(503, "overloaded")["retry_after_seconds"], 30);
}

#[tokio::test]
async fn announcements_are_bounded_in_rate_as_well() {
    let world = world_with_secret(json!({"deliveries_per_minute": 2})).await;
    for _ in 0..2 {
        assert_eq!(announces(&world, ORIGIN).await.status, 200);
    }
    announces(&world, ORIGIN).await.problem(503, "overloaded");
}

#[tokio::test]
async fn however_often_events_come_a_vault_is_not_asked_for_each() {
    let world = world_with_secret(json!({})).await;
    let deliver = async || {
        let events = json!([event(NEW_VERSION, "shared", "kek")]).to_string();
        Reply::to(delivery(&world, "application/json", events)).await.status
    };
    undisturbed(&world).await;
    assert_eq!(deliver().await, 200);
    assert_eq!(are_due(&world).await, ["acme", "globex"]);
    undisturbed(&world).await;
    assert_eq!(deliver().await, 200);
    assert_eq!(are_due(&world).await, [""; 0], "it was looked at a moment ago");
}

#[tokio::test]
async fn event_grids_own_token_will_do_and_no_other() {
    let entra = json!({"directory": FOREIGN, "audience": AUDIENCE});
    let world = world_with(json!({ "entra": entra })).await;
    let claims = |directory: Uuid, application: &str| {
        let mut claims = world.issuer.claims(&[]);
        claims["iss"] = json!(format!("{}{directory}/v2.0", world.issuer.origin()));
        claims["tid"] = json!(directory);
        claims["azp"] = json!(application);
        FIRST.sign(&header(FIRST.kid), &claims)
    };
    let deliver = |token: &str| world.call(Method::POST, PATH).bearer_auth(token).json(&json!([]));
    assert_eq!(Reply::to(deliver(&claims(FOREIGN, EVENT_GRID))).await.status, 200);
    let another = Uuid::from_u128(9).to_string();
    let refused = Reply::to(deliver(&claims(FOREIGN, &another))).await;
    refused.problem(401, "delivery-not-authentic");
    let of_the_platform = claims(crate::issuer::DIRECTORY, EVENT_GRID);
    Reply::to(deliver(&of_the_platform)).await.problem(401, "token-invalid");
    let none = world.call(Method::POST, PATH).header(HEADER, SECRET).json(&json!([]));
    Reply::to(none).await.problem(401, "token-missing");
    // And Event Grid may deliver, and nothing else.
    let request = world.call(Method::POST, "/v1/tenants/acme/generate-data-key");
    let refused = request.bearer_auth(claims(FOREIGN, EVENT_GRID)).json(&json!({}));
    Reply::to(refused).await.problem(401, "token-invalid");
}

#[tokio::test]
async fn while_the_registry_is_away_events_are_to_be_delivered_again() {
    let dir = secrets();
    let config = json!({"secret_file": dir.path().join("secrets")});
    let setup = Setup {
        events: Some(serde_json::from_value(config).unwrap()),
        has_database: false,
        issuer: Issuer::start().await,
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    let events = json!([event(NEW_VERSION, "shared", "kek")]).to_string();
    let refused = Reply::to(delivery(&world, "application/json", events)).await;
    refused.problem(503, "registry-unavailable");
}

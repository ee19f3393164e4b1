//! What is counted, and under which names.

use http::Method;
use keyferry_crypto::vault::VaultCause;
use serde_json::json;

use crate::{
    reply::Reply,
    world::{DATA, World},
};

/// The value of the one series of that name that has all these labels.
pub(crate) async fn count(world: &World, name: &str, labels: &[(&str, &str)]) -> u64 {
    let scrape = Reply::to(world.ops("/metrics")).await;
    assert_eq!(
        scrape.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let has = |line: &str| {
        labels
            .iter()
            .all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    };
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let found: Vec<_> = scrape.text().lines().filter(of_name).filter(|line| has(line)).collect();
    match &found[..] {
        [] => 0,
        [one] => one.rsplit_once(' ').unwrap().1.parse().unwrap(),
        many => panic!("{many:?}"),
    }
}

pub(crate) async fn requests(world: &World, operation: &str, outcome: &str) -> u64 {
    let labels = [("operation", operation), ("outcome", outcome)];
    count(world, "keyferry_request_duration_seconds_count", &labels).await
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_outcome() {
    let world = World::new().await;
    for _ in 0..3 {
        world.wrapped_key("acme").await;
    }
    world
        .does("acme/unwrap", &json!({}))
        .await
        .problem(400, "malformed-request");
    world.does("acme/unwrap/batch", &json!({"items": [{}]})).await.with(200);
    Reply::to(world.call(Method::GET, "/nowhere"))
        .await
        .problem(404, "route-not-found");
    Reply::to(world.call(Method::GET, "/v1/admin/tenants"))
        .await
        .problem(401, "token-missing");
    for (operation, outcome, expected) in [
        ("generate-data-key", "ok", 3),
        ("generate-data-key", "caller", 0),
        ("unwrap", "caller", 1),
        ("unwrap", "ok", 0),
        ("unwrap-batch", "ok", 1),
        ("list-tenants", "caller", 1),
        ("other", "caller", 1),
    ] {
        assert_eq!(
            requests(&world, operation, outcome).await,
            expected,
            "{operation} {outcome}"
        );
    }
}

#[tokio::test]
async fn every_fault_is_an_outcome_of_its_own() {
    let world = World::new().await;
    for (tenant, cause, outcome) in [
        ("acme", VaultCause::VaultFailed, "vault"),
        ("globex", VaultCause::AppSecretExpired, "service"),
        ("initech", VaultCause::KeyDisabled, "customer"),
    ] {
        world.vault.fails(cause);
        let refused = world.does(&format!("{tenant}/wrap"), &json!({"key": "a2V5"})).await;
        assert_eq!(refused.json()["fault"], outcome);
        assert_eq!(requests(&world, "wrap", outcome).await, 1, "{outcome}");
    }
}

#[tokio::test]
async fn problems_are_counted_by_type() {
    let world = World::new().await;
    world.vault.fails(VaultCause::KeyDisabled);
    world
        .does("acme/wrap", &json!({"key": "a2V5"}))
        .await
        .problem(403, "key-disabled");
    Reply::to(world.call(Method::GET, "/nowhere"))
        .await
        .problem(404, "route-not-found");
    for (slug, expected) in [("key-disabled", 1), ("route-not-found", 1), ("key-not-found", 0)] {
        assert_eq!(
            count(&world, "keyferry_problems_total", &[("type", slug)]).await,
            expected,
            "{slug}"
        );
    }
}

#[tokio::test]
async fn calls_to_the_vault_and_the_cache_are_counted() {
    let world = World::new().await;
    world.register("uncached", json!({"cache_ttl_seconds": 0})).await;
    for tenant in ["acme", "uncached"] {
        let unwrap = json!({ "wrapped_key": world.wrapped_key(tenant).await });
        for _ in 0..3 {
            world.does(&format!("{tenant}/unwrap"), &unwrap).await.with(200);
        }
    }
    // Two unwraps prove the two leases.
    for (name, expected) in [("vault_wraps", 2), ("vault_unwraps", 5), ("cache_hits", 3)] {
        let counted = count(&world, &format!("keyferry_{name}_total"), &[]).await;
        assert_eq!(counted, expected, "{name}");
    }
    assert_eq!(count(&world, "keyferry_registry_loaded", &[]).await, 1);
}

#[tokio::test]
async fn the_counters_name_no_tenant_and_no_caller() {
    let world = World::new().await;
    world.wrapped_key("acme").await;
    world
        .does("nobody/wrap", &json!({}))
        .await
        .problem(404, "tenant-not-found");
    let scrape = Reply::to(world.ops("/metrics")).await;
    let application = crate::issuer::APPLICATION.to_string();
    for private in ["acme", "nobody", "shared.vault", &application] {
        assert!(!scrape.text().contains(private), "{private}");
    }
}

#[tokio::test]
async fn a_batchs_items_are_counted_by_outcome_and_their_problems_by_type() {
    let world = World::new().await;
    let wrapped_key = world.wrapped_key("acme").await;
    let (good, bad) = (json!({ "wrapped_key": wrapped_key }), json!({"wrapped_key": "AA"}));
    world
        .does("acme/unwrap/batch", &json!({"items": [good, bad, bad, good, 7, good]}))
        .await
        .with(200);
    world.register("uncached", json!({"cache_ttl_seconds": 0})).await;
    let uncached = json!({"wrapped_key": world.wrapped_key("uncached").await});
    world.vault.fails(VaultCause::KeyDisabled);
    world
        .does("uncached/unwrap/batch", &json!({"items": [uncached, uncached]}))
        .await
        .with(200);
    for (outcome, expected) in [("ok", 3), ("caller", 3), ("customer", 2), ("service", 0)] {
        let labels = [("operation", "unwrap-batch"), ("outcome", outcome)];
        assert_eq!(
            count(&world, "keyferry_batch_items_total", &labels).await,
            expected,
            "{outcome}"
        );
    }
    for (slug, expected) in [("envelope-malformed", 2), ("malformed-request", 1), ("key-disabled", 2)] {
        let counted = count(&world, "keyferry_problems_total", &[("type", slug)]).await;
        assert_eq!(counted, expected, "{slug}");
    }
    assert_eq!(
        requests(&world, "unwrap-batch", "ok").await,
        2,
        "the batches themselves were answered"
    );
}

#[tokio::test]
async fn a_token_is_verified_once_and_then_recalled() {
    let world = World::new().await;
    let token = world.issuer.token(&DATA);
    let counted = async || {
        let name = |what| format!("keyferry_tokens_{what}_total");
        let [verified, recalled, refused] = ["verified", "recalled", "refused"].map(name);
        (
            count(&world, &verified, &[]).await,
            count(&world, &recalled, &[]).await,
            count(&world, &refused, &[]).await,
        )
    };
    world.ask_with(&token).await.with(200);
    assert_eq!(counted().await, (1, 0, 0));
    for _ in 0..3 {
        world.ask_with(&token).await.with(200);
    }
    assert_eq!(counted().await, (1, 3, 0));
    for _ in 0..2 {
        world.ask_with(&format!("{token}x")).await.problem(401, "token-invalid");
    }
    assert_eq!(counted().await, (1, 3, 2));
}

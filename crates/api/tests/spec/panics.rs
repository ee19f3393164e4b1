//! A panic is one request's misfortune.

use http::Method;
use serde_json::json;

use crate::{reply::Reply, world::World};

#[tokio::test]
async fn a_request_that_panics_is_answered_and_gives_its_place_back() {
    let world = World::with(|http| http.max_concurrent_requests = 1).await;
    // With one message to a lease, the vault is called by the request itself, and not by a task of its own.
    world.register("hooli", json!({"lease_max_messages": 1})).await;
    let wrap = json!({"key": "a2V5"});
    for _ in 0..3 {
        world.vault.panics(true);
        let refused = world.does("hooli/wrap", &wrap).await;
        assert_eq!(refused.problem(500, "internal")["fault"], "service");
        assert!(!refused.text().contains("as told"), "{}", refused.text());
        let batch = world.does("hooli/wrap/batch", &json!({ "items": [wrap] })).await;
        batch.problem(500, "internal");
        world.vault.panics(false);
        world.does("hooli/wrap", &wrap).await.with(200);
    }
    Reply::to(world.admin(Method::GET, "")).await.with(200);
}

#[tokio::test]
async fn a_panic_on_behalf_of_many_is_told_to_each() {
    let world = World::new().await;
    world.vault.panics(true);
    let wrap = json!({"key": "a2V5"});
    let (one, other) = futures::join!(world.does("acme/wrap", &wrap), world.does("acme/wrap", &wrap));
    for refused in [one, other] {
        refused.problem(503, "vault-unreachable");
    }
    world.vault.panics(false);
    world.does("acme/wrap", &wrap).await.with(200);
}

/// What the tests above show holds only where panics unwind.
#[test]
fn panics_unwind_in_every_profile() {
    let manifest = include_str!("../../../../Cargo.toml");
    let manifest: toml::Table = manifest.parse().unwrap();
    for (name, profile) in manifest["profile"].as_table().unwrap() {
        let panic = profile.get("panic").and_then(toml::Value::as_str);
        assert_eq!(panic.unwrap_or("unwind"), "unwind", "profile {name}");
    }
}

//! Batches: each item succeeds or fails by itself, in its place.

use serde_json::{Value, json};

use crate::world::World;

async fn results(world: &World, path: &str, items: Value) -> Vec<Value> {
    let answer = world.does(path, &json!({ "items": items })).await.with(200);
    answer["results"].as_array().unwrap().clone()
}

fn slug(result: &Value) -> &str {
    result["problem"]["type"]
        .as_str()
        .map_or("ok", |url| url.rsplit_once('/').unwrap().1)
}

#[tokio::test]
async fn results_stand_in_their_items_order() {
    let world = World::with(|http| http.batch_concurrency = 4).await;
    let keys: Vec<_> = (0..100).map(|n| format!("key{n:05}")).collect();
    let items = keys.iter().map(|key| json!({ "key": key })).collect();
    let wrapped = results(&world, "acme/wrap/batch", items).await;
    let items = wrapped
        .iter()
        .map(|result| json!({"wrapped_key": result["ok"]["wrapped_key"]}))
        .collect();
    let unwrapped = results(&world, "acme/unwrap/batch", items).await;
    let back: Vec<_> = unwrapped
        .iter()
        .map(|result| result["ok"]["key"].as_str().unwrap())
        .collect();
    assert_eq!(back, keys);
}

#[tokio::test]
async fn a_bad_item_spoils_no_other() {
    let world = World::new().await;
    let (good, foreign) = (world.wrapped_key("acme").await, world.wrapped_key("initech").await);
    let items = json!([
        {"wrapped_key": good},
        7,
        null,
        {"wrapped_key": 7},
        {"wrapped_key": "AA=="},
        {"wrapped_key": "AA"},
        {"wrapped_key": good, "extra": 1},
        {"wrapped_key": good, "encryption_context": {"a": "b"}},
        {"wrapped_key": good, "encryption_context": {"": "b"}},
        {"wrapped_key": foreign},
        {"wrapped_key": world.ciphertext("acme").await},
        {"wrapped_key": good},
    ]);
    let results = results(&world, "acme/unwrap/batch", items).await;
    assert_eq!(
        results.iter().map(slug).collect::<Vec<_>>(),
        [
            "ok",
            "malformed-request",
            "malformed-request",
            "malformed-request",
            "malformed-request",
            "envelope-malformed",
            "malformed-request",
            "not-authentic",
            "encryption-context-invalid",
            "foreign-key",
            "wrong-content",
            "ok",
        ]
    );
    for result in &results {
        assert_eq!(result.as_object().unwrap().len(), 1, "either of the two: {result}");
        assert_eq!(result["problem"].get("request_id"), None, "{result}");
    }
}

#[tokio::test]
async fn every_operation_comes_in_batches() {
    let world = World::new().await;
    let (key, data) = (world.wrapped_key("acme").await, world.ciphertext("acme").await);
    for (operation, item, field) in [
        ("generate-data-key", json!({}), "plaintext"),
        ("wrap", json!({"key": "a2V5"}), "wrapped_key"),
        ("unwrap", json!({ "wrapped_key": key }), "key"),
        ("rewrap", json!({ "wrapped_key": key }), "wrapped_key"),
        ("encrypt", json!({"plaintext": "QQ"}), "ciphertext"),
        ("decrypt", json!({ "ciphertext": data }), "plaintext"),
    ] {
        let results = results(&world, &format!("acme/{operation}/batch"), json!([item, {"x": 1}])).await;
        assert!(results[0]["ok"][field].is_string(), "{operation}: {results:?}");
        assert_eq!(slug(&results[1]), "malformed-request", "{operation}");
    }
}

#[tokio::test]
async fn nothing_gives_nothing() {
    let world = World::new().await;
    assert_eq!(
        results(&world, "acme/encrypt/batch", json!([])).await,
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn a_batch_has_at_most_a_thousand_items() {
    let world = World::new().await;
    let of = |len| json!({"items": vec![json!({"plaintext": "QQ"}); len]});
    let most = world.does("acme/encrypt/batch", &of(1000)).await.with(200);
    assert_eq!(most["results"].as_array().unwrap().len(), 1000);
    for len in [1001, 50_000] {
        let refused = world.does("acme/encrypt/batch", &of(len)).await;
        refused.problem(400, "batch-too-large");
    }
}

#[tokio::test]
async fn what_is_no_batch_is_malformed_as_a_whole() {
    let world = World::new().await;
    for body in [
        json!({}),
        json!([]),
        json!({"items": {}}),
        json!({"items": "QQ"}),
        json!({"items": null}),
        json!({"items": [], "extra": 1}),
        json!({"items": vec![0; 60_000]}),
    ] {
        let refused = world.does("acme/encrypt/batch", &body).await;
        refused.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn a_vaults_refusal_is_every_items_own_problem() {
    let world = World::new().await;
    world.register("hooli", json!({"cache_ttl_seconds": 0})).await;
    let wrapped_key = world.wrapped_key("hooli").await;
    world.vault.fails(keyferry_crypto::vault::VaultCause::Throttled);
    let items = json!([{ "wrapped_key": wrapped_key }, { "wrapped_key": "AA" }, { "wrapped_key": wrapped_key }]);
    let results = results(&world, "hooli/unwrap/batch", items).await;
    let slugs: Vec<_> = results.iter().map(slug).collect();
    assert_eq!(slugs, ["vault-throttled", "envelope-malformed", "vault-throttled"]);
    assert_eq!(results[0]["problem"]["retry_after_seconds"], 1);
}

//! Encryption contexts: the same must come back, and it must be one.

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::{reply::Reply, world::World};

const OCTETS: &str = "application/octet-stream";

fn context_header(map: &Value) -> String {
    URL_SAFE_NO_PAD.encode_to_string(map.to_string())
}

#[tokio::test]
async fn another_context_opens_nothing() {
    let world = World::new().await;
    let wrap = json!({"key": "a2V5", "encryption_context": {"table": "salaries"}});
    let wrapped = world.does("acme/wrap", &wrap).await.with(200)["wrapped_key"].clone();
    for context in [
        json!({}),
        json!({"table": "Salaries"}),
        json!({"table": "salaries", "a": ""}),
        json!({"salaries": "table"}),
    ] {
        let request = json!({"wrapped_key": wrapped, "encryption_context": context});
        world.does("acme/unwrap", &request).await.problem(400, "not-authentic");
    }
}

#[tokio::test]
async fn a_context_has_its_limits() {
    let world = World::new().await;
    let many: serde_json::Map<_, _> = (0..33).map(|n| (n.to_string(), json!(""))).collect();
    let refused = |context: Value| {
        let body = json!({"plaintext": "QQ", "encryption_context": context});
        let world = &world;
        async move { world.does("acme/encrypt", &body).await }
    };
    refused(json!({"a": "b".repeat(4096)}))
        .await
        .problem(400, "encryption-context-invalid");
    refused(json!({"": "b"}))
        .await
        .problem(400, "encryption-context-invalid");
    refused(Value::Object(many)).await.problem(400, "malformed-request");
    let most: serde_json::Map<_, _> = (0..32).map(|n| (format!("{n:02}"), json!("b".repeat(126)))).collect();
    refused(Value::Object(most)).await.with(200);
}

#[tokio::test]
async fn a_context_in_a_header_is_base64url_of_a_map_of_strings_once() {
    let world = World::new().await;
    let good = context_header(&json!({"a": "b"}));
    let long = context_header(&json!({"a": "b".repeat(4096)}));
    for headers in [
        &["{}"][..],
        &[""],
        &["e30="],
        &["W10"],
        &["eyJhIjoxfQ"],
        &["eyJhIjoiMSIsImEiOiIyIn0"],
        &[&long],
        &[&good, &good],
    ] {
        for operation in ["acme/encrypt", "acme/decrypt"] {
            let request = headers.iter().fold(world.data(operation), |request, value| {
                request.header("keyferry-encryption-context", *value)
            });
            let refused = Reply::to(request.header("content-type", OCTETS).body("payroll")).await;
            refused.problem(400, "encryption-context-invalid");
        }
    }
}

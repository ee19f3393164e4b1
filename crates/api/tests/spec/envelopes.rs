//! Envelopes and contexts that do not open: whose, of what kind or how damaged they are is told as far as it may be.

use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::{reply::Reply, world::World};

const OCTETS: &str = "application/octet-stream";

async fn unwrap(world: &World, tenant: &str, wrapped_key: &str) -> Reply {
    world
        .does(&format!("{tenant}/unwrap"), &json!({ "wrapped_key": wrapped_key }))
        .await
}

fn context_header(map: &Value) -> String {
    URL_SAFE_NO_PAD.encode_to_string(map.to_string())
}

#[tokio::test]
async fn what_is_wrapped_unwraps_and_what_is_encrypted_decrypts() {
    let world = World::new().await;
    let context = json!({"table": "salaries"});
    let wrapped = world
        .does("acme/wrap", &json!({"key": "a2V5", "encryption_context": context}))
        .await
        .with(200);
    let unwrap = json!({"wrapped_key": wrapped["wrapped_key"], "encryption_context": context});
    let unwrapped = world.does("acme/unwrap", &unwrap).await.with(200);
    assert_eq!(
        (&unwrapped["key"], &unwrapped["key_id"]),
        (&json!("a2V5"), &wrapped["key_id"])
    );
    let encrypt = json!({"plaintext": "cGF5cm9sbA", "encryption_context": context});
    let encrypted = world.does("acme/encrypt", &encrypt).await.with(200);
    let decrypt = json!({"ciphertext": encrypted["ciphertext"], "encryption_context": context});
    assert_eq!(
        world.does("acme/decrypt", &decrypt).await.with(200)["plaintext"],
        "cGF5cm9sbA"
    );
}

#[tokio::test]
async fn a_generated_key_is_the_one_that_unwraps_and_is_shown_only_if_asked_for() {
    let world = World::new().await;
    for (request, bytes) in [
        (json!({}), 32),
        (json!({"length": 1}), 1),
        (json!({"length": 1024}), 1024),
    ] {
        let made = world.does("acme/generate-data-key", &request).await.with(200);
        let unwrapped = unwrap(&world, "acme", made["wrapped_key"].as_str().unwrap())
            .await
            .with(200);
        assert_eq!(unwrapped["key"], made["plaintext"]);
        let key = URL_SAFE_NO_PAD
            .decode_to_vec(made["plaintext"].as_str().unwrap())
            .unwrap();
        assert_eq!(key.len(), bytes);
    }
    let made = world
        .does("acme/generate-data-key", &json!({"include_plaintext": false}))
        .await
        .with(200);
    assert_eq!(made.get("plaintext"), None);
}

#[tokio::test]
async fn an_octet_stream_is_sealed_and_opened_as_it_is() {
    let world = World::new().await;
    let context = context_header(&json!({"table": "salaries"}));
    for len in [0, 1, 100_000, 3 << 20] {
        let plaintext: Vec<u8> = (0..len).map(|place: usize| place.to_le_bytes()[0]).collect();
        let send = |operation: &str, body: Vec<u8>| {
            let request = world.data(&format!("acme/{operation}")).header("content-type", OCTETS);
            Reply::to(request.header("keyferry-encryption-context", &context).body(body))
        };
        let sealed = send("encrypt", plaintext.clone()).await;
        let opened = send("decrypt", sealed.body.clone()).await;
        assert!(
            (sealed.status, opened.status) == (200, 200) && opened.body == plaintext,
            "{len}"
        );
        for reply in [&sealed, &opened] {
            assert_eq!(reply.header("content-type"), OCTETS);
            assert!(
                reply
                    .header("keyferry-key-id")
                    .starts_with("https://shared.vault.azure.net/keys/kek/")
            );
        }
    }
}

#[tokio::test]
async fn both_forms_of_a_request_make_the_same_envelope() {
    let world = World::new().await;
    let envelope = URL_SAFE_NO_PAD.decode_to_vec(world.ciphertext("acme").await).unwrap();
    let opened = Reply::to(world.data("acme/decrypt").header("content-type", OCTETS).body(envelope)).await;
    assert_eq!((opened.status, &*opened.body), (200, &b"payroll"[..]));
}

#[tokio::test]
async fn an_envelope_opens_for_its_tenant_only() {
    let world = World::new().await;
    let wrapped_key = world.wrapped_key("acme").await;
    unwrap(&world, "acme", &wrapped_key).await.with(200);
    unwrap(&world, "globex", &wrapped_key)
        .await
        .problem(400, "not-authentic");
    let before = world.vault.calls();
    unwrap(&world, "initech", &wrapped_key)
        .await
        .problem(400, "foreign-key");
    assert_eq!(world.vault.calls(), before, "nothing was sent to any vault");
}

#[tokio::test]
async fn a_key_opens_as_a_key_and_data_as_data() {
    let world = World::new().await;
    let (key, data) = (world.wrapped_key("acme").await, world.ciphertext("acme").await);
    unwrap(&world, "acme", &data).await.problem(400, "wrong-content");
    let decrypt = json!({ "ciphertext": key });
    world.does("acme/decrypt", &decrypt).await.problem(400, "wrong-content");
}

#[tokio::test]
async fn a_truncated_envelope_is_never_more_than_malformed() {
    let world = World::new().await;
    let envelope = URL_SAFE_NO_PAD.decode_to_vec(world.wrapped_key("acme").await).unwrap();
    for len in [
        0,
        1,
        2,
        3,
        16,
        64,
        envelope.len() / 2,
        envelope.len() - 16,
        envelope.len() - 1,
    ] {
        let truncated = URL_SAFE_NO_PAD.encode_to_string(&envelope[..len]);
        unwrap(&world, "acme", &truncated)
            .await
            .problem(400, "envelope-malformed");
        let rewrap = json!({ "wrapped_key": truncated });
        world
            .does("acme/rewrap", &rewrap)
            .await
            .problem(400, "envelope-malformed");
    }
    let longer = URL_SAFE_NO_PAD.encode_to_string([&envelope[..], b"\0"].concat());
    unwrap(&world, "acme", &longer).await.problem(400, "envelope-malformed");
}

#[tokio::test]
async fn a_changed_byte_is_always_the_callers_fault_and_never_opens() {
    let world = World::new().await;
    let envelope = URL_SAFE_NO_PAD.decode_to_vec(world.wrapped_key("acme").await).unwrap();
    for place in (0..envelope.len()).step_by(7) {
        let mut changed = envelope.clone();
        changed[place] ^= 0x20;
        let refused = unwrap(&world, "acme", &URL_SAFE_NO_PAD.encode_to_string(changed)).await;
        assert_eq!(refused.status, 400, "byte {place}: {}", refused.text());
        assert_eq!(refused.json()["fault"], "caller");
    }
}

#[tokio::test]
async fn rewrapping_takes_exactly_one_envelope_and_gives_it_back_in_its_field() {
    let world = World::new().await;
    let (key, data) = (world.wrapped_key("acme").await, world.ciphertext("acme").await);
    for request in [json!({}), json!({"wrapped_key": key, "ciphertext": data})] {
        world
            .does("acme/rewrap", &request)
            .await
            .problem(400, "malformed-request");
    }
    let rewrapped = world
        .does("acme/rewrap", &json!({ "wrapped_key": key }))
        .await
        .with(200);
    unwrap(&world, "acme", rewrapped["wrapped_key"].as_str().unwrap())
        .await
        .with(200);
    let rewrapped = world
        .does("acme/rewrap", &json!({ "ciphertext": data }))
        .await
        .with(200);
    world
        .does("acme/decrypt", &json!({"ciphertext": rewrapped["ciphertext"]}))
        .await
        .with(200);
}

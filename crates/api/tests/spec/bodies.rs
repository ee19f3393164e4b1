//! Bodies that are not what an operation takes: each is refused with a problem, and none of them is our fault.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::{raw::Raw, reply::Reply, world::World};

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

async fn post(world: &World, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = world.data(&format!("acme/{path}")).header("content-type", content_type);
    Reply::to(request.body(body)).await
}

#[tokio::test]
async fn what_is_not_the_operations_json_is_malformed() {
    let world = World::new().await;
    let nested = "[".repeat(100_000);
    for body in [
        "",
        "payroll",
        "null",
        "[]",
        "7",
        "{",
        r#"{"plaintext":"#,
        r#"{"plaintext":"QQ""#,
        r#"{"plaintext":"QQ"}}"#,
        r#"{"plaintext":"QQ"} {}"#,
        "{}",
        r#"{"plaintext":null}"#,
        r#"{"plaintext":7}"#,
        r#"{"plaintext":["QQ"]}"#,
        r#"{"plaintext":"QQ","extra":1}"#,
        r#"{"plaintext":"QQ","plaintext":"QQ"}"#,
        r#"{"Plaintext":"QQ"}"#,
        r#"{"plaintext":"QQ","encryption_context":null}"#,
        r#"{"plaintext":"QQ","encryption_context":["a"]}"#,
        r#"{"plaintext":"QQ","encryption_context":{"a":1}}"#,
        r#"{"plaintext":"QQ","encryption_context":{"a":{"b":"c"}}}"#,
        r#"{"plaintext":"QQ","encryption_context":{"a":"1","a":"2"}}"#,
        &format!(r#"{{"plaintext":{nested}"#),
    ] {
        let refused = post(&world, "encrypt", JSON, body.to_owned()).await;
        let shown = &body[..body.len().min(60)];
        assert_eq!(refused.slug().as_deref(), Some("malformed-request"), "{shown}");
        assert_eq!(refused.problem(400, "malformed-request")["fault"], "caller", "{shown}");
    }
    let refused = post(&world, "encrypt", JSON, &b"{\"plaintext\":\"\xff\"}"[..]).await;
    refused.problem(400, "malformed-request");
}

#[tokio::test]
async fn bytes_have_one_spelling() {
    let world = World::new().await;
    for text in ["Zg==", "/+8", "Zh", "Z", "Zm9v=", " Zm9v", "Zm9v\n", "Zm\u{e9}v"] {
        for (operation, field) in [
            ("encrypt", "plaintext"),
            ("decrypt", "ciphertext"),
            ("wrap", "key"),
            ("unwrap", "wrapped_key"),
        ] {
            let refused = world.does(&format!("acme/{operation}"), &json!({ field: text })).await;
            refused.problem(400, "malformed-request");
        }
    }
}

#[tokio::test]
async fn a_refusal_repeats_nothing_of_what_was_sent() {
    let world = World::new().await;
    for body in [
        r#"{"plaintext":"planted"#,
        r#"{"planted":"planted"}"#,
        r#"{"plaintext":"QQ","encryption_context":{"planted":["planted"]}}"#,
        r#"{"plaintext":"planted!"}"#,
    ] {
        let refused = post(&world, "encrypt", JSON, body).await;
        refused.problem(400, "malformed-request");
        assert!(!refused.text().contains("planted"), "{}", refused.text());
    }
}

#[tokio::test]
async fn lengths_of_keys_are_bounded() {
    let world = World::new().await;
    for length in [
        json!(0),
        json!(1025),
        json!(-1),
        json!(1.5),
        json!("32"),
        json!(u64::MAX),
    ] {
        let refused = world.does("acme/generate-data-key", &json!({ "length": length })).await;
        refused.problem(400, "malformed-request");
    }
    for (bytes, is_taken) in [(0, false), (1, true), (1024, true), (1025, false)] {
        let key = base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![7; bytes]);
        let wrapped = world.does("acme/wrap", &json!({ "key": key })).await;
        if is_taken {
            wrapped.with(200);
        } else {
            wrapped.problem(400, "malformed-request");
        }
    }
}

#[tokio::test]
async fn a_body_has_one_media_type_that_the_operation_takes() {
    let world = World::new().await;
    let body = r#"{"plaintext":"QQ"}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
        "*/*",
    ] {
        post(&world, "encrypt", content_type, body)
            .await
            .problem(415, "unsupported-media-type");
    }
    let unnamed = Reply::to(world.data("acme/encrypt").body(body)).await;
    unnamed.problem(415, "unsupported-media-type");
    let request = world
        .data("acme/encrypt")
        .header("content-type", JSON)
        .header("content-type", OCTETS);
    Reply::to(request.body(body))
        .await
        .problem(415, "unsupported-media-type");
    let encoded = world
        .data("acme/encrypt")
        .header("content-encoding", "gzip")
        .json(&json!({"plaintext": "QQ"}));
    Reply::to(encoded).await.problem(415, "unsupported-media-type");
    for json_only in [
        "wrap",
        "unwrap",
        "rewrap",
        "generate-data-key",
        "encrypt/batch",
        "decrypt/batch",
    ] {
        post(&world, json_only, OCTETS, body)
            .await
            .problem(415, "unsupported-media-type");
    }
    let create = world.admin(Method::POST, "").header("content-type", OCTETS).body("{}");
    Reply::to(create).await.problem(415, "unsupported-media-type");
    for content_type in [
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;",
    ] {
        post(&world, "encrypt", content_type, body).await.with(200);
    }
}

#[tokio::test]
async fn a_body_over_its_limit_is_too_large_whether_or_not_it_says_so() {
    let limits = |http: &mut keyferry_api::config::HttpConfig| {
        http.max_json_bytes = 1000;
        http.max_octet_stream_bytes = 2000;
    };
    let world = World::with(limits).await;
    for (content_type, most) in [(JSON, 1000), (OCTETS, 2000)] {
        let body = vec![b' '; most + 1];
        let refused = post(&world, "encrypt", content_type, body.clone()).await;
        assert_eq!(refused.problem(413, "body-too-large")["fault"], "caller");
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> = body.chunks(700).map(|piece| Ok(piece.to_vec())).collect();
        let streamed = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        post(&world, "encrypt", content_type, streamed)
            .await
            .problem(413, "body-too-large");
    }
    let padded = format!(r#"{{"plaintext":"QQ"}}{}"#, " ".repeat(1000 - 18));
    post(&world, "encrypt", JSON, padded).await.with(200);
    assert_eq!(post(&world, "encrypt", OCTETS, vec![7; 2000]).await.status, 200);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_before_it_comes() {
    let world = World::new().await;
    for (content_type, most) in [(JSON, 8 << 20), (OCTETS, (64 << 20) + (16 << 10))] {
        for announced in [most + 1, usize::MAX >> 1] {
            let raw = Raw::announcing(&world, "acme/encrypt", content_type, announced).await;
            raw.reply().await.problem(413, "body-too-large");
        }
    }
}

#[tokio::test]
async fn a_plaintext_over_the_sealers_limit_is_too_large() {
    let world = World::new().await;
    let refused = post(&world, "encrypt", OCTETS, vec![7; (64 << 20) + 1]).await;
    refused.problem(413, "plaintext-too-large");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_incomplete() {
    let world = World::new().await;
    for content_type in [JSON, OCTETS] {
        let mut raw = Raw::announcing(&world, "acme/encrypt", content_type, 100).await;
        raw.send(br#"{"plaintext":"#).await;
        raw.breaks_off().await;
        raw.reply().await.problem(400, "body-incomplete");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::with(|http| http.body_timeout = Duration::from_millis(20)).await;
    let mut raw = Raw::announcing(&world, "acme/encrypt", JSON, 100).await;
    raw.send(br#"{"plaintext":"#).await;
    raw.reply().await.problem(408, "body-timeout");
}

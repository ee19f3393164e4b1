//! Memory is bounded: whatever is not small is charged, with its answer, until the answer is sent.

use std::time::Duration;

use http::Method;
use keyferry_api::config::HttpConfig;
use keyferry_crypto::vault::VaultCause;
use serde_json::{Value, json};

use crate::{
    limits::{encrypt, encrypt_while_the_vault_hangs},
    metrics::{count, requests},
    raw::Raw,
    reply::Reply,
    world::{DATA, World},
};

const OCTETS: &str = "application/octet-stream";
/// More than what a connection's two ends keep in their kernels.
const LARGE: usize = 8 << 20;

fn budget(bytes: usize) -> impl FnOnce(&mut HttpConfig) {
    move |http| http.body_budget_bytes = bytes
}

/// Waits long for nobody to do anything, but not for an answer to be read.
fn impatient(http: &mut HttpConfig) {
    (http.answer_timeout, http.idle_timeout) = (Duration::from_millis(50), Duration::from_hours(1));
}

async fn charged(world: &World) -> u64 {
    count(world, "keyferry_budget_taken_bytes", &[]).await
}

/// Has something large encrypted, and does not read the answer.
async fn leaves_unread(world: &World) -> Raw {
    let mut raw = Raw::announcing(world, "acme/encrypt", OCTETS, LARGE).await;
    raw.send(&vec![7; LARGE]).await;
    while requests(world, "encrypt", "ok").await == 0 {}
    raw
}

#[tokio::test]
async fn large_bodies_share_a_budget_of_memory() {
    let world = World::with(budget(600_000)).await;
    let under_way = encrypt_while_the_vault_hangs(&world, 200_000).await;
    let refused = encrypt(&world, 200_000).await;
    assert_eq!(refused.problem(503, "body-budget-exhausted")["fault"], "service");
    assert_eq!(refused.header("retry-after"), "1");
    world.vault.goes_on();
    assert_eq!(encrypt(&world, 1000).await.status, 200, "small bodies are free");
    assert_eq!(under_way.await.unwrap().status, 200);
    assert_eq!(encrypt(&world, 200_000).await.status, 200, "the memory was given back");
}

#[tokio::test]
async fn an_answer_is_charged_with_its_body() {
    let world = World::with(budget(300_000)).await;
    for (len, fits) in [(148_000, true), (150_000, false)] {
        assert_eq!(encrypt(&world, len).await.status == 200, fits, "{len} bytes, twice");
    }
    for (len, fits) in [(98_000, true), (100_000, false)] {
        let body = json!({"plaintext": "QUFB".repeat(len / 4)});
        let encrypted = world.does("acme/encrypt", &body).await;
        assert_eq!(encrypted.status == 200, fits, "{len} bytes of text, three times");
    }
}

#[tokio::test]
async fn only_small_bodies_are_free() {
    let world = World::with(budget(1000)).await;
    assert_eq!(encrypt(&world, 4096).await.status, 200);
    encrypt(&world, 4097).await.problem(503, "body-budget-exhausted");
    let pieces = (0..5).map(|_| Ok::<_, std::io::Error>(vec![7; 1000]));
    let streamed = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let request = world.data("acme/encrypt").header("content-type", OCTETS).body(streamed);
    Reply::to(request).await.problem(503, "body-budget-exhausted");
}

#[tokio::test]
async fn a_body_of_unknown_length_pays_for_its_memory_too() {
    let world = World::with(budget(600_000)).await;
    let pieces = (0..10).map(|_| Ok::<_, std::io::Error>(vec![7; 50_000]));
    let streamed = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let request = world.data("acme/encrypt").header("content-type", OCTETS).body(streamed);
    Reply::to(request).await.problem(503, "body-budget-exhausted");
    assert_eq!(encrypt(&world, 200_000).await.status, 200, "the memory was given back");
}

#[tokio::test]
async fn a_batch_is_charged_for_what_a_few_bytes_ask_for() {
    let world = World::with(budget(100_000)).await;
    let of = |len| json!({"items": vec![json!({"length": 1024}); len]});
    world.does("acme/generate-data-key/batch", &of(12)).await.with(200);
    let refused = world.does("acme/generate-data-key/batch", &of(13)).await;
    refused.problem(503, "body-budget-exhausted");
    while charged(&world).await > 0 {}
}

#[tokio::test]
async fn a_budget_is_given_back_by_requests_that_fail() {
    let world = World::with(budget(600_000)).await;
    world.vault.fails(VaultCause::VaultFailed);
    for _ in 0..5 {
        encrypt(&world, 200_000).await.problem(503, "vault-failed");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_stays_charged_until_its_caller_is_gone() {
    let world = World::with(budget(3 * LARGE)).await;
    let unread = leaves_unread(&world).await;
    assert!(charged(&world).await >= 2 * LARGE as u64);
    encrypt(&world, LARGE).await.problem(503, "body-budget-exhausted");
    drop(unread);
    while charged(&world).await > 0 {}
    assert_eq!(encrypt(&world, LARGE).await.status, 200);
}

#[tokio::test]
async fn a_caller_that_does_not_read_its_answer_in_time_loses_its_connection() {
    let world = World::with(impatient).await;
    let unread = leaves_unread(&world).await;
    while charged(&world).await > 0 {}
    assert!(
        unread.closed().await.len() < LARGE,
        "only what the kernels held arrives"
    );
}

#[tokio::test]
async fn a_caller_that_does_not_read_a_stream_loses_its_connection_too() {
    let world = World::with(impatient).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let request = client
        .post(format!("http://{}/v1/tenants/acme/encrypt", world.addr()))
        .bearer_auth(world.issuer.token(&DATA))
        .header("content-type", OCTETS)
        .body(vec![7; LARGE]);
    let unread = request.send().await.unwrap();
    assert_eq!(unread.version(), http::Version::HTTP_2);
    while charged(&world).await > 0 {}
    assert!(unread.bytes().await.is_err());
}

#[tokio::test]
async fn an_answer_that_is_read_in_time_keeps_its_connection() {
    let world = World::with(|http| http.answer_timeout = Duration::from_secs(30)).await;
    for _ in 0..3 {
        assert_eq!(encrypt(&world, 200_000).await.status, 200);
    }
    while charged(&world).await > 0 {}
    let listed: Value = Reply::to(world.admin(Method::GET, "")).await.with(200);
    assert_eq!(listed["tenants"].as_array().unwrap().len(), 3);
}

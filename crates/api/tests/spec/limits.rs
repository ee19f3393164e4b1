//! What one replica takes on at once, and for how long: beyond that it says no, at once, and recovers by itself.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    reply::Reply,
    world::{Setup, World, registration},
};

const OCTETS: &str = "application/octet-stream";

/// Encrypts on a task of its own, and waits until the vault has been asked.
pub(crate) async fn encrypt_while_the_vault_hangs(world: &World, len: usize) -> JoinHandle<Reply> {
    world.vault.hangs();
    let before = world.vault.calls();
    let request = world
        .data("acme/encrypt")
        .header("content-type", OCTETS)
        .body(vec![7; len]);
    let under_way = tokio::spawn(Reply::to(request));
    world.vault.called_since(before).await;
    under_way
}

pub(crate) async fn encrypt(world: &World, len: usize) -> Reply {
    Reply::to(
        world
            .data("globex/encrypt")
            .header("content-type", OCTETS)
            .body(vec![7; len]),
    )
    .await
}

#[tokio::test]
async fn beyond_its_limit_of_concurrent_requests_a_replica_says_so_at_once() {
    let world = World::with(|http| http.max_concurrent_requests = 1).await;
    let under_way = encrypt_while_the_vault_hangs(&world, 10).await;
    for _ in 0..3 {
        let refused = encrypt(&world, 10).await;
        assert_eq!(refused.problem(503, "overloaded")["fault"], "service");
        assert_eq!(refused.header("retry-after"), "1");
    }
    assert_eq!(
        Reply::to(world.ops("/healthz")).await.status,
        200,
        "machines are still answered"
    );
    world.vault.goes_on();
    assert_eq!(under_way.await.unwrap().status, 200);
    assert_eq!(encrypt(&world, 10).await.status, 200, "the place was given back");
}

#[tokio::test]
async fn a_caller_that_goes_away_gives_its_place_back() {
    let world = World::with(|http| http.max_concurrent_requests = 1).await;
    let under_way = encrypt_while_the_vault_hangs(&world, 10).await;
    encrypt(&world, 10).await.problem(503, "overloaded");
    under_way.abort();
    // The vault still hangs: only because the caller is gone can there be a place for a request that needs no vault.
    while world.does("acme/wrap", &json!({})).await.slug().as_deref() == Some("overloaded") {}
}

#[tokio::test]
async fn a_refused_place_is_not_lost() {
    let world = World::with(|http| http.max_concurrent_requests = 2).await;
    for _ in 0..10 {
        world
            .does("acme/wrap", &json!({}))
            .await
            .problem(400, "malformed-request");
        world
            .does("nobody/wrap", &json!({}))
            .await
            .problem(404, "tenant-not-found");
    }
    assert_eq!(encrypt(&world, 10).await.status, 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let world = World::with(|http| http.request_timeout = Duration::from_millis(50)).await;
    world.vault.hangs();
    let refused = encrypt(&world, 10).await;
    assert_eq!(refused.problem(504, "deadline-exceeded")["fault"], "service");
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn without_its_database_a_replica_that_knows_nobody_serves_nobody() {
    let setup = Setup {
        has_database: false,
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    let create = world.admin(Method::POST, "").json(&registration("hooli"));
    for request in [
        create,
        world.admin(Method::GET, ""),
        world.data("acme/wrap").json(&json!({})),
    ] {
        let refused = Reply::to(request).await;
        assert_eq!(refused.problem(503, "registry-unavailable")["fault"], "service");
        assert_eq!(refused.header("retry-after"), "1");
    }
    let ready = Reply::to(world.ops("/readyz")).await.with(503);
    assert_eq!((&ready["ready"], &ready["registry"]), (&json!(false), &json!(false)));
    assert_eq!(Reply::to(world.ops("/healthz")).await.status, 200);
}

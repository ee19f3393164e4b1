//! How long a caller waits, and what is done for one that does not wait any more.

use http::Method;
use serde_json::json;

use crate::{
    metrics::requests,
    reply::Reply,
    world::{DATA, World},
};

const PATIENCE: &str = "x-envoy-expected-rq-timeout-ms";

#[tokio::test]
async fn a_request_ends_when_its_caller_does_not_wait_any_more() {
    let world = World::new().await;
    world.vault.hangs();
    let request = world.data("acme/wrap").header(PATIENCE, "50");
    let ended = Reply::to(request.json(&json!({"key": "a2V5"}))).await;
    world.vault.goes_on();
    let problem = ended.problem(504, "deadline-exceeded");
    assert_eq!(
        problem.get("retry_after_seconds"),
        None,
        "it is for the caller to give it more time"
    );
    assert_eq!(
        (
            requests(&world, "wrap", "caller").await,
            requests(&world, "wrap", "service").await
        ),
        (1, 0),
        "nothing has failed"
    );
}

#[tokio::test]
async fn a_caller_that_waits_longer_than_requests_may_take_is_answered_when_they_may_not() {
    let world = World::with(|http| http.request_timeout = std::time::Duration::from_millis(50)).await;
    world.vault.hangs();
    let request = world.data("acme/wrap").header(PATIENCE, "3600000");
    let ended = Reply::to(request.json(&json!({"key": "a2V5"}))).await;
    world.vault.goes_on();
    let problem = ended.problem(504, "deadline-exceeded");
    assert_eq!(problem["retry_after_seconds"], 1);
    assert_eq!(requests(&world, "wrap", "service").await, 1);
}

#[tokio::test]
async fn what_is_no_time_is_none_of_our_business() {
    let world = World::new().await;
    for value in ["0", "soon", "-1", "1.5", ""] {
        let request = world.data("acme/wrap").header(PATIENCE, value);
        Reply::to(request.json(&json!({"key": "a2V5"}))).await.with(200);
    }
}

#[tokio::test]
async fn work_that_has_not_begun_is_not_begun_once_nobody_waits_for_it() {
    let world = World::with(|http| http.batch_concurrency = 1).await;
    world.register("uncached", json!({"cache_ttl_seconds": 0})).await;
    let item = json!({"wrapped_key": world.wrapped_key("uncached").await});
    let before = world.vault.calls();
    world.vault.hangs();
    let request = world
        .call(Method::POST, "/v1/tenants/uncached/unwrap/batch")
        .bearer_auth(world.issuer.token(&DATA))
        .header(PATIENCE, "100")
        .json(&json!({"items": [item, item, item, item, item]}));
    Reply::to(request).await.problem(504, "deadline-exceeded");
    world.vault.goes_on();
    // A call for somebody else begins after the rest of the batch would have.
    let mark = world.vault.calls();
    world.wrapped_key("globex").await;
    assert!(mark - before <= 1, "{} calls", mark - before);
    assert_eq!(world.vault.calls() - mark, 2, "one wrap, and one unwrap as its proof");
}

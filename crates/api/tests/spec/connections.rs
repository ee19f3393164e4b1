//! Connections: how many, how long one may be quiet, and how long a head may take and be.

use std::time::Duration;

use http::Method;
use keyferry_api::config::HttpConfig;

use crate::{metrics::count, raw::Raw, reply::Reply, world::World};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_hours(1);

/// Machines ask at an address of their own, so that their connections do not count.
async fn world(change: impl FnOnce(&mut HttpConfig)) -> World {
    World::with(|http| {
        http.ops_listen = Some("127.0.0.1:0".parse().unwrap());
        change(http);
    })
    .await
}

#[tokio::test]
async fn beyond_its_limit_of_connections_a_replica_closes_new_ones_at_once() {
    let world = world(|http| http.max_connections = 1).await;
    let mut first = Raw::connected(&world).await;
    first.asks().await;
    for refused in 1..=3 {
        assert!(Raw::connected(&world).await.closed().await.is_empty());
        assert_eq!(count(&world, "keyferry_connections_refused_total", &[]).await, refused);
    }
    assert_eq!(
        count(&world, "keyferry_connections", &[]).await,
        2,
        "the first and the one that asks"
    );
    first.asks().await;
    drop(first);
    while Reply::try_to(world.call(Method::GET, "/openapi.json")).await.is_err() {}
}

#[tokio::test]
async fn a_connection_may_be_quiet_for_longer_than_a_head_may_take() {
    let world = world(|http| (http.header_timeout, http.idle_timeout) = (SHORT, LONG)).await;
    let mut kept = Raw::connected(&world).await;
    kept.asks().await;
    // Begun later, and closed by the header timeout: so that is over for the other one too.
    Raw::connected(&world).await.closed().await;
    kept.asks().await;
}

#[tokio::test]
async fn a_connection_that_is_quiet_for_too_long_is_closed() {
    let world = world(|http| (http.header_timeout, http.idle_timeout) = (LONG, SHORT)).await;
    let mut quiet = Raw::connected(&world).await;
    quiet.asks().await;
    assert!(quiet.closed().await.is_empty());
}

#[tokio::test]
async fn a_quiet_http2_connection_is_closed_as_well() {
    let world = world(|http| (http.header_timeout, http.idle_timeout) = (LONG, SHORT)).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let answer = client.get(format!("http://{}/openapi.json", world.addr())).send().await;
    assert_eq!(answer.unwrap().version(), http::Version::HTTP_2);
    while count(&world, "keyferry_connections", &[]).await > 1 {}
}

#[tokio::test]
async fn a_caller_that_reads_nothing_is_quiet() {
    let world = world(|http| (http.answer_timeout, http.idle_timeout) = (LONG, Duration::from_secs(1))).await;
    let len = 8 << 20;
    let mut raw = Raw::announcing(&world, "acme/encrypt", "application/octet-stream", len).await;
    raw.send(&vec![7; len]).await;
    while count(&world, "keyferry_connections", &[]).await > 1 {}
    assert!(raw.closed().await.len() < len);
}

#[tokio::test]
async fn a_first_head_that_does_not_come_is_not_waited_for() {
    let world = world(|http| (http.header_timeout, http.idle_timeout) = (SHORT, LONG)).await;
    for begun in [
        "",
        "G",
        "GET /healthz HTTP/1.1\r\nhost: key",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut slow = Raw::connected(&world).await;
        slow.send(begun.as_bytes()).await;
        let answer = slow.closed().await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{begun:?}");
    }
}

#[tokio::test]
async fn a_later_head_that_does_not_come_whole_is_not_waited_for_either() {
    let world = world(|http| (http.header_timeout, http.idle_timeout) = (SHORT, SHORT)).await;
    let mut slow = Raw::connected(&world).await;
    slow.asks().await;
    slow.send(b"GET /healthz HTTP/1.1\r\nhost: key").await;
    assert!(!slow.closed().await.starts_with(b"HTTP/1.1 2"));
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let world = world(|_| {}).await;
    let mut long = Raw::connected(&world).await;
    let head = format!(
        "GET /openapi.json HTTP/1.1\r\nhost: keyferry\r\nx: {}",
        "x".repeat(128 << 10)
    );
    long.send(head.as_bytes()).await;
    let answer = String::from_utf8(long.closed().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

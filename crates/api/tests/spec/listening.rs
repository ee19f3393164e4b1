//! Listeners: how a replica ends without dropping a request, where machines ask, and TLS.

use std::time::Duration;

use http::{Method, Version};
use keyferry_api::config::TlsConfig;
use rcgen::generate_simple_self_signed;
use serde_json::json;
use tokio::net::TcpStream;

use crate::{reply::Reply, world::World};

#[tokio::test]
async fn a_replica_on_its_way_out_says_so_and_serves_until_the_balancers_have_noticed() {
    let mut world = World::with(|http| http.drain_delay = Duration::from_hours(1)).await;
    let stopping = tokio::spawn(world.take_service().stop());
    let readiness = loop {
        let readiness = Reply::to(world.ops("/readyz")).await;
        if readiness.status != 200 {
            break readiness.with(503);
        }
    };
    assert_eq!(
        readiness,
        json!({"ready": false, "serving": false, "registry": true, "identity_provider": true})
    );
    assert_eq!(Reply::to(world.ops("/healthz")).await.status, 200);
    world.wrapped_key("acme").await;
    stopping.abort();
}

#[tokio::test]
async fn a_request_under_way_finishes_before_the_replica_ends() {
    let mut world = World::new().await;
    world.vault.hangs();
    let before = world.vault.calls();
    let request = world.data("acme/generate-data-key").json(&json!({}));
    let under_way = tokio::spawn(Reply::to(request));
    world.vault.called_since(before).await;
    let addr = world.addr();
    let stopping = tokio::spawn(world.take_service().stop());
    while TcpStream::connect(addr).await.is_ok() {}
    assert!(!stopping.is_finished(), "it waits for the request");
    world.vault.goes_on();
    under_way.await.unwrap().with(200);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_replica() {
    let mut world = World::with(|http| http.drain_timeout = Duration::from_millis(10)).await;
    world.vault.hangs();
    let before = world.vault.calls();
    let request = world.data("acme/generate-data-key").json(&json!({}));
    let under_way = tokio::spawn(request.send());
    world.vault.called_since(before).await;
    world.take_service().stop().await;
    assert!(under_way.await.unwrap().is_err());
}

#[tokio::test]
async fn machines_ask_at_an_address_of_their_own_if_it_is_given() {
    let world = World::with(|http| http.ops_listen = Some("127.0.0.1:0".parse().unwrap())).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        Reply::to(world.call(Method::GET, path))
            .await
            .problem(404, "route-not-found");
        assert_eq!(Reply::to(world.ops(path)).await.status, 200);
    }
    for path in ["/v1/admin/tenants", "/openapi.json", "/docs/", "/"] {
        Reply::to(world.ops(path)).await.problem(404, "route-not-found");
    }
}

#[tokio::test]
async fn machines_ask_at_the_same_address_if_none_is_given() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(Reply::to(world.call(Method::GET, path)).await.status, 200);
    }
}

#[tokio::test]
async fn a_machine_that_asks_wrongly_is_told_so_as_anyone_is() {
    for apart in [true, false] {
        let world = World::with(|http| http.ops_listen = apart.then(|| "127.0.0.1:0".parse().unwrap())).await;
        for path in ["/healthz", "/readyz", "/metrics"] {
            let refused = Reply::to(world.posts_to_ops(path).header("x-request-id", "machine-7")).await;
            let problem = refused.problem(405, "method-not-allowed");
            assert_eq!(
                (&problem["request_id"], refused.header("allow")),
                (&json!("machine-7"), "GET,HEAD")
            );
            assert!(!Reply::to(world.ops(path)).await.header("x-request-id").is_empty());
        }
    }
}

#[tokio::test]
async fn the_api_is_served_over_tls_with_the_given_certificate() {
    let identity = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let files = TlsConfig {
        certificate_file: dir.path().join("certificate.pem"),
        key_file: dir.path().join("key.pem"),
    };
    std::fs::write(&files.certificate_file, identity.cert.pem()).unwrap();
    std::fs::write(&files.key_file, identity.signing_key.serialize_pem()).unwrap();
    let world = World::with(|http| {
        http.tls = Some(files);
        http.ops_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let root = reqwest::Certificate::from_pem(identity.cert.pem().as_bytes()).unwrap();
    let trusting = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/openapi.json", world.addr().port());
    let answer = trusting.get(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert!(reqwest::get(&url).await.is_err(), "nobody else trusts it");
    assert!(
        Reply::try_to(world.call(Method::GET, "/openapi.json")).await.is_err(),
        "nor is it plain HTTP"
    );
}

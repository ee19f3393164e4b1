//! Paths and methods that there are not.

use http::Method;
use serde_json::json;

use crate::{
    reply::Reply,
    world::{OPERATOR, World},
};

#[tokio::test]
async fn a_path_that_leads_nowhere_is_a_problem() {
    let world = World::new().await;
    for path in [
        "/",
        "/v1",
        "/v2/tenants/acme/encrypt",
        "/v1/tenants/acme",
        "/v1/tenants/acme/explode",
        "/v1/tenants/acme/encrypt/",
        "/v1/tenants/acme/encrypt/batch/more",
        "/v1/admin",
    ] {
        for method in [Method::GET, Method::POST] {
            let refused = Reply::to(world.call(method, path)).await;
            refused.problem(404, "route-not-found");
        }
    }
    let refused = Reply::to(world.call(Method::GET, "/docs/nothing.js")).await;
    refused.problem(404, "route-not-found");
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_told_which_it_takes() {
    let world = World::new().await;
    for (method, path, allowed) in [
        (Method::GET, "/v1/tenants/acme/encrypt", "POST"),
        (Method::PUT, "/v1/tenants/acme/unwrap/batch", "POST"),
        (Method::DELETE, "/v1/admin/tenants", "GET,HEAD,POST"),
        (Method::PUT, "/v1/admin/tenants/acme", "DELETE,GET,HEAD,PATCH"),
        (Method::POST, "/openapi.json", "GET,HEAD"),
    ] {
        let request = world.call(method, path).bearer_auth(world.issuer.token(&[OPERATOR]));
        let refused = Reply::to(request).await;
        refused.problem(405, "method-not-allowed");
        let mut methods: Vec<_> = refused.header("allow").split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allowed, "{path}");
    }
}

#[tokio::test]
async fn a_tenants_name_that_cannot_be_one_is_unknown() {
    let world = World::new().await;
    for slug in [
        "",
        "ACME",
        "acme%20",
        "%ff%fe",
        "%00",
        "..%2facme",
        "a%2Fb",
        &"a".repeat(64),
        "-",
        "acm%C3%A9",
    ] {
        let refused = world.does(&format!("{slug}/generate-data-key"), &json!({})).await;
        assert_eq!(refused.slug().as_deref(), Some("tenant-not-found"), "{slug}");
    }
}

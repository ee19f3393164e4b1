//! Registering tenants: once each, with every refused field named.

use http::Method;
use serde_json::{Value, json};

use crate::{
    issuer::{FIRST, header},
    reply::Reply,
    world::{CONFINED, OPERATOR, World, registration},
};

async fn create(world: &World, request: &Value) -> Reply {
    Reply::to(world.admin(Method::POST, "").json(request)).await
}

/// The fields that are refused when `change` is made to a good registration.
async fn refused_fields(world: &World, change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut request = registration("hooli");
    change(&mut request);
    let problem = create(world, &request).await.problem(422, "invalid-fields");
    let errors = problem["errors"].as_array().unwrap();
    assert!(errors.iter().all(|error| error["detail"].as_str().unwrap().len() > 10));
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_registered_tenant_is_told_where_it_is_and_serves_at_once() {
    let world = World::new().await;
    let created = create(&world, &registration("hooli")).await;
    let tenant = created.with(201);
    assert_eq!(created.header("location"), "/v1/admin/tenants/hooli");
    assert_eq!(created.header("etag"), format!("\"{}\"", tenant["revision"]));
    assert_eq!(
        (&tenant["status"], &tenant["cloud"]),
        (&json!("active"), &json!("public"))
    );
    assert_eq!(
        tenant["policy"],
        json!({"cache_ttl_seconds": 300, "lease_max_age_seconds": 300, "lease_max_messages": 1_000_000, "outage_grace_seconds": 0})
    );
    let shown = Reply::to(
        world
            .call(Method::GET, created.header("location"))
            .bearer_auth(world.issuer.token(&[OPERATOR])),
    );
    let shown = shown.await;
    assert_eq!(
        (shown.with(200), shown.header("etag")),
        (tenant, created.header("etag"))
    );
    world.wrapped_key("hooli").await;
}

#[tokio::test]
async fn an_answer_shows_exactly_what_was_asked_for() {
    let world = World::new().await;
    let mut request = registration("hooli");
    request["cloud"] = json!("china");
    request["vault"] = json!("https://Hooli.vault.azure.cn/");
    request["key_version"] = json!("00000000000000000000000000000007");
    request["policy"] = json!({"cache_ttl_seconds": 0, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 86400});
    let tenant = create(&world, &request).await.with(201);
    request["vault"] = json!("hooli.vault.azure.cn");
    for (field, value) in request.as_object().unwrap() {
        assert_eq!(&tenant[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_slug_is_taken_once() {
    let world = World::new().await;
    create(&world, &registration("acme")).await.problem(409, "slug-taken");
}

#[tokio::test]
async fn a_confined_operator_registers_nobody_else() {
    let world = World::new().await;
    let mut claims = world.issuer.claims(&[OPERATOR]);
    claims["azp"] = json!(CONFINED);
    let token = FIRST.sign(&header(FIRST.kid), &claims);
    let request = world.call(Method::POST, "/v1/admin/tenants").bearer_auth(token);
    let refused = Reply::to(request.json(&registration("hooli"))).await;
    refused.problem(409, "slug-taken");
    let shown = Reply::to(world.admin(Method::GET, "/hooli")).await;
    shown.problem(404, "tenant-not-found");
}

#[tokio::test]
async fn a_request_repeated_under_its_idempotency_key_registers_once() {
    let world = World::new().await;
    let request = registration("hooli");
    let repeat = || {
        Reply::to(
            world
                .admin(Method::POST, "")
                .header("idempotency-key", "k-1")
                .json(&request),
        )
    };
    let (first, again) = (repeat().await, repeat().await);
    assert_eq!(first.with(201), again.with(200));
    for name in ["etag", "location"] {
        assert_eq!(first.header(name), again.header(name));
    }
}

#[tokio::test]
async fn an_idempotency_key_is_for_one_request_only() {
    let world = World::new().await;
    let post = |slug| {
        let request = world.admin(Method::POST, "").header("idempotency-key", "k-1");
        Reply::to(request.json(&registration(slug)))
    };
    post("hooli").await.with(201);
    post("pied-piper").await.problem(422, "idempotency-key-reused");
    Reply::to(world.admin(Method::GET, "/pied-piper"))
        .await
        .problem(404, "tenant-not-found");
}

#[tokio::test]
async fn an_idempotency_key_must_be_one() {
    let world = World::new().await;
    for keys in [&[""][..], &["a b"], &["one", "two"], &[&"k".repeat(201)]] {
        let request = keys.iter().fold(world.admin(Method::POST, ""), |request, key| {
            request.header("idempotency-key", *key)
        });
        let refused = Reply::to(request.json(&registration("hooli"))).await;
        refused.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn each_field_that_is_refused_is_named() {
    let world = World::new().await;
    for (field, value, named) in [
        ("slug", json!("Hooli"), "slug"),
        ("slug", json!("-"), "slug"),
        ("slug", json!(""), "slug"),
        ("slug", json!("a".repeat(64)), "slug"),
        ("display_name", json!(""), "display_name"),
        ("display_name", json!("a\u{7}b"), "display_name"),
        ("directory_id", json!("hooli.onmicrosoft.com"), "directory_id"),
        ("cloud", json!("private"), "cloud"),
        ("key_name", json!("a/b"), "key_name"),
        ("key_version", json!("newest"), "key_version"),
        ("policy", json!({"cache_ttl_seconds": 3601}), "policy.cache_ttl_seconds"),
        (
            "policy",
            json!({"lease_max_age_seconds": 0}),
            "policy.lease_max_age_seconds",
        ),
        ("policy", json!({"lease_max_messages": 0}), "policy.lease_max_messages"),
        (
            "policy",
            json!({"outage_grace_seconds": 86401}),
            "policy.outage_grace_seconds",
        ),
    ] {
        let fields = refused_fields(&world, |request| request[field] = value.clone()).await;
        assert_eq!(fields, [named], "{field}: {value}");
    }
}

#[tokio::test]
async fn a_vault_is_one_host_under_its_clouds_suffixes_and_nothing_else() {
    let world = World::new().await;
    for vault in [
        "hooli.example.com",
        "hooli.vault.azure.net.example.com",
        "hooli.vault.azure.cn",
        "a.b.vault.azure.net",
        "hooli.vault.azure.net:8443",
        "user@hooli.vault.azure.net",
        "http://hooli.vault.azure.net",
        "https://hooli.vault.azure.net/keys/kek",
        "127.0.0.1",
        "169.254.169.254",
        "vault.azure.net",
        "",
    ] {
        let fields = refused_fields(&world, |request| request["vault"] = vault.into()).await;
        assert_eq!(fields, ["vault"], "{vault}");
    }
}

#[tokio::test]
async fn all_fields_that_are_refused_are_named_at_once() {
    let world = World::new().await;
    let fields = refused_fields(&world, |request| {
        request["slug"] = json!("Hooli");
        request["vault"] = json!("hooli.example.com");
        request["key_name"] = json!("");
    });
    assert_eq!(fields.await, ["slug", "vault", "key_name"]);
}

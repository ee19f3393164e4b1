//! The API's own description, and the page that is made from it.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::{reply::Reply, routes::ROUTES, world::World};

async fn description(world: &World) -> Value {
    Reply::to(world.call(Method::GET, "/openapi.json")).await.with(200)
}

/// Every value in a document, itself included.
fn values(document: &Value) -> Vec<&Value> {
    let mut all = vec![document];
    match document {
        Value::Object(members) => all.extend(members.values().flat_map(values)),
        Value::Array(elements) => all.extend(elements.iter().flat_map(values)),
        _ => {}
    }
    all
}

/// What a schema is, with its reference followed.
fn resolved<'a>(description: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => description.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

#[tokio::test]
async fn exactly_the_routes_that_are_served_are_described() {
    let world = World::new().await;
    let description = description(&world).await;
    assert_eq!(description["openapi"], "3.1.0");
    let described: BTreeSet<_> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .keys()
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let served: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(described, served);
}

#[tokio::test]
async fn every_operation_has_an_id_of_its_own_and_says_what_it_does_and_how_it_fails() {
    let world = World::new().await;
    let description = description(&world).await;
    let mut ids = BTreeSet::new();
    for route in ROUTES {
        let operation = &description["paths"][route.path][route.method.to_lowercase()];
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
        assert!(
            operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
            "{operation}"
        );
        let problem = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"];
        let problem = resolved(&description, problem);
        for member in ["type", "title", "status", "detail", "fault"] {
            assert!(
                problem["required"].as_array().unwrap().contains(&json!(member)),
                "{member}"
            );
        }
        if route.path.contains("{tenant}") {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(
                parameters.iter().any(|parameter| parameter["name"] == "tenant"),
                "{operation}"
            );
        }
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let world = World::new().await;
    let description = description(&world).await;
    let references: Vec<_> = values(&description)
        .into_iter()
        .filter_map(|value| value["$ref"].as_str())
        .collect();
    assert!(!references.is_empty());
    for reference in references {
        let target = description.pointer(reference.strip_prefix('#').unwrap());
        assert!(target.is_some_and(Value::is_object), "{reference}");
    }
}

#[tokio::test]
async fn answers_have_the_members_that_are_described_and_no_other() {
    let world = World::new().await;
    let description = description(&world).await;
    let (key, data) = (world.wrapped_key("acme").await, world.ciphertext("acme").await);
    for (operation, request) in [
        ("generate-data-key", json!({})),
        ("generate-data-key", json!({"include_plaintext": false})),
        ("wrap", json!({"key": "a2V5"})),
        ("unwrap", json!({ "wrapped_key": key })),
        ("encrypt", json!({"plaintext": "QQ"})),
        ("decrypt", json!({ "ciphertext": data })),
    ] {
        let answer = world.does(&format!("acme/{operation}"), &request).await.with(200);
        let path = format!("/v1/tenants/{{tenant}}/{operation}");
        let schema = &description["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert_fits(&answer, resolved(&description, schema));
    }
}

#[tokio::test]
async fn a_tenant_has_the_members_that_are_described_and_no_other() {
    let world = World::new().await;
    let description = description(&world).await;
    let answer = Reply::to(world.admin(Method::GET, "/acme")).await.with(200);
    let schema = &description["paths"]["/v1/admin/tenants/{tenant}"]["get"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    assert_fits(&answer, resolved(&description, schema));
}

fn assert_fits(answer: &Value, schema: &Value) {
    let members = answer.as_object().unwrap();
    let known = schema["properties"].as_object().unwrap();
    assert!(
        members.keys().all(|member| known.contains_key(member)),
        "{answer} of {schema}"
    );
    let required = schema["required"].as_array().unwrap();
    assert!(
        required
            .iter()
            .all(|member| members.contains_key(member.as_str().unwrap())),
        "{answer} of {schema}"
    );
}

#[tokio::test]
async fn the_reference_page_and_all_that_it_loads_are_served_here() {
    let world = World::new().await;
    let index = Reply::to(world.call(Method::GET, "/docs/")).await;
    assert_eq!((index.status, index.header("content-type")), (200, "text/html"));
    let policy = index.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("http"),
        "{policy}"
    );
    let loaded: Vec<_> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| {
            index
                .text()
                .split(attribute)
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap())
        })
        .collect();
    assert!(loaded.len() > 3, "{loaded:?}");
    for path in loaded {
        let file = path.strip_prefix("./").unwrap_or(path);
        assert!(!file.contains(':') && !file.starts_with("//"), "{file}");
        assert_eq!(
            Reply::to(world.call(Method::GET, &format!("/docs/{file}")))
                .await
                .status,
            200,
            "{file}"
        );
    }
    let initializer = Reply::to(world.call(Method::GET, "/docs/swagger-initializer.js")).await;
    assert!(initializer.text().contains("/openapi.json"), "{}", initializer.text());
    assert!(!initializer.text().contains("://"), "{}", initializer.text());
}

#[tokio::test]
async fn the_page_is_found_without_its_last_slash() {
    let world = World::new().await;
    let page = Reply::to(world.call(Method::GET, "/docs")).await;
    assert!(
        page.status == 200 && page.header("content-type").starts_with("text/html"),
        "{page:?}"
    );
}

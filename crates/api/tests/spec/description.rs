//! The API's own description, and the page that is made from it.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::{keys, reply::Reply, routes::ROUTES, world::World};

const JSON: &str = "application/json";
const OCTETS: &str = "application/octet-stream";

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
        ("rewrap", json!({ "wrapped_key": key })),
        ("rewrap", json!({ "ciphertext": data })),
    ] {
        let schemas = of_data(&description, operation);
        assert!(fits(&description, schemas.request, &request), "{operation}: {request}");
        let answer = world.does(&format!("acme/{operation}"), &request).await.with(200);
        assert!(fits(&description, schemas.answer, &answer), "{operation}: {answer}");
        let batch = format!("{operation}/batch");
        let (schemas, items) = (of_data(&description, &batch), json!({"items": [request, {"x": 1}]}));
        let answer = world.does(&format!("acme/{batch}"), &items).await.with(200);
        assert!(answer["results"][0]["ok"].is_object() && answer["results"][1]["problem"].is_object());
        assert!(fits(&description, schemas.answer, &answer), "{batch}: {answer}");
    }
}

#[tokio::test]
async fn a_problem_has_the_members_that_are_described_and_no_other() {
    let world = World::new().await;
    let description = description(&world).await;
    let problem = world
        .does("acme/wrap", &json!({}))
        .await
        .problem(400, "malformed-request");
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    assert!(fits(&description, &schema, &problem), "{problem}");
    let create = Reply::to(world.admin(Method::POST, "").json(&json!({
        "slug": "A", "display_name": "", "directory_id": "x", "vault": "x", "key_name": ""
    })));
    let problem = create.await.problem(422, "invalid-fields");
    assert!(fits(&description, &schema, &problem), "{problem}");
}

#[tokio::test]
async fn rewrapping_is_described_as_taking_exactly_one_envelope() {
    let world = World::new().await;
    let description = description(&world).await;
    let request = of_data(&description, "rewrap").request;
    for (body, is_one) in [
        (json!({"wrapped_key": "AA"}), true),
        (json!({"ciphertext": "AA"}), true),
        (json!({}), false),
        (json!({"wrapped_key": null}), false),
        (json!({"wrapped_key": "AA", "ciphertext": "AA"}), false),
    ] {
        assert_eq!(fits(&description, request, &body), is_one, "{body}");
        let slug = world.does("acme/rewrap", &body).await.slug();
        assert_eq!(slug.as_deref() == Some("malformed-request"), !is_one, "{body}");
    }
}

#[tokio::test]
async fn octet_streams_and_their_headers_are_described() {
    let world = World::new().await;
    let description = description(&world).await;
    let context = base64_simd::URL_SAFE_NO_PAD.encode_to_string(r#"{"a":"b"}"#);
    let mut body = b"payroll".to_vec();
    for operation in ["encrypt", "decrypt"] {
        let described = &description["paths"][format!("/v1/tenants/{{tenant}}/{operation}")]["post"];
        assert!(described["requestBody"]["content"].get(OCTETS).is_some(), "{described}");
        let parameters = described["parameters"].as_array().unwrap();
        let header = parameters.iter().find(|parameter| parameter["in"] == "header").unwrap();
        assert_eq!(
            (&header["name"], &header["required"]),
            (&json!("keyferry-encryption-context"), &json!(false))
        );
        let request = world.data(&format!("acme/{operation}")).header("content-type", OCTETS);
        let name = header["name"].as_str().unwrap();
        let answer = Reply::to(request.header(name, &context).body(body)).await;
        assert_eq!(answer.status, 200);
        let success = &described["responses"]["200"];
        assert!(
            success["content"].get(answer.header("content-type")).is_some(),
            "{success}"
        );
        let headers = success["headers"].as_object().unwrap();
        assert!(
            headers.keys().all(|name| !answer.header(name).is_empty()) && headers.len() == 1,
            "{headers:?}"
        );
        body = answer.body;
    }
    assert_eq!(body, b"payroll");
}

#[tokio::test]
async fn tenants_have_the_members_that_are_described_and_no_other() {
    let world = World::new().await;
    let description = description(&world).await;
    for (described, path, query) in [
        ("/v1/admin/tenants/{tenant}", "/acme", ""),
        ("/v1/admin/tenants", "", ""),
        ("/v1/admin/tenants", "", "?limit=2"),
    ] {
        let answer = Reply::to(world.admin(Method::GET, &format!("{path}{query}")))
            .await
            .with(200);
        let content = &description["paths"][described]["get"]["responses"]["200"]["content"];
        assert!(fits(&description, &content[JSON]["schema"], &answer), "{answer}");
        assert_eq!(answer.get("next_cursor").is_some(), query == "?limit=2");
    }
}

#[tokio::test]
async fn onboardings_have_the_members_that_are_described_and_no_other() {
    let world = World::new().await;
    let description = description(&world).await;
    let made = world.opens("globex-to-be").await;
    let path = "/v1/admin/onboardings";
    let described = &description["paths"][path]["post"]["responses"]["201"]["content"];
    assert!(fits(&description, &described[JSON]["schema"], &made), "{made}");
    // So that checks have been made, with what was found and answered.
    let verify = world.onboarding(Method::POST, "/globex-to-be/verify");
    Reply::to(verify).await.with(200);
    for (of, asked) in [
        ("/{tenant}", "/globex-to-be"),
        ("/{tenant}/history", "/globex-to-be/history"),
        ("/{tenant}/history", "/globex-to-be/history?limit=1"),
        ("", ""),
        ("", "?limit=1"),
    ] {
        let answer = Reply::to(world.onboarding(Method::GET, asked)).await.with(200);
        let content = &description["paths"][format!("{path}{of}")]["get"]["responses"]["200"]["content"];
        assert!(
            fits(&description, &content[JSON]["schema"], &answer),
            "{asked}: {answer}"
        );
    }
}

#[tokio::test]
async fn keys_and_replicas_have_the_members_that_are_described_and_no_other() {
    let world = World::new().await;
    let description = description(&world).await;
    let revision = keys::whatever_can_happen(&world, "acme").await;
    let key = "/v1/admin/tenants/{tenant}/key";
    for (described, asked) in [
        (key, key.to_owned()),
        (&format!("{key}/events"), format!("{key}/events")),
        (&format!("{key}/events"), format!("{key}/events?limit=1")),
        (
            &format!("{key}/events/{{revision}}/acknowledgements"),
            format!("{key}/events/{revision}/acknowledgements"),
        ),
        ("/v1/admin/replicas", "/v1/admin/replicas".to_owned()),
    ] {
        let answer = keys::read(&world, &asked.replace("{tenant}", "acme")).await.with(200);
        let content = &description["paths"][described]["get"]["responses"]["200"]["content"];
        assert!(
            fits(&description, &content[JSON]["schema"], &answer),
            "{asked}: {answer}"
        );
    }
}

/// What a data operation's bodies are described as.
struct Schemas<'a> {
    request: &'a Value,
    answer: &'a Value,
}

fn of_data<'a>(description: &'a Value, operation: &str) -> Schemas<'a> {
    let described = &description["paths"][format!("/v1/tenants/{{tenant}}/{operation}")]["post"];
    Schemas {
        request: &described["requestBody"]["content"][JSON]["schema"],
        answer: &described["responses"]["200"]["content"][JSON]["schema"],
    }
}

/// Whether a value is what a schema says, as far as the description uses JSON Schema. A member that is not described does not
/// fit, whether or not the schema says so.
fn fits(description: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolved(description, schema);
    let fits = |schema: &&Value| fits(description, schema, value);
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().filter(fits).count() == 1;
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().collect(),
        one => vec![one],
    };
    types.into_iter().any(|name| match (name.as_str(), value) {
        (Some("object"), Value::Object(members)) => members_fit(description, schema, members),
        (Some("array"), Value::Array(elements)) => elements
            .iter()
            .all(|element| self::fits(description, &schema["items"], element)),
        (Some("string"), Value::String(_))
        | (Some("number"), Value::Number(_))
        | (Some("boolean"), Value::Bool(_))
        | (Some("null"), Value::Null) => true,
        (Some("integer"), Value::Number(number)) => number.is_u64() || number.is_i64(),
        _ => false,
    })
}

fn members_fit(description: &Value, schema: &Value, members: &serde_json::Map<String, Value>) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required = required.map(|name| name.as_str().unwrap());
    required.all(|name| members.contains_key(name))
        && members.iter().all(|(name, member)| {
            let of_any_name = schema.get("additionalProperties").filter(|schema| schema.is_object());
            let schema = schema["properties"].get(name).or(of_any_name);
            schema.is_some_and(|schema| fits(description, schema, member))
        })
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

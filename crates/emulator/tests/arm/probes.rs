//! Who may what can be asked without harm: rights come before whatever is wrong with the request.

use std::collections::BTreeMap;

use keyferry_emulator::{Order, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::azure::{Answer, Azure, HOST, answer};

/// The harmless requests, by what they are to find out.
fn probes() -> Vec<(&'static str, Method, &'static str, Value)> {
    vec![
        (
            "sign",
            Method::POST,
            "/keys/k//sign",
            json!({"alg": "RS256", "value": "AAAA"}),
        ),
        ("create", Method::POST, "/keys/probe/create", json!({"kty": "none"})),
        ("import", Method::PUT, "/keys/probe", json!({"key": {"kty": "none"}})),
        ("update", Method::PATCH, "/keys/nothing/", json!({})),
        ("update ops", Method::PATCH, "/keys/k/", json!({"key_ops": ["none"]})),
        ("delete", Method::DELETE, "/keys/nothing", Value::Null),
        ("purge", Method::DELETE, "/deletedkeys/nothing", Value::Null),
        ("recover", Method::POST, "/deletedkeys/nothing/recover", Value::Null),
        ("backup", Method::POST, "/keys/k/backup", Value::Null),
        ("rotate", Method::POST, "/keys/nothing/rotate", Value::Null),
        ("policy", Method::GET, "/keys/k/rotationpolicy", Value::Null),
        ("list", Method::GET, "/keys", Value::Null),
        ("secrets", Method::GET, "/secrets", Value::Null),
    ]
}

async fn probe(azure: &Azure, method: Method, path: &str, body: &Value) -> Answer {
    let token = azure.token(azure.customer, "https://vault.azure.net").await;
    let client = azure.client(HOST, azure.emulator.https_addr());
    let mut request = client
        .request(method, format!("https://{HOST}{path}?api-version=7.6"))
        .bearer_auth(token);
    if !body.is_null() {
        request = request.json(body);
    }
    answer(request.send().await.unwrap()).await
}

/// What each probe answers.
async fn probe_all(azure: &Azure) -> BTreeMap<&'static str, u16> {
    let mut statuses = BTreeMap::new();
    for (name, method, path, body) in probes() {
        let answer = probe(azure, method, path, &body).await;
        if answer.status == 403 {
            assert_eq!(answer.body["error"]["innererror"]["code"], "ForbiddenByRbac", "{name}");
        }
        statuses.insert(name, answer.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn each_role_is_known_by_what_it_is_refused() {
    // What whoever may is answered; everything else is 403.
    let may: BTreeMap<&str, u16> = [
        ("sign", 400),
        ("create", 400),
        ("import", 400),
        ("update", 404),
        ("update ops", 400),
        ("delete", 404),
        ("purge", 404),
        ("recover", 404),
        ("backup", 200),
        ("rotate", 404),
        ("policy", 200),
        ("list", 200),
        ("secrets", 200),
    ]
    .into();
    let all: Vec<&str> = may.keys().copied().collect();
    let keys: Vec<&str> = all.iter().copied().filter(|name| *name != "secrets").collect();
    let cases: [(Role, Vec<&str>); 8] = [
        (Role::CryptoServiceEncryptionUser, vec!["list"]),
        (Role::CryptoUser, vec!["sign", "update", "update ops", "backup", "list"]),
        (Role::Reader, vec!["policy", "list", "secrets"]),
        (Role::CryptoOfficer, keys),
        (Role::Administrator, all),
        (Role::SecretsUser, vec!["secrets"]),
        (Role::SecretsOfficer, vec!["secrets"]),
        (Role::VaultContributor, vec![]),
    ];
    for (role, allowed) in cases {
        let azure = Azure::start().await;
        azure.import("k");
        azure.assign(role);
        let expected: BTreeMap<_, _> = may
            .iter()
            .map(|(name, status)| (*name, if allowed.contains(name) { *status } else { 403 }))
            .collect();
        assert_eq!(probe_all(&azure).await, expected, "{role:?}");
    }
}

#[tokio::test]
async fn probing_leaves_the_vault_as_it_was() {
    let azure = Azure::start().await;
    azure.import("k");
    azure.assign(Role::Administrator);
    let before = probe(&azure, Method::GET, "/keys/k", &Value::Null).await.body;
    probe_all(&azure).await;
    assert_eq!(probe(&azure, Method::GET, "/keys/k", &Value::Null).await.body, before);
    assert!(!azure.emulator.has_key(HOST, "probe"));
}

#[tokio::test]
async fn under_access_policies_listing_secrets_is_a_permission_of_its_own() {
    let azure = Azure::start().await;
    azure.assign(Role::Administrator);
    let policies = |permissions: &[&str]| Order::SetAccessPolicies {
        host: HOST.into(),
        access_policies: Some(
            [(
                azure.customer.oid,
                permissions.iter().map(|one| (*one).to_owned()).collect(),
            )]
            .into(),
        ),
    };
    azure.order(policies(&["list"]));
    let refused = probe(&azure, Method::GET, "/secrets", &Value::Null).await;
    assert_eq!(refused.body["error"]["innererror"]["code"], "ForbiddenByPolicy");
    let message = refused.body["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("does not have secrets list permission on key vault 'acme;"),
        "{message}"
    );
    azure.order(policies(&["secrets/list"]));
    assert_eq!(probe(&azure, Method::GET, "/secrets", &Value::Null).await.status, 200);
    assert_eq!(probe(&azure, Method::GET, "/keys", &Value::Null).await.status, 403);
}

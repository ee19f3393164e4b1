//! A vault that goes by access policies refuses each operation in the words of its permission.

use std::collections::{BTreeMap, BTreeSet};

use keyferry_emulator::Order;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::world::{APPLICATION, DIRECTORY, HOST, World};

fn grant(world: &World, oid: Uuid, permission: Option<&str>) {
    let granted: BTreeSet<_> = permission.map(str::to_owned).into_iter().collect();
    world.order(Order::SetAccessPolicies {
        host: HOST.into(),
        access_policies: Some(BTreeMap::from([(oid, granted)])),
    });
}

#[tokio::test]
async fn each_permission_is_missed_by_its_own_name_and_suffices_alone() {
    let (world, oid) = World::with_vault().await;
    let value = json!({"alg": "RSA-OAEP-256", "value": "AAAA"});
    let digest = json!({"alg": "RS256", "value": "A".repeat(43)});
    let nothing = json!({});
    let token = world.token().await.unwrap();
    for (method, path, body, kind, permission) in [
        (Method::GET, "/keys/k", &nothing, "keys", "get"),
        (Method::GET, "/keys", &nothing, "keys", "list"),
        (Method::GET, "/keys/k/versions", &nothing, "keys", "list"),
        (
            Method::GET,
            "/keys/k/rotationpolicy",
            &nothing,
            "keys",
            "getrotationpolicy",
        ),
        (
            Method::PUT,
            "/keys/k/rotationpolicy",
            &nothing,
            "keys",
            "setrotationpolicy",
        ),
        (Method::POST, "/keys/k//wrapkey", &value, "keys", "wrapKey"),
        (Method::POST, "/keys/k//unwrapkey", &value, "keys", "unwrapKey"),
        (Method::POST, "/keys/k//encrypt", &value, "keys", "encrypt"),
        (Method::POST, "/keys/k//decrypt", &value, "keys", "decrypt"),
        (Method::POST, "/keys/k//sign", &digest, "keys", "sign"),
        (Method::POST, "/keys/k//verify", &digest, "keys", "verify"),
        (Method::POST, "/keys/k/backup", &nothing, "keys", "backup"),
        (Method::POST, "/keys/k/create", &nothing, "keys", "create"),
        (Method::PATCH, "/keys/k/", &nothing, "keys", "update"),
        (Method::DELETE, "/keys/none", &nothing, "keys", "delete"),
        (Method::POST, "/deletedkeys/none/recover", &nothing, "keys", "recover"),
        (Method::DELETE, "/deletedkeys/none", &nothing, "keys", "purge"),
        (Method::GET, "/secrets", &nothing, "secrets", "list"),
    ] {
        let ask = async || {
            let url = format!("https://{HOST}{path}?api-version=7.6");
            let request = world.azure.request(method.clone(), url).bearer_auth(&token);
            let answer = request.json(body).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        grant(&world, oid, None);
        let (status, text) = ask().await;
        let said = format!(
            "The user, group or application 'appid={APPLICATION};oid={oid};numgroups=0;iss=https://sts.windows.net/{DIRECTORY}/' does not have {kind} {permission} permission on key vault 'acme;location=westeurope'."
        );
        assert_eq!(status, 403, "{method} {path}");
        assert!(
            text.contains("ForbiddenByPolicy") && text.contains(&said),
            "{method} {path}: {text}"
        );
        let listed = if kind == "secrets" { "secrets/list" } else { permission };
        grant(&world, oid, Some(listed));
        let (status, text) = ask().await;
        assert_ne!(status, 403, "{method} {path}: {text}");
    }
}

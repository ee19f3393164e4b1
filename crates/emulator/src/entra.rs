//! Entra: discovery, JWKS, and tokens by the client-credentials grant.
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

mod assertion;
pub(crate) mod consent;
pub(crate) mod error;
mod token;

use axum::body::{Body, Bytes};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use self::error::TokenError;
pub(crate) use self::token::{mint_managed_identity, token_for};
use crate::{calls::Operation, keyvault::json_answer, state::State};

/// The hosts that Entra answers at, one for each cloud, with that cloud's vault suffixes.
const CLOUDS: [(&str, [&str; 2]); 3] = [
    ("login.microsoftonline.com", ["vault.azure.net", "managedhsm.azure.net"]),
    ("login.chinacloudapi.cn", ["vault.azure.cn", "managedhsm.azure.cn"]),
    (
        "login.microsoftonline.us",
        ["vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net"],
    ),
];

/// Whether Entra answers at this host.
pub(crate) fn is_login_host(host: &str) -> bool {
    CLOUDS.iter().any(|(login, _)| *login == host)
}

/// The hosts that Entra answers at.
pub(crate) fn login_hosts() -> impl Iterator<Item = &'static str> {
    CLOUDS.iter().map(|(login, _)| *login)
}

/// Where principals of this vault's cloud get their tokens.
pub(crate) fn login_host(vault_host: &str) -> &'static str {
    let suffix = vault_host.split_once('.').map_or("", |(_, suffix)| suffix);
    CLOUDS
        .iter()
        .find(|(_, suffixes)| suffixes.contains(&suffix))
        .map_or(CLOUDS[0].0, |(login, _)| login)
}

/// Whether this is a name that a vault of some cloud could have.
pub(crate) fn is_vault_host(host: &str) -> bool {
    host.split_once('.')
        .is_some_and(|(_, suffix)| CLOUDS.iter().any(|(_, suffixes)| suffixes.contains(&suffix)))
}

/// What the hosts of vaults end with, in every cloud.
pub(crate) fn vault_suffixes() -> impl Iterator<Item = &'static str> {
    CLOUDS.iter().flat_map(|(_, suffixes)| *suffixes)
}

/// What a path asks Entra for.
pub(crate) fn operation(method: &Method, path: &str) -> Operation {
    match segments(path).as_slice() {
        [_, "oauth2", "v2.0", "token"] if method == Method::POST => Operation::Token,
        [_, "v2.0", ".well-known", "openid-configuration"] | ["common", "discovery", "instance"] => {
            Operation::Discovery
        }
        [_, "discovery", "v2.0", "keys"] => Operation::Keys,
        _ => Operation::Other,
    }
}

/// Answers a request to a login host.
pub(crate) fn answer(state: &State, host: &str, operation: Operation, path: &str, body: &Bytes) -> Response<Body> {
    let tenant = segments(path).first().copied().unwrap_or_default().to_owned();
    let (status, body) = match operation {
        Operation::Token => match token::issue(state, host, &tenant, body) {
            Ok(token) => (StatusCode::OK, token),
            Err(error) => error.into_parts(),
        },
        Operation::Keys if tenant == "common" || is_directory(state, &tenant) => (StatusCode::OK, jwks(state)),
        Operation::Keys => TokenError::tenant_not_found(&tenant).into_parts(),
        Operation::Discovery => discovery(state, host, &tenant),
        _ => (StatusCode::NOT_FOUND, json!({"error": "not_found"})),
    };
    json_answer(status, &body)
}

/// The keys that tokens are verified with.
pub(crate) fn jwks(state: &State) -> Value {
    let world = state.world();
    let keys: Vec<_> = world
        .signing_keys
        .iter()
        .map(|key| {
            let (n, e) = key.key.modulus_and_exponent();
            json!({"kty": "RSA", "use": "sig", "kid": key.kid, "x5t": key.kid, "n": n, "e": e})
        })
        .collect();
    json!({"keys": keys})
}

fn discovery(state: &State, host: &str, tenant: &str) -> (StatusCode, Value) {
    if tenant == "common" {
        return (
            StatusCode::OK,
            json!({
                "tenant_discovery_endpoint": format!("https://{host}/common/v2.0/.well-known/openid-configuration"),
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }),
        );
    }
    if !is_directory(state, tenant) {
        return TokenError::tenant_not_found(tenant).into_parts();
    }
    let base = format!("https://{host}/{tenant}");
    (
        StatusCode::OK,
        json!({
            "issuer": format!("{base}/v2.0"),
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "response_types_supported": ["code", "id_token", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": host.trim_start_matches("login."),
        }),
    )
}

fn is_directory(state: &State, tenant: &str) -> bool {
    tenant
        .parse::<Uuid>()
        .is_ok_and(|tenant| state.world().directories.contains_key(&tenant))
}

fn segments(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').split('/').collect()
}

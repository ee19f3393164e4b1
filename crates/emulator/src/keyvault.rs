//! The Key Vault keys data plane, also of Managed HSMs.
//! <https://learn.microsoft.com/rest/api/keyvault/keys>

mod access;
mod crypto;
pub(crate) mod error;
mod keys;
mod throttle;

use std::net::IpAddr;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

use self::error::Refusal;
pub(crate) use self::{access::verified, throttle::Throttle};
use crate::{calls::Operation, entra::login_host, state::State, world::key::is_key_name};

/// A request to a vault.
pub(crate) struct Call<'a> {
    pub(crate) host: &'a str,
    pub(crate) origin: &'a Origin,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
    pub(crate) body: Bytes,
    pub(crate) route: Route,
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) client: IpAddr,
    /// The number of its connection: those made later have higher ones.
    pub(crate) connection: u64,
    /// The vault that its private endpoint leads to, if it comes through one.
    pub(crate) private: Option<String>,
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// The key's name, or empty.
    pub(crate) name: String,
    /// The key's version; empty for the latest.
    pub(crate) version: String,
}

impl Route {
    /// Reads method and path. Takes the trailing and double slashes that SDKs send when they leave the version out.
    pub(crate) fn parse(method: &Method, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (get, post) = (method == Method::GET, method == Method::POST);
        let (operation, name, version) = match segments.as_slice() {
            ["healthstatus"] if get => (Operation::HealthStatus, "", ""),
            ["keys"] if get => (Operation::List, "", ""),
            ["keys", name] if method == Method::PUT => (Operation::Import, *name, ""),
            ["keys", name] if method == Method::DELETE => (Operation::Delete, *name, ""),
            ["keys", name] if get => (Operation::Get, *name, ""),
            ["keys", name, "create"] if post => (Operation::Create, *name, ""),
            ["keys", name, "backup"] if post => (Operation::Backup, *name, ""),
            ["secrets"] if get => (Operation::ListSecrets, "", ""),
            ["keys", name, "rotate"] if post => (Operation::Rotate, *name, ""),
            ["keys", name, "versions"] if get => (Operation::Versions, *name, ""),
            ["keys", name, "rotationpolicy"] if get => (Operation::GetRotationPolicy, *name, ""),
            ["keys", name, "rotationpolicy"] if method == Method::PUT => (Operation::SetRotationPolicy, *name, ""),
            ["keys", name, version] if get => (Operation::Get, *name, *version),
            ["keys", name, version] if method == Method::PATCH => (Operation::Update, *name, *version),
            ["keys", name, version, verb] if post => (crypto_operation(verb)?, *name, *version),
            ["deletedkeys"] if get => (Operation::ListDeleted, "", ""),
            ["deletedkeys", name] if get => (Operation::GetDeleted, *name, ""),
            ["deletedkeys", name] if method == Method::DELETE => (Operation::Purge, *name, ""),
            ["deletedkeys", name, "recover"] if post => (Operation::Recover, *name, ""),
            _ => return None,
        };
        Some(Self {
            operation,
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }
}

impl Route {
    /// What a vault is asked that is no operation on keys: other data planes, and what does not exist.
    pub(crate) fn other() -> Self {
        Self {
            operation: Operation::Other,
            name: String::new(),
            version: String::new(),
        }
    }

    /// Whoever asks for a key names it as a key can be named.
    fn check_name(&self) -> Result<(), Refusal> {
        let names_none = matches!(
            self.operation,
            Operation::List | Operation::ListDeleted | Operation::ListSecrets
        );
        if names_none || is_key_name(&self.name) {
            Ok(())
        } else {
            Err(Refusal::bad_parameter(&format!(
                "The request URI contains an invalid name: {}",
                self.name
            )))
        }
    }
}

fn crypto_operation(verb: &str) -> Option<Operation> {
    Some(match verb {
        "encrypt" => Operation::Encrypt,
        "decrypt" => Operation::Decrypt,
        "wrapkey" => Operation::WrapKey,
        "unwrapkey" => Operation::UnwrapKey,
        "sign" => Operation::Sign,
        "verify" => Operation::Verify,
        _ => return None,
    })
}

/// Answers a request to a vault that exists.
pub(crate) async fn answer(state: &State, call: Call<'_>) -> Response<Body> {
    let answer = match handle(state, &call).await {
        Ok((status, body)) => json_answer(status, &body),
        Err(refusal) => refusal.into_answer(),
    };
    with_vault_headers(answer, call.origin, call.headers.get(CLIENT_REQUEST_ID))
}

/// A status that was ordered, as the vault would send it: its 401 says where to get a token.
pub(crate) fn refusal_of_status(state: &State, host: &str, status: StatusCode) -> Refusal {
    match state.world().vaults.get(host) {
        Some(vault) if status == StatusCode::UNAUTHORIZED => {
            Refusal::unauthorized(vault, login_host(host), "The token was refused.")
        }
        _ => Refusal::of_status(status),
    }
}

async fn handle(state: &State, call: &Call<'_>) -> Result<(StatusCode, Value), Refusal> {
    if call.route.operation == Operation::HealthStatus {
        return Ok((StatusCode::OK, Value::Object(serde_json::Map::new())));
    }
    let caller = access::authenticate(state, call)?;
    check_api_version(call.query)?;
    if call.route.operation == Operation::Other {
        return Err(Refusal::of_status(StatusCode::NOT_FOUND));
    }
    call.route.check_name()?;
    access::authorize(state, call, &caller)?;
    match call.route.operation {
        Operation::Encrypt
        | Operation::Decrypt
        | Operation::WrapKey
        | Operation::UnwrapKey
        | Operation::Sign
        | Operation::Verify => crypto::perform(state, call).await,
        Operation::Create | Operation::Rotate => keys::make(state, call).await,
        _ => keys::manage(state, call),
    }
}

fn check_api_version(query: &str) -> Result<(), Refusal> {
    let given = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("api-version="))
        .unwrap_or_default();
    match given {
        "" => Err(Refusal::bad_parameter("api-version must be specified")),
        known if API_VERSIONS.contains(&known) => Ok(()),
        other => Err(Refusal::bad_parameter(&format!(
            "The specified version ({other}) is not recognized. Consider using the latest supported version (2025-07-01)."
        ))),
    }
}

pub(crate) fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    answer
}

/// The headers of every answer of Key Vault.
pub(crate) fn with_vault_headers(
    mut answer: Response<Body>,
    origin: &Origin,
    client_request_id: Option<&HeaderValue>,
) -> Response<Body> {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-ms-keyvault-region", HeaderValue::from_static("westeurope"));
    headers.insert("x-ms-keyvault-service-version", HeaderValue::from_static("1.9.1720.1"));
    let mut tell = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    tell("x-ms-request-id", Uuid::new_v4().to_string());
    let way = if origin.private.is_some() {
        "PrivateLink"
    } else {
        "Ipv4"
    };
    tell(
        "x-ms-keyvault-network-info",
        format!("conn_type={way};addr={};act_addr_fam=InterNetwork;", origin.client),
    );
    if let Some(id) = client_request_id {
        headers.insert(CLIENT_REQUEST_ID, id.clone());
    }
    answer
}

/// The client's own name for its request, which every answer repeats.
pub(crate) const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";

/// The versions of the data plane that are known to exist.
const API_VERSIONS: [&str; 8] = ["7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &Method, path: &str) -> Option<(Operation, String, String)> {
        let route = Route::parse(method, path)?;
        Some((route.operation, route.name, route.version))
    }

    #[test]
    fn a_version_may_be_left_out_in_every_way_that_sdks_do() {
        let latest = |operation| Some((operation, "k".to_owned(), String::new()));
        assert_eq!(parse(&Method::GET, "/keys/k"), latest(Operation::Get));
        assert_eq!(parse(&Method::GET, "/keys/k/"), latest(Operation::Get));
        assert_eq!(parse(&Method::POST, "/keys/k//unwrapkey"), latest(Operation::UnwrapKey));
        assert_eq!(parse(&Method::POST, "/keys/k//wrapkey"), latest(Operation::WrapKey));
    }

    #[test]
    fn what_is_no_key_operation_has_no_route() {
        assert_eq!(parse(&Method::GET, "/secrets/s"), None);
        assert_eq!(parse(&Method::GET, "/keys/k/backup/x"), None);
        assert_eq!(parse(&Method::POST, "/keys/k/v/release"), None);
        assert_eq!(parse(&Method::DELETE, "/keys/k/v"), None);
    }
}

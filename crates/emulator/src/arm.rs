//! The resource manager: private endpoints, vaults as resources, and the connections between them.
//! <https://learn.microsoft.com/rest/api/virtualnetwork/private-endpoints>,
//! <https://learn.microsoft.com/rest/api/keyvault/keyvault>

mod access;
mod endpoints;
mod error;
mod progress;
mod route;
mod vaults;
mod wanted;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use self::{error::ArmError, route::Route};
use crate::{calls::Operation, entra::login_host, keyvault::json_answer, state::State, world::Vault};

/// A request to the resource manager.
pub(crate) struct Call<'a> {
    pub(crate) host: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
    pub(crate) body: Bytes,
    pub(crate) route: Route,
}

/// An answer that is no refusal.
struct Done {
    status: StatusCode,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Done {
    fn new(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }
}

/// A cloud's resource manager.
struct Manager {
    host: &'static str,
    /// Where the cloud's tokens are had.
    login: &'static str,
    /// What its tokens are issued for. A slash at the end makes no difference.
    audiences: [&'static str; 2],
}

const MANAGERS: [Manager; 3] = [
    Manager {
        host: "management.azure.com",
        login: "login.microsoftonline.com",
        audiences: ["https://management.azure.com", "https://management.core.windows.net"],
    },
    Manager {
        host: "management.chinacloudapi.cn",
        login: "login.chinacloudapi.cn",
        audiences: [
            "https://management.chinacloudapi.cn",
            "https://management.core.chinacloudapi.cn",
        ],
    },
    Manager {
        host: "management.usgovcloudapi.net",
        login: "login.microsoftonline.us",
        audiences: [
            "https://management.usgovcloudapi.net",
            "https://management.core.usgovcloudapi.net",
        ],
    },
];

/// Whether a resource manager answers at this host.
pub(crate) fn is_manager(host: &str) -> bool {
    manager_hosts().any(|manager| manager == host)
}

/// The hosts that resource managers answer at.
pub(crate) fn manager_hosts() -> impl Iterator<Item = &'static str> {
    MANAGERS.iter().map(|manager| manager.host)
}

/// The manager at a host; the public cloud's at one that is none.
fn manager(host: &str) -> &'static Manager {
    MANAGERS
        .iter()
        .find(|manager| manager.host == host)
        .unwrap_or(&MANAGERS[0])
}

impl Manager {
    /// Whether a vault is in this cloud.
    fn has(&self, vault: &Vault) -> bool {
        login_host(&vault.host) == self.login
    }
}

/// Answers a request to the resource manager.
pub(crate) fn answer(state: &State, call: &Call<'_>) -> Response<Body> {
    let answer = match handle(state, call) {
        Ok(done) => with_headers(json_answer(done.status, &done.body), done.headers),
        Err(error) => error.into_answer(),
    };
    with_arm_headers(answer)
}

fn handle(state: &State, call: &Call<'_>) -> Result<Done, ArmError> {
    let caller = access::authenticate(state, call)?;
    match call.route.operation {
        Operation::PutPrivateEndpoint => endpoints::put(state, call, &caller),
        Operation::GetPrivateEndpoint => endpoints::get(state, call, &caller),
        Operation::DeletePrivateEndpoint => endpoints::delete(state, call, &caller),
        Operation::ListPrivateEndpoints => endpoints::list(state, call, &caller),
        Operation::PollOperation => progress::poll(state, call),
        Operation::GetVault => vaults::get(state, call, &caller),
        Operation::ListConnections => vaults::connections(state, call, &caller),
        Operation::GetConnection => vaults::connection(state, call, &caller),
        Operation::PutConnection => vaults::decide(state, call, &caller),
        Operation::DeleteConnection => vaults::remove(state, call, &caller),
        _ => Err(ArmError::unknown_route()),
    }
}

/// The headers of every answer of the resource manager.
pub(crate) fn with_arm_headers(mut answer: Response<Body>) -> Response<Body> {
    if answer.status() == StatusCode::NO_CONTENT {
        answer.headers_mut().remove(header::CONTENT_TYPE);
    }
    let ids = ["x-ms-request-id", "x-ms-correlation-request-id"].map(|name| (name, Uuid::new_v4().to_string()));
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    with_headers(answer, ids)
}

fn with_headers(
    mut answer: Response<Body>,
    headers: impl IntoIterator<Item = (&'static str, String)>,
) -> Response<Body> {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

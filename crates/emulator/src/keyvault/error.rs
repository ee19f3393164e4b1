//! Key Vault's refusals, word for word: codes, inner codes and texts with their line ends.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::json_answer;
use crate::world::Vault;

/// An error answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

/// Who was refused, as the texts tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) appid: Uuid,
    pub(crate) oid: Uuid,
    pub(crate) tid: Uuid,
}

impl Caller {
    fn describe(&self) -> String {
        format!(
            "appid={};oid={};iss=https://sts.windows.net/{}/",
            self.appid, self.oid, self.tid
        )
    }
}

impl Refusal {
    fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self {
            status,
            body: json!({"error": {"code": code, "message": message}}),
            headers: Vec::new(),
        }
    }

    fn forbidden(inner: Option<&str>, message: &str) -> Self {
        let mut refusal = Self::new(StatusCode::FORBIDDEN, "Forbidden", message);
        if let Some(inner) = inner {
            refusal.body["error"]["innererror"] = json!({"code": inner});
        }
        refusal
    }

    /// The challenge that tells a client where to get a token.
    pub(crate) fn challenge(vault: &Vault, login_host: &str) -> Self {
        Self::unauthorized(vault, login_host, "AKV10000: Request is missing a Bearer or PoP token.")
    }

    /// A 401 of any kind. A Managed HSM's has no body: seen of its challenge, believed of a token that it refuses [B].
    pub(crate) fn unauthorized(vault: &Vault, login_host: &str, message: &str) -> Self {
        let mut refusal = Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message);
        if vault.is_hsm() {
            refusal.body = Value::Null;
        }
        refusal.headers.push((
            "www-authenticate",
            format!(
                "Bearer authorization=\"https://{login_host}/{}\", resource=\"{}\"",
                vault.directory,
                vault.resource()
            ),
        ));
        refusal
    }

    pub(crate) fn key_not_found(name: &str, version: &str) -> Self {
        let named = if version.is_empty() {
            name.to_owned()
        } else {
            format!("{name}/{version}")
        };
        Self::new(
            StatusCode::NOT_FOUND,
            "KeyNotFound",
            &format!(
                "A key with (name/id) {named} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
            ),
        )
    }

    pub(crate) fn deleted_but_recoverable(name: &str) -> Self {
        let mut refusal = Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            &format!(
                "Key {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged."
            ),
        );
        refusal.body["error"]["innererror"] = json!({"code": "ObjectIsDeletedButRecoverable"});
        refusal
    }

    pub(crate) fn purge_forbidden(name: &str) -> Self {
        Self::forbidden(
            None,
            &format!("Operation \"purge\" is not allowed on key {name}: purge protection is enabled."),
        )
    }

    pub(crate) fn key_disabled(verb: &str) -> Self {
        Self::forbidden(
            Some("KeyDisabled"),
            &format!("Operation {verb} is not allowed on a disabled key."),
        )
    }

    pub(crate) fn key_not_current(verb: &str, expired: bool) -> Self {
        let why = if expired {
            "an expired key"
        } else {
            "a key that is not yet valid"
        };
        Self::forbidden(None, &format!("Operation {verb} is not allowed on {why}."))
    }

    pub(crate) fn operation_forbidden(verb: &str) -> Self {
        Self::forbidden(
            Some("KeyOperationForbidden"),
            &format!("Operation {verb} is not permitted on this key."),
        )
    }

    pub(crate) fn by_rbac(vault: &Vault, caller: &Caller, action: &str, key: &str) -> Self {
        let options = &vault.options;
        let kind = if vault.is_hsm() { "managedhsms" } else { "vaults" };
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("/keys/{key}")
        };
        let message = format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: {}\r\nAction: 'Microsoft.KeyVault/vaults/{action}'\r\nResource: '/subscriptions/{}/resourcegroups/{}/providers/microsoft.keyvault/{kind}/{}{key}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: {};location={}\r\n",
            caller.describe(),
            options.subscription,
            options.resource_group,
            vault.name(),
            vault.name(),
            options.location
        );
        Self::forbidden(Some("ForbiddenByRbac"), &message)
    }

    pub(crate) fn by_policy(vault: &Vault, caller: &Caller, permission: &str) -> Self {
        let (kind, permission) = permission.split_once('/').unwrap_or(("keys", permission));
        let message = format!(
            "The user, group or application 'appid={};oid={};numgroups=0;iss=https://sts.windows.net/{}/' does not have {kind} {permission} permission on key vault '{};location={}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
            caller.appid,
            caller.oid,
            caller.tid,
            vault.name(),
            vault.options.location
        );
        Self::forbidden(Some("ForbiddenByPolicy"), &message)
    }

    pub(crate) fn by_firewall(vault: &Vault, caller: &Caller, client: std::net::IpAddr) -> Self {
        let message = format!(
            "Client address is not authorized and caller is not a trusted service.\r\nClient address: {client}\r\nCaller: {}\r\nVault: {};location={}",
            caller.describe(),
            vault.name(),
            vault.options.location
        );
        Self::forbidden(Some("ForbiddenByFirewall"), &message)
    }

    pub(crate) fn by_connection(vault: &Vault, caller: &Caller) -> Self {
        let message = format!(
            "Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\nCaller: {}\r\nVault: {};location={}",
            caller.describe(),
            vault.name(),
            vault.options.location
        );
        Self::forbidden(Some("ForbiddenByConnection"), &message)
    }

    pub(crate) fn bad_parameter(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    pub(crate) fn bad_value() -> Self {
        Self::bad_parameter("Content of 'value' is not base64url.\r\nProperty 'value' is required.\r\n")
    }

    pub(crate) fn bad_padding() -> Self {
        Self::bad_parameter("Error occurred while decoding OAEP padding.")
    }

    pub(crate) fn throttled(retry_after: Option<u64>) -> Self {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Throttled",
            "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        );
        refusal
            .headers
            .extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        refusal
    }

    /// Any other status, with a body of Key Vault's form.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let code = if status.is_server_error() {
            "InternalServerError"
        } else {
            "BadRequest"
        };
        Self::new(status, code, "An error has occurred.\r\nPlease try again later.")
    }

    pub(crate) fn into_answer(self) -> Response<Body> {
        let mut answer = json_answer(self.status, &self.body);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert(name, value);
            }
        }
        if self.body.is_null() {
            answer.headers_mut().remove(header::CONTENT_TYPE);
        }
        answer
    }
}

//! What else we can do in a vault. Nobody can ask a vault that, so it is tried: with requests that change nothing even where
//! they are allowed. Key Vault asks first whether the caller may, and only then whether the request makes sense [B]; should
//! it ever be the other way round, a power is told that we do not have, and nothing happens all the same.

use azure_core::http::StatusCode;
use keyferry_crypto::{
    id::{DirectoryId, KeyRef, VaultKind},
    tenant::Route,
    vault::{VaultCause, VaultError},
};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::{API_VERSION, Power};
use crate::{
    asking::Way,
    exchange::Answer,
    failure::{Asked, of_key_vault},
    request::Request,
    vault::AzureKeyVault,
};

/// A try, and what the vault answers where it is allowed.
struct Try {
    request: Request,
    allowed: StatusCode,
}

impl AzureKeyVault {
    /// Tries what we do not need, in ways that change nothing even where they are allowed. One after the other, all in the
    /// time that one operation has: the first that is neither allowed nor refused ends it.
    pub async fn excess(&self, directory: DirectoryId, key: &KeyRef, route: Route) -> Result<Vec<Power>, VaultError> {
        let tried = timeout(self.timeouts.total, self.try_all(directory, key, route)).await;
        tried.unwrap_or_else(|_| Err(VaultCause::Timeout.into()))
    }

    async fn try_all(&self, directory: DirectoryId, key: &KeyRef, route: Route) -> Result<Vec<Power>, VaultError> {
        let way = Way {
            directory,
            vault: key.vault.clone(),
            route,
        };
        let is_hsm = key.vault.kind() == VaultKind::ManagedHsm;
        let mut found = Vec::new();
        for power in Power::ALL {
            // A Managed HSM keeps keys and nothing else.
            if power == Power::ListSecrets && is_hsm {
                continue;
            }
            let Try { request, allowed } = attempt(power, key);
            let judge = |answer: &Answer| is_allowed(directory, allowed, answer);
            if self.ask_plainly(Asked::Probe, &way, &request, judge).await? {
                found.push(power);
            }
        }
        Ok(found)
    }
}

/// The harmless form of each.
fn attempt(power: Power, key: &KeyRef) -> Try {
    // A key that does not exist: 244 random bits are nobody's name.
    let nobody = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let version = Uuid::new_v4().simple().to_string();
    let (request, allowed) = match power {
        // RS256 signs digests of 32 bytes; this one has a single one, so nothing is signed. Were it signed, it would be worth
        // nothing: nobody signs such a digest.
        Power::Sign => {
            let request = Request::new(Method::POST, ["keys", key.name.as_str(), "", "sign"]);
            (
                request.body(json!({"alg": "RS256", "value": "AA"})),
                StatusCode::BadRequest,
            )
        }
        // Nothing is said of a key that does not exist.
        Power::UpdateKey => {
            let request = Request::new(Method::PATCH, ["keys", &nobody, &version]);
            (request.body(json!({"attributes": {}})), StatusCode::NotFound)
        }
        // There is no such type of key, so none can be made.
        Power::CreateKey => {
            let request = Request::new(Method::POST, ["keys", &nobody, "create"]);
            (request.body(json!({"kty": "none"})), StatusCode::BadRequest)
        }
        Power::DeleteKey => (Request::new(Method::DELETE, ["keys", &nobody]), StatusCode::NotFound),
        Power::PurgeKey => (
            Request::new(Method::DELETE, ["deletedkeys", &nobody]),
            StatusCode::NotFound,
        ),
        // There is nothing to hand out. (The backup of the key itself would be one, though only that vault's
        // subscription could read it.)
        Power::BackupKey => (
            Request::new(Method::POST, ["keys", &nobody, "backup"]),
            StatusCode::NotFound,
        ),
        // Reads at most one secret's name, which nobody looks at; never a value.
        Power::ListSecrets => (
            Request::new(Method::GET, ["secrets"]).query(("maxresults", "1")),
            StatusCode::Ok,
        ),
    };
    Try {
        request: request.query(API_VERSION),
        allowed,
    }
}

/// Whether an answer means that a try was allowed; `None` if it means neither. That it was refused is an answer like
/// another here, so it is not heard twice.
fn is_allowed(directory: DirectoryId, allowed: StatusCode, answer: &Answer) -> Option<bool> {
    let refused = of_key_vault(Asked::Probe, directory, answer.status, &answer.headers, &answer.body);
    match refused.cause() {
        _ if (200..300).contains(&answer.status) => Some(true),
        VaultCause::RoleMissing
        | VaultCause::AccessPolicyMissing
        | VaultCause::AccessDenied
        // Our rights may go so far; the key's do not.
        | VaultCause::KeyDisabled
        | VaultCause::KeyNotUsable
        | VaultCause::KeyOperationForbidden => Some(false),
        VaultCause::KeyNotFound => (allowed == StatusCode::NotFound).then_some(true),
        // Key Vault's own 400: a gateway's has no code.
        VaultCause::RequestRejected if answer.status == u16::from(allowed) => {
            refused.evidence().code.is_some().then_some(true)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;

    use super::*;

    fn judged(allowed: StatusCode, status: u16, body: &'static str) -> Option<bool> {
        let answer = Answer {
            status,
            headers: Headers::new(),
            body: body.into(),
        };
        is_allowed(DirectoryId(Uuid::nil()), allowed, &answer)
    }

    const NOT_FOUND: &str = r#"{"error":{"code":"KeyNotFound","message":"m"}}"#;
    const BAD: &str = r#"{"error":{"code":"BadParameter","message":"m"}}"#;
    const NO_ROLE: &str = r#"{"error":{"code":"Forbidden","message":"m","innererror":{"code":"ForbiddenByRbac"}}}"#;
    const NO_POLICY: &str = r#"{"error":{"code":"Forbidden","message":"m","innererror":{"code":"ForbiddenByPolicy"}}}"#;
    const NO_OPERATION: &str =
        r#"{"error":{"code":"Forbidden","message":"m","innererror":{"code":"KeyOperationForbidden"}}}"#;
    const FIREWALL: &str =
        r#"{"error":{"code":"Forbidden","message":"m","innererror":{"code":"ForbiddenByFirewall"}}}"#;

    #[test]
    fn a_try_that_fails_for_its_own_sake_was_allowed() {
        assert_eq!(judged(StatusCode::NotFound, 404, NOT_FOUND), Some(true));
        assert_eq!(judged(StatusCode::BadRequest, 400, BAD), Some(true));
        assert_eq!(judged(StatusCode::Ok, 200, r#"{"value":[]}"#), Some(true));
    }

    #[test]
    fn a_try_that_is_forbidden_was_not() {
        for body in [NO_ROLE, NO_POLICY, NO_OPERATION] {
            for allowed in [StatusCode::NotFound, StatusCode::BadRequest, StatusCode::Ok] {
                assert_eq!(judged(allowed, 403, body), Some(false), "{body}");
            }
        }
    }

    #[test]
    fn what_is_neither_says_nothing() {
        // The key that signs is gone; that says nothing of signing.
        assert_eq!(judged(StatusCode::BadRequest, 404, NOT_FOUND), None);
        assert_eq!(judged(StatusCode::NotFound, 400, BAD), None);
        assert_eq!(judged(StatusCode::NotFound, 404, "<html>Not Found</html>"), None);
        assert_eq!(judged(StatusCode::BadRequest, 400, "<html>Bad Request</html>"), None);
        assert_eq!(judged(StatusCode::NotFound, 403, FIREWALL), None);
        assert_eq!(judged(StatusCode::NotFound, 403, ""), None);
        assert_eq!(judged(StatusCode::Ok, 401, ""), None);
        assert_eq!(judged(StatusCode::Ok, 503, ""), None);
    }

    #[test]
    fn nothing_is_tried_on_a_key_that_exists_but_to_sign_what_is_no_digest() {
        let key = KeyRef {
            vault: "acme.vault.azure.net".parse().unwrap(),
            name: "kek".parse().unwrap(),
        };
        for power in Power::ALL {
            let text = format!("{:?}", attempt(power, &key).request);
            assert_eq!(text.contains("\"kek\""), power == Power::Sign, "{text}");
        }
    }
}

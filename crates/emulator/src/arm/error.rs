//! The resource manager's refusals. Codes and texts are Azure's where they are known; `docs/emulator.md` lists the guesses.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::{Manager, access::Caller, with_headers};
use crate::keyvault::json_answer;

/// An error answer.
#[derive(Debug)]
pub(crate) struct ArmError {
    status: StatusCode,
    code: String,
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl ArmError {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn bad_request(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn missing_token(directory: &str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        )
        .with_header(
            "www-authenticate",
            format!(
                "Bearer authorization_uri=\"https://login.windows.net/{directory}\", error=\"invalid_token\", error_description=\"The authentication failed because of missing 'Authorization' header.\""
            ),
        )
    }

    pub(super) fn invalid_token() -> Self {
        Self::unauthorized("InvalidAuthenticationToken", "The access token is invalid.")
    }

    pub(super) fn expired_token() -> Self {
        Self::unauthorized(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        )
    }

    pub(super) fn wrong_audience(manager: &Manager, found: &str) -> Self {
        let allowed: Vec<_> = manager
            .audiences
            .iter()
            .rev()
            .flat_map(|audience| [format!("'{audience}/'"), format!("'{audience}'")])
            .collect();
        let allowed = allowed.join(",");
        Self::unauthorized(
            "InvalidAuthenticationTokenAudience",
            &format!(
                "The access token has been obtained for wrong audience or resource '{found}'. It should exactly match with one of the allowed audiences {allowed}."
            ),
        )
    }

    pub(super) fn wrong_tenant(found: Uuid, expected: &[Uuid]) -> Self {
        let expected = expected.first().copied().unwrap_or_default();
        Self::unauthorized(
            "InvalidAuthenticationTokenTenant",
            &format!(
                "The access token is from the wrong issuer 'https://sts.windows.net/{found}/'. It must match the tenant 'https://sts.windows.net/{expected}/' associated with this subscription. Please use the authority (URL) 'https://login.windows.net/{expected}' to get the token. Note, if the subscription is transferred to another tenant there is no impact to the services, but information about new tenant could take time to propagate (up to an hour). If you just transferred your subscription and see this error message, please try back later."
            ),
        )
        .with_header(
            "www-authenticate",
            format!(
                "Bearer authorization_uri=\"https://login.windows.net/{expected}\", error=\"invalid_token\", error_description=\"The access token is from the wrong issuer. It must match the tenant associated with this subscription. Please use correct authority to get the token.\""
            ),
        )
    }

    fn unauthorized(code: &str, message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    pub(super) fn unknown_subscription(subscription: Uuid) -> Self {
        let message = format!("The subscription '{subscription}' could not be found.");
        Self::new(StatusCode::NOT_FOUND, "SubscriptionNotFound", message)
    }

    pub(super) fn not_authorized(caller: &Caller, action: &str, scope: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "AuthorizationFailed",
            format!(
                "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
                caller.appid, caller.oid
            ),
        )
    }

    pub(super) fn not_authorized_there(caller: &Caller, scope: &str, action: &str, linked: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "LinkedAuthorizationFailed",
            format!(
                "The client '{}' with object id '{}' has permission to perform action 'Microsoft.Network/privateEndpoints/write' on scope '{scope}'; however, it does not have permission to perform action(s) '{action}' on the linked scope(s) '{linked}' (respectively) or the linked scope(s) are invalid.",
                caller.appid, caller.oid
            ),
        )
    }

    pub(super) fn no_api_version() -> Self {
        Self::bad_request(
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    }

    pub(super) fn unknown_api_version(kind: &str, version: &str) -> Self {
        let (namespace, kind) = kind.split_once('/').unwrap_or((kind, ""));
        Self::bad_request(
            "InvalidResourceType",
            format!(
                "The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{version}'."
            ),
        )
    }

    pub(super) fn not_found(kind: &str, name: &str, group: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ResourceNotFound",
            format!(
                "The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
            ),
        )
    }

    /// Of a resource that an endpoint refers to.
    pub(super) fn unknown_reference(what: &str, by: &str) -> Self {
        Self::bad_request(
            "InvalidResourceReference",
            format!(
                "Resource {what} referenced by resource {by} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region."
            ),
        )
    }

    pub(crate) fn unknown_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "InvalidResourceType",
            "The resource type could not be found.",
        )
    }

    /// As ordered by a fault.
    pub(crate) fn throttled(subscription: Option<Uuid>, retry_after: Option<u64>) -> Self {
        let subscription = subscription.unwrap_or_default();
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "SubscriptionRequestsThrottled",
            format!(
                "Number of requests for subscription '{subscription}' exceeded. Please try again after '{}' seconds after additional tokens are available. Refer to https://aka.ms/arm-throttling for additional information.",
                retry_after.unwrap_or_default()
            ),
        );
        error
            .headers
            .extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        error
    }

    /// Any other status, as ordered by a fault.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let code = if status.is_server_error() {
            "InternalServerError"
        } else {
            "BadRequest"
        };
        Self::new(status, code, "An error has occurred. Please try again later.")
    }

    pub(crate) fn into_answer(self) -> Response<Body> {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        with_headers(json_answer(self.status, &body), self.headers)
    }
}

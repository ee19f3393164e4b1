//! Entra's refusals, word for word.
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use std::fmt::Display;

use http::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::encoding::{entra_timestamp, now, rfc3339};

/// A refusal of the token endpoint.
#[derive(Debug)]
pub(crate) struct TokenError {
    status: StatusCode,
    error: &'static str,
    code: u32,
    message: String,
}

impl TokenError {
    fn new(status: StatusCode, error: &'static str, code: u32, message: String) -> Self {
        Self {
            status,
            error,
            code,
            message,
        }
    }

    fn invalid_client(code: u32, message: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", code, message)
    }

    pub(crate) fn tenant_not_found(tenant: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            90_002,
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
            ),
        )
    }

    pub(crate) fn unknown_application(client_id: &str, directory: &impl Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            700_016,
            format!(
                "Application with identifier '{client_id}' was not found in the directory '{directory}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
            ),
        )
    }

    pub(crate) fn missing_principal(client_id: Uuid, directory: Uuid) -> Self {
        Self::invalid_client(
            7_000_229,
            format!(
                "The client application {client_id} is missing service principal in the tenant {directory}. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119"
            ),
        )
    }

    pub(crate) fn principal_disabled(client_id: Uuid) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized_client",
            7_000_112,
            format!("Application '{client_id}'(Keyferry) is disabled."),
        )
    }

    pub(crate) fn blocked() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_grant",
            53_003,
            "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."
                .into(),
        )
    }

    pub(crate) fn wrong_secret(client_id: Uuid) -> Self {
        Self::invalid_client(
            7_000_215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
            ),
        )
    }

    pub(crate) fn expired_secret(client_id: Uuid) -> Self {
        Self::invalid_client(
            7_000_222,
            format!(
                "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds."
            ),
        )
    }

    pub(crate) fn unknown_certificate() -> Self {
        Self::invalid_client(700_027, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found.]".into())
    }

    /// Of an assertion that is past its end or not yet at its beginning.
    pub(crate) fn assertion_out_of_time(begins: OffsetDateTime, ends: OffsetDateTime) -> Self {
        let [now, begins, ends] = [now(), begins, ends].map(rfc3339);
        Self::invalid_client(
            700_024,
            format!(
                "Client assertion is not within its valid time range. Current time: {now}, assertion valid from {begins}, expiry time of assertion {ends}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."
            ),
        )
    }

    pub(crate) fn bad_assertion(why: &str) -> Self {
        Self::invalid_client(50_012, format!("Authentication failed. [Reason - {why}]"))
    }

    pub(crate) fn unknown_resource(resource: &str, directory: Uuid) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_resource",
            500_011,
            format!(
                "The resource principal named {resource} was not found in the tenant named {directory}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."
            ),
        )
    }

    /// Of the consent page: nobody is sent to this address.
    pub(crate) fn unregistered_redirect(redirect: &str, client_id: Uuid) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            50_011,
            format!(
                "The redirect URI '{redirect}' specified in the request does not match the redirect URIs configured for the application '{client_id}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to troubleshoot this error."
            ),
        )
    }

    /// Of the consent page's second form: the administrator said no.
    pub(crate) fn consent_declined() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "consent_required",
            65_004,
            "The resource owner or authorization server denied the request.".into(),
        )
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        Self::bad_request(&format!(
            "The request body must contain the following parameter: '{name}'."
        ))
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", 900_144, message.to_owned())
    }

    /// A passing failure, as ordered by a fault.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        Self::new(
            status,
            "temporarily_unavailable",
            90_055,
            "The server is temporarily too busy to handle the request. Please try again later.".into(),
        )
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What people are told, as of the time it is asked for.
    pub(crate) fn description(self) -> String {
        let (_, body) = self.into_parts();
        body["error_description"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn into_parts(self) -> (StatusCode, Value) {
        let Self {
            status,
            error,
            code,
            message,
        } = self;
        let (trace_id, correlation_id, timestamp) = (Uuid::new_v4(), Uuid::new_v4(), entra_timestamp());
        let description = format!(
            "AADSTS{code}: {message}\r\nTrace ID: {trace_id}\r\nCorrelation ID: {correlation_id}\r\nTimestamp: {timestamp}"
        );
        let body = json!({
            "error": error,
            "error_description": description,
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        (status, body)
    }
}

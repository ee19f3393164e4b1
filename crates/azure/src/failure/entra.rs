//! Entra's refusals. <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>

use std::borrow::Cow;

use azure_core::http::headers::Headers;
use keyferry_crypto::vault::{VaultCause, VaultError};
use serde::Deserialize;

use super::{evidence, plain_code, retry_after};
use crate::clock;

/// What an answer of the token endpoint that is no success means.
pub(crate) fn of_entra(status: u16, headers: &Headers, body: &[u8]) -> VaultError {
    let said: Said<'_> = serde_json::from_slice(body).unwrap_or_default();
    let number = said.number().or_else(|| number_in(&String::from_utf8_lossy(body)));
    let cause = cause(status, number, said.error.as_deref());
    let code = number.map(|number| format!("AADSTS{number}"));
    let mut evidence = evidence(status, code.as_deref().or(said.error.as_deref()), headers);
    let trace_id = said.trace_id.as_deref().and_then(plain_code);
    evidence.request_id = trace_id.or(evidence.request_id);
    VaultError::new(cause, retry_after(headers, clock::now()), evidence)
}

fn cause(status: u16, number: Option<u32>, error: Option<&str>) -> VaultCause {
    match number {
        // Not in that directory (or a wrong client id, which every directory would show), and consent withdrawn.
        Some(700_016 | 7_000_229) => VaultCause::ConsentMissing,
        Some(7_000_112) => VaultCause::PrincipalDisabled,
        Some(53_003) => VaultCause::ConditionalAccess,
        Some(90_002) => VaultCause::DirectoryNotFound,
        Some(500_011) => VaultCause::KeyVaultPrincipalMissing,
        Some(7_000_215) => VaultCause::AppSecretInvalid,
        Some(7_000_222) => VaultCause::AppSecretExpired,
        // The signature, the certificate; and, of federated assertions, that they are expired (700024) or match no
        // federated credential by issuer, subject or audience (70021, 700211 to 700213) [B].
        Some(50_012 | 700_027 | 700_024 | 70_021 | 700_211..=700_213) => VaultCause::AppAssertionInvalid,
        Some(90_055) => unavailable(status),
        _ => by_status(status, error),
    }
}

fn by_status(status: u16, error: Option<&str>) -> VaultCause {
    match status {
        429 => VaultCause::EntraThrottled,
        _ if error == Some("temporarily_unavailable") => VaultCause::EntraUnavailable,
        // An unknown refusal of a client can be the customer's doing or ours. Taken for the customer's it would evict
        // keys; so it is ours, which is looked at and evicts nothing.
        400..=499 if status != 408 => VaultCause::RequestRejected,
        _ => VaultCause::EntraUnavailable,
    }
}

fn unavailable(status: u16) -> VaultCause {
    if status == 429 {
        VaultCause::EntraThrottled
    } else {
        VaultCause::EntraUnavailable
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    #[serde(borrow)]
    error_description: Option<Cow<'a, str>>,
    error_codes: Vec<u32>,
    #[serde(borrow)]
    trace_id: Option<Cow<'a, str>>,
}

impl Said<'_> {
    fn number(&self) -> Option<u32> {
        let first = self.error_codes.first().copied();
        first.or_else(|| number_in(self.error_description.as_deref()?))
    }
}

/// The number of the first `AADSTS…` in a text. Also finds it in a body that is cut off.
fn number_in(text: &str) -> Option<u32> {
    let (_, after) = text.split_once("AADSTS")?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn body(error: &str, number: u32, message: &str) -> String {
        format!(
            r#"{{"error":"{error}","error_description":"AADSTS{number}: {message}\r\nTrace ID: t\r\nCorrelation ID: c\r\nTimestamp: 2025-01-01 00:00:00Z","error_codes":[{number}],"timestamp":"2025-01-01 00:00:00Z","trace_id":"7b2d0000-0000-0000-0000-000000000000","correlation_id":"c","error_uri":"https://login.microsoftonline.com/error?code={number}"}}"#
        )
    }

    fn row(status: u16, error: &str, number: u32, message: &str, means: VaultCause) {
        let answer = of_entra(status, &Headers::new(), body(error, number, message).as_bytes());
        assert_eq!(answer.cause(), means, "{number}");
        assert_eq!(answer.evidence().code, Some(format!("AADSTS{number}")));
        assert_eq!(
            answer.evidence().request_id.as_deref(),
            Some("7b2d0000-0000-0000-0000-000000000000")
        );
    }

    #[test]
    fn an_application_that_is_not_in_the_directory_lacks_consent() {
        row(
            400,
            "unauthorized_client",
            700_016,
            "Application with identifier 'x' was not found in the directory 'y'.",
            VaultCause::ConsentMissing,
        );
    }

    #[test]
    fn a_missing_service_principal_lacks_consent() {
        row(
            401,
            "invalid_client",
            7_000_229,
            "The client application x is missing service principal in the tenant y.",
            VaultCause::ConsentMissing,
        );
    }

    #[test]
    fn a_disabled_service_principal_is_disabled() {
        row(
            401,
            "unauthorized_client",
            7_000_112,
            "Application 'x' is disabled.",
            VaultCause::PrincipalDisabled,
        );
    }

    #[test]
    fn an_unknown_directory_is_not_found() {
        row(
            400,
            "invalid_request",
            90_002,
            "Tenant 'x' not found. Check to make sure you have the correct tenant ID.",
            VaultCause::DirectoryNotFound,
        );
    }

    #[test]
    fn a_wrong_secret_is_invalid() {
        row(
            401,
            "invalid_client",
            7_000_215,
            "Invalid client secret provided.",
            VaultCause::AppSecretInvalid,
        );
    }

    #[test]
    fn an_expired_secret_is_expired() {
        row(
            401,
            "invalid_client",
            7_000_222,
            "The provided client secret keys for app 'x' are expired.",
            VaultCause::AppSecretExpired,
        );
    }

    #[test]
    fn a_bad_assertion_is_invalid() {
        for number in [50_012, 700_027, 700_024, 70_021, 700_211, 700_212, 700_213] {
            row(
                401,
                "invalid_client",
                number,
                "Client assertion failed.",
                VaultCause::AppAssertionInvalid,
            );
        }
    }

    #[test]
    fn conditional_access_blocks() {
        row(
            400,
            "invalid_grant",
            53_003,
            "Access has been blocked by Conditional Access policies.",
            VaultCause::ConditionalAccess,
        );
    }

    #[test]
    fn a_directory_without_key_vault_lacks_its_principal() {
        row(
            400,
            "invalid_resource",
            500_011,
            "The resource principal named https://vault.azure.net was not found.",
            VaultCause::KeyVaultPrincipalMissing,
        );
    }

    #[test]
    fn what_passes_is_unavailable() {
        row(
            503,
            "temporarily_unavailable",
            90_055,
            "The server is temporarily too busy.",
            VaultCause::EntraUnavailable,
        );
        row(
            400,
            "temporarily_unavailable",
            90_055,
            "The server is temporarily too busy.",
            VaultCause::EntraUnavailable,
        );
        row(400, "temporarily_unavailable", 1, "m", VaultCause::EntraUnavailable);
        for body in [
            "",
            "<html><body>Service unavailable</body></html>",
            "{\"nonsense\":true}",
        ] {
            assert_eq!(
                of_entra(502, &Headers::new(), body.as_bytes()).cause(),
                VaultCause::EntraUnavailable
            );
        }
    }

    #[test]
    fn throttling_carries_its_retry_after() {
        let mut headers = Headers::new();
        headers.insert("retry-after", "3");
        let body = body("temporarily_unavailable", 90_055, "m");
        let error = of_entra(429, &headers, body.as_bytes());
        assert_eq!(error.cause(), VaultCause::EntraThrottled);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(of_entra(429, &headers, b"").cause(), VaultCause::EntraThrottled);
    }

    #[test]
    fn an_unknown_refusal_is_ours_and_takes_nothing_from_the_customer() {
        let error = of_entra(401, &Headers::new(), br#"{"error":"invalid_client"}"#);
        assert_eq!(error.cause(), VaultCause::RequestRejected);
        assert!(!error.cause().is_refusal());
        assert_eq!(error.evidence().code.as_deref(), Some("invalid_client"));
    }

    #[test]
    fn a_code_is_found_in_a_body_that_is_cut_off() {
        let whole = body("invalid_client", 7_000_229, "The client application x is missing");
        let error = of_entra(401, &Headers::new(), &whole.as_bytes()[..90]);
        assert_eq!(error.cause(), VaultCause::ConsentMissing);
    }
}

//! Key Vault's refusals. <https://learn.microsoft.com/azure/key-vault/general/rest-error-codes>
//! and <https://learn.microsoft.com/azure/key-vault/general/common-error-codes>

use std::borrow::Cow;

use azure_core::http::headers::{Headers, WWW_AUTHENTICATE};
use keyferry_crypto::{
    id::DirectoryId,
    vault::{VaultCause, VaultError},
};
use serde::Deserialize;

use super::{evidence, retry_after};
use crate::clock;

/// What was asked of the vault. The same refusal can mean another thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To wrap.
    Wrap,
    /// To unwrap.
    Unwrap,
    /// To describe a key.
    Get,
    /// Whatever else onboarding asks.
    Probe,
}

/// What an answer that is no success means to one who asked with a token of `directory`. Bodies may be empty (Managed
/// HSM), cut off, or HTML of a gateway: then status and headers have to do, and a 403 alone is never enough to take
/// anything away.
pub(crate) fn of_key_vault(
    asked: Asked,
    directory: DirectoryId,
    status: u16,
    headers: &Headers,
    body: &[u8],
) -> VaultError {
    let body: Body<'_> = serde_json::from_slice(body).unwrap_or_default();
    let error = body.error.unwrap_or_default();
    let cause = match status {
        401 => unauthorized(directory, headers, &error),
        _ => cause(asked, status, &error),
    };
    let said = evidence(status, error.telling_code(), headers);
    VaultError::new(cause, retry_after(headers, clock::now()), said)
}

fn cause(asked: Asked, status: u16, error: &Said<'_>) -> VaultCause {
    match status {
        400 => bad_request(asked, error),
        403 => forbidden(asked, error),
        // Only Key Vault's own word takes a key away: a gateway's 404 says nothing of it.
        404 if error.code() == Some("KeyNotFound") => VaultCause::KeyNotFound,
        408 => VaultCause::Timeout,
        429 => VaultCause::Throttled,
        500..=599 => VaultCause::VaultFailed,
        402..=499 => VaultCause::RequestRejected,
        // Redirects are not followed: they would take a token elsewhere.
        _ => VaultCause::AnswerInvalid,
    }
}

/// What an answer to one who showed no token means, if it is not the challenge that was asked for.
pub(crate) fn of_key_vault_openly(status: u16, headers: &Headers, body: &[u8]) -> VaultError {
    let body: Body<'_> = serde_json::from_slice(body).unwrap_or_default();
    let error = body.error.unwrap_or_default();
    let said = evidence(status, error.telling_code(), headers);
    VaultError::new(
        cause(Asked::Probe, status, &error),
        retry_after(headers, clock::now()),
        said,
    )
}

/// Our requests are well formed, and the wrapped bytes are the one thing in them that comes from outside; so what Key
/// Vault finds bad in an unwrap is those. Seen is "Error occurred while decoding OAEP padding."; what it says of a length
/// that is not the modulus' is not known [B], and is treated alike.
fn bad_request(asked: Asked, error: &Said<'_>) -> VaultCause {
    match (asked, error.code()) {
        (Asked::Unwrap, Some("BadParameter")) => VaultCause::WrappedKeyInvalid,
        (Asked::Wrap | Asked::Unwrap | Asked::Get | Asked::Probe, _) => VaultCause::RequestRejected,
    }
}

fn unauthorized(directory: DirectoryId, headers: &Headers, error: &Said<'_>) -> VaultCause {
    match error.akv() {
        // Invalid issuer: the vault trusts another directory than the one our token is from.
        Some("AKV10032") => VaultCause::WrongDirectory,
        // The vault cannot find the key that signed the token; it passes.
        Some("AKV10046") => VaultCause::TokenNotVerifiable,
        // A Managed HSM refuses without a body, or with one that has no such code [B]; where it sends us for a token is told.
        _ if trusted(headers).is_some_and(|trusted| trusted != directory) => VaultCause::WrongDirectory,
        // AKV10022 (invalid audience), AKV10000 (no token seen), and all else.
        _ => VaultCause::TokenRejected,
    }
}

/// The directory that a 401 sends its reader to: `Bearer authorization="https://login.microsoftonline.com/{directory}", …`.
fn trusted(headers: &Headers) -> Option<DirectoryId> {
    let challenge = headers.get_optional_str(&WWW_AUTHENTICATE)?;
    let (_, rest) = challenge.split_once("authorization=\"")?;
    let (authority, _) = rest.split_once('"')?;
    let (_, directory) = authority.trim_end_matches('/').rsplit_once('/')?;
    directory.parse().ok().map(DirectoryId)
}

/// Only Key Vault's own word is a refusal: a proxy or a gateway on the way says 403 too, in HTML or in nothing at all.
fn forbidden(asked: Asked, error: &Said<'_>) -> VaultCause {
    match (error.inner().or(error.code()), asked) {
        (None, _) => VaultCause::AnswerInvalid,
        (Some("KeyDisabled"), _) => VaultCause::KeyDisabled,
        (Some("KeyOperationForbidden"), _) => VaultCause::KeyOperationForbidden,
        (Some("ForbiddenByRbac"), _) => VaultCause::RoleMissing,
        (Some("ForbiddenByPolicy"), _) => VaultCause::AccessPolicyMissing,
        (Some("ForbiddenByFirewall"), _) => VaultCause::FirewallDenied,
        (Some("ForbiddenByConnection"), _) => VaultCause::PublicAccessDisabled,
        // A key that is expired or not yet valid wraps no more: 403, code `Forbidden`; its inner code is in no source [B].
        // All other refusals of a vault that are known have one, so a wrap's without one is taken to mean this. It concerns
        // the key, where `AccessDenied` concerns the whole vault. Such a key unwraps and is described all the same, so
        // there it cannot be meant.
        (Some("Forbidden"), Asked::Wrap) if error.inner().is_none() => VaultCause::KeyNotUsable,
        // An inner code that we do not know, and a Managed HSM's own `AccessDenied`.
        (Some(_), _) => VaultCause::AccessDenied,
    }
}

/// `{"error":{"code","message","innererror":{"code"}}}`. Texts are `Cow`: one with an escape cannot be borrowed.
#[derive(Default, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<Said<'a>>,
}

#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "innererror")]
    inner: Option<Inner<'a>>,
}

#[derive(Default, Deserialize)]
struct Inner<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

impl Said<'_> {
    fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    fn inner(&self) -> Option<&str> {
        self.inner.as_ref()?.code.as_deref()
    }

    /// `AKV10032` from `AKV10032: Invalid issuer. …`: 401s differ in nothing else.
    fn akv(&self) -> Option<&str> {
        let code = self.message.as_deref()?.split(':').next()?;
        let digits = code.strip_prefix("AKV")?;
        digits.bytes().all(|b| b.is_ascii_digit()).then_some(code)
    }

    fn telling_code(&self) -> Option<&str> {
        self.inner().or_else(|| self.akv()).or_else(|| self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    const DIRECTORY: DirectoryId = DirectoryId(Uuid::from_u128(0x22));

    /// One row: what was asked, the answer, what it means, and the code to show.
    fn row(asked: Asked, status: u16, body: &str, means: VaultCause, code: Option<&str>) {
        let error = of_key_vault(asked, DIRECTORY, status, &Headers::new(), body.as_bytes());
        assert_eq!(error.cause(), means, "{status} {body}");
        assert_eq!(error.evidence().status, Some(status));
        assert_eq!(error.evidence().code.as_deref(), code, "{status} {body}");
    }

    fn forbidden(inner: &str, message: &str, means: VaultCause) {
        let body =
            format!(r#"{{"error":{{"code":"Forbidden","message":"{message}","innererror":{{"code":"{inner}"}}}}}}"#);
        row(Asked::Unwrap, 403, &body, means, Some(inner));
    }

    #[test]
    fn an_unknown_or_deleted_key_is_not_found() {
        let body = r#"{"error":{"code":"KeyNotFound","message":"A key with (name/id) kek was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}}"#;
        row(Asked::Unwrap, 404, body, VaultCause::KeyNotFound, Some("KeyNotFound"));
    }

    #[test]
    fn an_unknown_version_is_not_found() {
        let body = r#"{"error":{"code":"KeyNotFound","message":"A key with (name/id) kek/0123456789abcdef0123456789abcdef was not found in this key vault."}}"#;
        row(Asked::Unwrap, 404, body, VaultCause::KeyNotFound, Some("KeyNotFound"));
    }

    #[test]
    fn a_gateways_404_takes_no_key_away() {
        row(
            Asked::Unwrap,
            404,
            "<html>Not Found</html>",
            VaultCause::RequestRejected,
            None,
        );
        row(Asked::Unwrap, 404, "", VaultCause::RequestRejected, None);
    }

    #[test]
    fn a_conflict_is_our_request_rejected() {
        let body =
            r#"{"error":{"code":"Conflict","message":"m","innererror":{"code":"ObjectIsDeletedButRecoverable"}}}"#;
        row(
            Asked::Wrap,
            409,
            body,
            VaultCause::RequestRejected,
            Some("ObjectIsDeletedButRecoverable"),
        );
    }

    #[test]
    fn a_disabled_key_is_disabled() {
        let message = "Operation unwrapKey is not allowed on a disabled key.";
        forbidden("KeyDisabled", message, VaultCause::KeyDisabled);
    }

    #[test]
    fn an_expired_or_too_young_key_is_not_usable() {
        let body = r#"{"error":{"code":"Forbidden","message":"Operation wrapKey is not allowed on an expired key."}}"#;
        row(Asked::Wrap, 403, body, VaultCause::KeyNotUsable, Some("Forbidden"));
    }

    #[test]
    fn an_operation_that_key_ops_leave_out_is_forbidden() {
        let message = "Operation decrypt is not permitted on this key.";
        forbidden("KeyOperationForbidden", message, VaultCause::KeyOperationForbidden);
    }

    #[test]
    fn bytes_that_do_not_decode_are_an_invalid_wrapped_key() {
        let body = r#"{"error":{"code":"BadParameter","message":"Error occurred while decoding OAEP padding."}}"#;
        row(
            Asked::Unwrap,
            400,
            body,
            VaultCause::WrappedKeyInvalid,
            Some("BadParameter"),
        );
    }

    #[test]
    fn a_bad_value_is_the_wrapped_key_when_unwrapping_and_ours_when_wrapping() {
        let body = r#"{"error":{"code":"BadParameter","message":"Content of 'value' is not base64url.\r\nProperty 'value' is required.\r\n"}}"#;
        row(
            Asked::Wrap,
            400,
            body,
            VaultCause::RequestRejected,
            Some("BadParameter"),
        );
        row(
            Asked::Unwrap,
            400,
            body,
            VaultCause::WrappedKeyInvalid,
            Some("BadParameter"),
        );
        row(Asked::Get, 400, body, VaultCause::RequestRejected, Some("BadParameter"));
    }

    #[test]
    fn a_missing_role_is_told_from_a_body_with_escapes() {
        let message = r"Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid=a;oid=b;iss=https://sts.windows.net/c/\r\nAction: 'Microsoft.KeyVault/vaults/keys/unwrap/action'\r\nResource: '/subscriptions/s/resourcegroups/r/providers/microsoft.keyvault/vaults/v/keys/k'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: v;location=eastus\r\n";
        forbidden("ForbiddenByRbac", message, VaultCause::RoleMissing);
    }

    #[test]
    fn a_missing_access_policy_is_missing() {
        let message = "The user, group or application 'appid=a;oid=b;numgroups=0;iss=https://sts.windows.net/c/' does not have keys unwrapKey permission on key vault 'v;location=westeurope'.";
        forbidden("ForbiddenByPolicy", message, VaultCause::AccessPolicyMissing);
    }

    #[test]
    fn a_firewall_denies() {
        let message = r"Client address is not authorized and caller is not a trusted service.\r\nClient address: 1.2.3.4\r\nCaller: c\r\nVault: v;location=l";
        forbidden("ForbiddenByFirewall", message, VaultCause::FirewallDenied);
    }

    #[test]
    fn a_vault_without_public_access_is_closed() {
        let message = r"Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\nCaller: c\r\nVault: v";
        forbidden("ForbiddenByConnection", message, VaultCause::PublicAccessDisabled);
    }

    #[test]
    fn an_expired_key_still_unwraps_so_a_bare_refusal_of_that_is_not_about_its_dates() {
        let body = r#"{"error":{"code":"Forbidden","message":"m"}}"#;
        for asked in [Asked::Unwrap, Asked::Get] {
            row(asked, 403, body, VaultCause::AccessDenied, Some("Forbidden"));
        }
    }

    #[test]
    fn a_refusal_with_an_unknown_code_is_access_denied() {
        forbidden("ForbiddenByTheMoon", "m", VaultCause::AccessDenied);
        let of_hsm = r#"{"error":{"code":"AccessDenied","message":"Not authorized to access Microsoft.KeyVault/managedHsm/keys/unwrap/action on /keys/k (Activity ID: a)"}}"#;
        for asked in [Asked::Wrap, Asked::Unwrap] {
            row(asked, 403, of_hsm, VaultCause::AccessDenied, Some("AccessDenied"));
        }
    }

    #[test]
    fn a_403_that_is_not_key_vaults_own_takes_nothing_away() {
        for body in [
            "",
            "<html>no</html>",
            "{}",
            r#"{"statusCode":403,"message":"blocked"}"#,
            r#"{"error":{"message":"blocked"}}"#,
            r#"{"error":{"code":"Forbidden","message":"Operation unw"#,
        ] {
            for asked in [Asked::Wrap, Asked::Unwrap, Asked::Get] {
                row(asked, 403, body, VaultCause::AnswerInvalid, None);
            }
        }
    }

    #[test]
    fn refused_tokens_are_told_apart() {
        let body = |message: &str| format!(r#"{{"error":{{"code":"Unauthorized","message":"{message}"}}}}"#);
        let issuer = body(
            "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/a/, https://sts.windows.net/b/, found https://sts.windows.net/c/.",
        );
        row(Asked::Wrap, 401, &issuer, VaultCause::WrongDirectory, Some("AKV10032"));
        let audience =
            body("AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://management.azure.com/.");
        row(Asked::Wrap, 401, &audience, VaultCause::TokenRejected, Some("AKV10022"));
        let unverifiable = body("AKV10046: Unable to resolve the key used for signature validation.");
        row(
            Asked::Wrap,
            401,
            &unverifiable,
            VaultCause::TokenNotVerifiable,
            Some("AKV10046"),
        );
        let missing = body("AKV10000: Request is missing a Bearer or PoP token.");
        row(Asked::Wrap, 401, &missing, VaultCause::TokenRejected, Some("AKV10000"));
        row(Asked::Wrap, 401, "", VaultCause::TokenRejected, None);
    }

    #[test]
    fn a_401_without_a_code_is_read_by_the_directory_that_it_names() {
        let means = |challenge: String, body: &str| {
            let mut headers = Headers::new();
            headers.insert(WWW_AUTHENTICATE, challenge);
            of_key_vault(Asked::Unwrap, DIRECTORY, 401, &headers, body.as_bytes()).cause()
        };
        let challenge = |directory: &str| {
            format!(
                r#"Bearer authorization="https://login.microsoftonline.com/{directory}", resource="https://managedhsm.azure.net""#
            )
        };
        let (ours, theirs) = (DIRECTORY.0.to_string(), Uuid::from_u128(0x99).to_string());
        for body in [
            "",
            r#"{"error":{"code":"Unauthorized","message":"Token not yet valid (Activity ID: a)"}}"#,
        ] {
            assert_eq!(means(challenge(&theirs), body), VaultCause::WrongDirectory);
            assert_eq!(
                means(challenge(&format!("{theirs}/")), body),
                VaultCause::WrongDirectory
            );
            assert_eq!(means(challenge(&ours), body), VaultCause::TokenRejected);
            assert_eq!(
                means(challenge("common"), body),
                VaultCause::TokenRejected,
                "no directory"
            );
            assert_eq!(means("Bearer".into(), body), VaultCause::TokenRejected);
        }
    }

    #[test]
    fn throttling_carries_its_retry_after() {
        let body = br#"{"error":{"code":"Throttled","message":"Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"}}"#;
        let mut headers = Headers::new();
        headers.insert("retry-after", "12");
        headers.insert("x-ms-request-id", "0f0e");
        let error = of_key_vault(Asked::Wrap, DIRECTORY, 429, &headers, body);
        assert_eq!(error.cause(), VaultCause::Throttled);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(12)));
        assert_eq!(error.evidence().request_id.as_deref(), Some("0f0e"));
    }

    #[test]
    fn what_fails_is_unavailable_and_what_makes_no_sense_invalid() {
        row(Asked::Wrap, 500, "<html>oops</html>", VaultCause::VaultFailed, None);
        row(Asked::Wrap, 503, "", VaultCause::VaultFailed, None);
        row(Asked::Wrap, 408, "", VaultCause::Timeout, None);
        row(Asked::Wrap, 302, "", VaultCause::AnswerInvalid, None);
        row(Asked::Wrap, 418, "", VaultCause::RequestRejected, None);
    }
}

//! What went wrong, named: every row of Key Vault's and Entra's error tables, and every way in which a connection fails.
//!
//! The bodies are read here and not by the SDK. It reads them with borrowed strings, which serde refuses as soon as a text
//! holds an escape; real bodies hold `\r\n`, so the SDK loses Key Vault's code, and of Entra's errors everything. Nothing
//! of a body goes into an error but codes and ids of a plain form: messages name customers and may quote what was sent.

mod entra;
mod keyvault;
mod managed_identity;
mod transport;

use std::{error::Error, time::Duration};

use azure_core::{
    error::ErrorKind,
    http::headers::{HeaderName, Headers},
};
use keyferry_crypto::{
    id::DirectoryId,
    vault::{Evidence, VaultCause, VaultError},
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

pub(crate) use self::{
    entra::of_entra,
    keyvault::{Asked, of_key_vault, of_key_vault_openly},
    managed_identity::of_managed_identity,
    transport::{NoSuchHost, of_transport},
};

/// Wraps an error of ours so that it passes through the SDK; [`of_sdk`] finds it again.
pub(crate) fn through_sdk(kind: ErrorKind, error: VaultError) -> azure_core::Error {
    azure_core::Error::new(kind, error)
}

/// The error of ours that passed through the SDK, if one did.
pub(crate) fn ours(error: &azure_core::Error) -> Option<VaultError> {
    find::<VaultError>(error).cloned()
}

/// What an error that the SDK returned means, of a vault that was asked with a token of `directory`.
pub(crate) fn of_sdk(asked: Asked, directory: DirectoryId, error: &azure_core::Error) -> VaultError {
    if let Some(ours) = ours(error) {
        return ours;
    }
    match error.kind() {
        ErrorKind::HttpResponse {
            status, raw_response, ..
        } => raw_response.as_ref().map_or_else(
            || of_key_vault(asked, directory, u16::from(*status), &Headers::new(), b""),
            |answer| of_key_vault(asked, directory, u16::from(*status), answer.headers(), answer.body()),
        ),
        ErrorKind::Connection | ErrorKind::Io => of_transport(error).into(),
        // A challenge without a scope, or with one that is not this vault's: the SDK refuses those by itself.
        _ => VaultCause::AnswerInvalid.into(),
    }
}

/// The first error of a type in a chain of sources.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut error = Some(error);
    while let Some(this) = error {
        if let Some(found) = this.downcast_ref() {
            return Some(found);
        }
        error = this.source();
    }
    None
}

/// A code as a service writes codes; anything else stays out of evidence.
pub(crate) fn plain_code(code: &str) -> Option<String> {
    let plain = (1..=64).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    plain.then(|| code.to_owned())
}

/// What the answer's headers and status tell.
pub(crate) fn evidence(status: u16, code: Option<&str>, headers: &Headers) -> Evidence {
    let request_id = headers.get_optional_str(&HeaderName::from_static("x-ms-request-id"));
    Evidence {
        status: Some(status),
        code: code.and_then(plain_code),
        request_id: request_id.and_then(plain_code),
    }
}

/// When another try is welcome: `retry-after-ms` (also with Azure's prefix), else `Retry-After` in seconds or as a date
/// (RFC 9110 §10.2.3).
pub(crate) fn retry_after(headers: &Headers, now: OffsetDateTime) -> Option<Duration> {
    let header = |name: &'static str| headers.get_optional_str(&HeaderName::from_static(name)).map(str::trim);
    let millis = header("x-ms-retry-after-ms").or_else(|| header("retry-after-ms"));
    if let Some(millis) = millis.and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let text = header("retry-after")?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Some(Duration::try_from(date - now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> Headers {
        let mut headers = Headers::new();
        headers.insert(name, value);
        headers
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let now = datetime!(2025-01-01 00:00:00 UTC);
        let read = |name, value| retry_after(&headers(name, value), now);
        assert_eq!(read("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(read("x-ms-retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(
            read("retry-after", "Wed, 01 Jan 2025 00:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            read("retry-after", "Tue, 31 Dec 2024 00:00:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(read("retry-after", "soon"), None);
        assert_eq!(retry_after(&Headers::new(), now), None);
    }

    #[test]
    fn an_error_of_ours_comes_through_the_sdk_unchanged() {
        let ours = VaultError::new(
            VaultCause::ConsentMissing,
            None,
            Evidence {
                status: Some(401),
                code: Some("AADSTS7000229".into()),
                request_id: None,
            },
        );
        let inner = through_sdk(ErrorKind::Credential, ours.clone());
        let outer = azure_core::Error::with_error(ErrorKind::Credential, inner, "ClientSecretCredential failed");
        let back = of_sdk(Asked::Wrap, DirectoryId(Uuid::nil()), &outer);
        assert_eq!(back.cause(), VaultCause::ConsentMissing);
        assert_eq!(back.evidence(), ours.evidence());
    }

    #[test]
    fn free_text_stays_out_of_evidence() {
        assert_eq!(plain_code("ForbiddenByRbac").as_deref(), Some("ForbiddenByRbac"));
        assert_eq!(plain_code("a customer's name"), None);
        assert_eq!(plain_code(&"x".repeat(65)), None);
        assert_eq!(plain_code(""), None);
    }
}

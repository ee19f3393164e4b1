//! Why a machine's managed identity gave no token.
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling>

use azure_core::{error::ErrorKind, http::headers::Headers};
use keyferry_crypto::vault::{Evidence, VaultCause, VaultError};

use super::{evidence, retry_after};
use crate::clock;

/// What stands in evidence for a code, of which the endpoint has none.
const CODE: &str = "ManagedIdentity";

/// What a failure of the identity's endpoint means. It stands before Entra, so where it throttles or fails it is taken for
/// that, and may be over in a moment; what it refuses is for whoever set the machine up.
pub(crate) fn of_managed_identity(error: &azure_core::Error) -> VaultError {
    let mut link: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut has_no_answer = false;
    while let Some(this) = link {
        match this.downcast_ref::<azure_core::Error>().map(azure_core::Error::kind) {
            Some(ErrorKind::HttpResponse {
                status, raw_response, ..
            }) => {
                let headers = raw_response.as_ref().map(|answer| answer.headers().clone());
                return of_answer(u16::from(*status), &headers.unwrap_or_default());
            }
            Some(ErrorKind::Io | ErrorKind::Connection) => has_no_answer = true,
            _ => {}
        }
        link = this.source();
    }
    let cause = if has_no_answer {
        VaultCause::EntraUnavailable
    } else {
        VaultCause::AppCredentialUnavailable
    };
    let said = Evidence {
        code: Some(CODE.to_owned()),
        ..Evidence::default()
    };
    VaultError::new(cause, None, said)
}

fn of_answer(status: u16, headers: &Headers) -> VaultError {
    let cause = match status {
        429 => VaultCause::EntraThrottled,
        // 404 and 410: the endpoint is being updated.
        404 | 408 | 410 | 500..=599 => VaultCause::EntraUnavailable,
        _ => VaultCause::AppCredentialUnavailable,
    };
    VaultError::new(
        cause,
        retry_after(headers, clock::now()),
        evidence(status, Some(CODE), headers),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use azure_core::{Bytes, http::RawResponse};

    use super::*;

    fn meant(error: azure_core::Error) -> VaultError {
        // As the SDK hands it up.
        let outer = azure_core::Error::with_error(ErrorKind::Credential, error, "ManagedIdentityCredential failed");
        of_managed_identity(&outer)
    }

    fn answered(status: u16) -> VaultError {
        let mut headers = Headers::new();
        headers.insert("retry-after", "3");
        let kind = ErrorKind::HttpResponse {
            status: status.into(),
            error_code: None,
            raw_response: Some(Box::new(RawResponse::from_bytes(status.into(), headers, Bytes::new()))),
        };
        meant(azure_core::Error::with_message(kind, "m"))
    }

    #[test]
    fn an_endpoint_that_throttles_or_fails_may_be_over_it_in_a_moment() {
        let throttled = answered(429);
        assert_eq!(throttled.cause(), VaultCause::EntraThrottled);
        assert_eq!(throttled.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(throttled.evidence().status, Some(429));
        assert_eq!(throttled.evidence().code.as_deref(), Some("ManagedIdentity"));
        for status in [404, 408, 410, 500, 503] {
            assert_eq!(answered(status).cause(), VaultCause::EntraUnavailable, "{status}");
        }
        for kind in [ErrorKind::Io, ErrorKind::Connection] {
            let failed = meant(azure_core::Error::with_message(kind, "timed out"));
            assert_eq!(failed.cause(), VaultCause::EntraUnavailable);
            assert_eq!(failed.evidence().code.as_deref(), Some("ManagedIdentity"));
        }
    }

    #[test]
    fn an_endpoint_that_refuses_or_makes_no_sense_is_ours_to_look_into() {
        for status in [400, 401, 403, 405] {
            assert_eq!(
                answered(status).cause(),
                VaultCause::AppCredentialUnavailable,
                "{status}"
            );
        }
        let nonsense = azure_core::Error::with_message(ErrorKind::DataConversion, "m");
        assert_eq!(meant(nonsense).cause(), VaultCause::AppCredentialUnavailable);
    }
}

//! The resource manager's refusals: `{"error":{"code","message"}}`.
//! <https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors>

use std::borrow::Cow;

use keyferry_crypto::{
    id::VaultResource,
    vault::{VaultCause, VaultError},
};
use serde::Deserialize;

use super::{ArmCause, ArmError};
use crate::{
    clock,
    exchange::Answer,
    failure::{evidence, retry_after},
};

/// What was asked about. The same refusal means another thing for each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    /// A customer's vault.
    Vault,
    /// An endpoint of ours, and the vault that it is to lead to.
    Endpoint(Option<&'a VaultResource>),
}

/// What an answer that is no success means. What may pass by itself, or with another token, comes as an `Err`.
pub(crate) fn of_arm(about: About<'_>, answer: &Answer) -> Result<ArmError, VaultError> {
    let said = said(answer);
    let code = said.code.as_deref().unwrap_or_default();
    let evidence = evidence(answer.status, said.code.as_deref(), &answer.headers);
    let retry_after = retry_after(&answer.headers, clock::now());
    let passing = |cause| Err(VaultError::new(cause, retry_after, evidence.clone()));
    let cause = match answer.status {
        401 if code == "InvalidAuthenticationTokenTenant" => ArmCause::OtherDirectory,
        401 => return passing(VaultCause::TokenRejected),
        408 => return passing(VaultCause::Timeout),
        429 => return passing(VaultCause::Throttled),
        // Not the resource manager's own word, but a gateway's.
        400..=499 if code.is_empty() => return passing(VaultCause::AnswerInvalid),
        // `AnotherOperationInProgress`, `ReferencedResourceNotProvisioned` and the like: something is being made or removed.
        409 | 412 if !is_known(code) => return passing(VaultCause::VaultFailed),
        400..=499 => refusal(about, answer.status, code, said.message.as_deref().unwrap_or_default()),
        500..=599 => return passing(VaultCause::VaultFailed),
        _ => return passing(VaultCause::AnswerInvalid),
    };
    Ok(ArmError {
        cause,
        retry_after,
        evidence,
    })
}

/// What a failure to get an answer means.
pub(crate) fn of_failure(failed: VaultError) -> ArmError {
    let (retry_after, evidence) = (failed.retry_after(), failed.evidence().clone());
    let cause = match failed.cause() {
        VaultCause::Throttled => ArmCause::Throttled,
        VaultCause::VaultFailed
        | VaultCause::Timeout
        | VaultCause::ConnectionFailed
        | VaultCause::VaultNotFound
        | VaultCause::CertificateInvalid
        | VaultCause::AnswerInvalid => ArmCause::Unavailable,
        // Entra's word, our own credential's, or a token that the resource manager does not take.
        _ => ArmCause::Token(failed),
    };
    ArmError {
        cause,
        retry_after,
        evidence,
    }
}

/// What was read of a success; or that it cannot be read, or is about something else.
pub(crate) fn believed<T>(read: Option<T>, answer: &Answer) -> Result<T, ArmError> {
    read.ok_or_else(|| ArmError {
        cause: ArmCause::Unavailable,
        retry_after: None,
        evidence: evidence(answer.status, None, &answer.headers),
    })
}

/// Whether the resource that was asked for itself is not there.
pub(crate) fn is_missing(answer: &Answer) -> bool {
    answer.status == 404 && said(answer).code.as_deref() == Some("ResourceNotFound")
}

/// Which codes there are for endpoints is not published; these are from public reports [B]. What is unknown is `Rejected`,
/// with the code as evidence.
fn refusal(about: About<'_>, status: u16, code: &str, message: &str) -> ArmCause {
    let names = |target: &VaultResource| message.to_lowercase().contains(&target.to_string().to_lowercase());
    match (about, code) {
        (_, "AuthorizationFailed" | "LinkedAuthorizationFailed") => ArmCause::Forbidden,
        (About::Vault, _) if status == 404 => ArmCause::TargetNotFound,
        (About::Endpoint(Some(_)), THIRD_PARTY) => ArmCause::TargetNotFound,
        // Of the resources that an endpoint refers to, the message tells which.
        (About::Endpoint(Some(target)), _) if is_absence(code) && names(target) => ArmCause::TargetNotFound,
        (About::Endpoint(_), _) if is_absence(code) => ArmCause::Misconfigured,
        (About::Endpoint(_), _) if code.contains("PrivateEndpointConnection") && code.contains("Limit") => {
            ArmCause::TooManyEndpoints
        }
        // A subnet that is full, or does not take endpoints; a policy or a lock of our own.
        (About::Endpoint(_), _) if code.contains("Subnet") || is_ours(code) => ArmCause::Misconfigured,
        _ => ArmCause::Rejected,
    }
}

/// Codes that say that something which was named is not there.
fn is_absence(code: &str) -> bool {
    matches!(
        code,
        "InvalidResourceReference"
            | "ResourceNotFound"
            | "LinkedResourceNotFound"
            | "ParentResourceNotFound"
            | "ResourceGroupNotFound"
            | "SubscriptionNotFound"
            | "InvalidSubscriptionId"
    )
}

/// Codes about our own subscription.
fn is_ours(code: &str) -> bool {
    matches!(
        code,
        "RequestDisallowedByPolicy"
            | "ScopeLocked"
            | "InvalidResourceLocation"
            | "LocationNotAvailableForResourceType"
            | "ReadOnlyDisabledSubscription"
            | "DisabledSubscription"
            | "MissingSubscriptionRegistration"
    )
}

/// Whether a conflict is one that does not pass.
fn is_known(code: &str) -> bool {
    is_absence(code) || is_ours(code)
}

fn said(answer: &Answer) -> Said<'_> {
    let body: Body<'_> = serde_json::from_slice(&answer.body).unwrap_or_default();
    body.error.unwrap_or_default()
}

/// Of a link to a vault that is nobody's, or that nobody may link to.
const THIRD_PARTY: &str = "ThirdPartyPrivateLinkServiceProvidedDuringPrivateEndpointCreationDoesNotExistOrIsNotVisible";

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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use azure_core::http::headers::Headers;

    use super::*;

    const VAULT: &str = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys/providers/Microsoft.KeyVault/vaults/acme";

    fn answer(status: u16, code: &str, message: &str) -> Answer {
        let mut headers = Headers::new();
        headers.insert("x-ms-request-id", "0f0e");
        headers.insert("retry-after", "17");
        let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
        Answer {
            status,
            headers,
            body: body.into(),
        }
    }

    fn endpoint(status: u16, code: &str, message: &str) -> String {
        let target = VAULT.parse().unwrap();
        cause(About::Endpoint(Some(&target)), &answer(status, code, message))
    }

    /// The cause's name, in brackets if it is tried again first.
    fn cause(about: About<'_>, answer: &Answer) -> String {
        match of_arm(about, answer) {
            Ok(error) => format!("{:?}", error.cause),
            Err(failed) => {
                let passing = failed.cause();
                format!("[{passing:?}] {:?}", of_failure(failed).cause)
            }
        }
    }

    #[test]
    fn a_missing_vault_is_told_from_a_missing_network_of_our_own() {
        let refers = |what: &str| format!("Resource {what} referenced by resource /subscriptions/s/pe was not found.");
        let shouted = refers(&VAULT.to_uppercase());
        assert_eq!(
            endpoint(400, "InvalidResourceReference", &refers(VAULT)),
            "TargetNotFound"
        );
        assert_eq!(endpoint(400, "InvalidResourceReference", &shouted), "TargetNotFound");
        let subnet = refers("/subscriptions/s/virtualNetworks/hub/subnets/endpoints");
        assert_eq!(endpoint(400, "InvalidResourceReference", &subnet), "Misconfigured");
        assert_eq!(
            endpoint(404, "ResourceGroupNotFound", "Resource group 'ours'"),
            "Misconfigured"
        );
        assert_eq!(endpoint(400, THIRD_PARTY, "m"), "TargetNotFound");
    }

    #[test]
    fn a_vault_that_is_not_there_is_told_from_one_that_we_may_not_see_and_from_one_in_another_directory() {
        let vault = |status, code| cause(About::Vault, &answer(status, code, "m"));
        for code in ["ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound"] {
            assert_eq!(vault(404, code), "TargetNotFound");
        }
        assert_eq!(vault(403, "AuthorizationFailed"), "Forbidden");
        assert_eq!(vault(401, "InvalidAuthenticationTokenTenant"), "OtherDirectory");
    }

    #[test]
    fn what_is_ours_to_put_right_is_told_from_what_is_full_at_the_vault() {
        assert_eq!(
            endpoint(400, "PrivateEndpointConnectionLimitReached", "m"),
            "TooManyEndpoints"
        );
        assert_eq!(endpoint(403, "RequestDisallowedByPolicy", "m"), "Misconfigured");
        assert_eq!(endpoint(400, "SubnetIsFull", "m"), "Misconfigured");
        assert_eq!(endpoint(409, "ReadOnlyDisabledSubscription", "m"), "Misconfigured");
        assert_eq!(endpoint(403, "LinkedAuthorizationFailed", "m"), "Forbidden");
        assert_eq!(endpoint(400, "SomethingNew", "m"), "Rejected");
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        assert_eq!(
            endpoint(401, "ExpiredAuthenticationToken", "m").split(' ').next(),
            Some("[TokenRejected]")
        );
        assert_eq!(
            endpoint(409, "AnotherOperationInProgress", "m"),
            "[VaultFailed] Unavailable"
        );
        assert_eq!(endpoint(500, "InternalServerError", "m"), "[VaultFailed] Unavailable");
        assert_eq!(
            endpoint(429, "SubscriptionRequestsThrottled", "m"),
            "[Throttled] Throttled"
        );
        for status in [403, 404] {
            let gateways = Answer {
                status,
                headers: Headers::new(),
                body: "<html>no</html>".into(),
            };
            assert_eq!(
                cause(About::Vault, &gateways),
                "[AnswerInvalid] Unavailable",
                "{status}"
            );
            assert!(!is_missing(&gateways));
        }
    }

    #[test]
    fn what_it_said_is_kept() {
        let throttled = of_failure(of_arm(About::Vault, &answer(429, "Throttled", "m")).unwrap_err());
        assert_eq!(throttled.retry_after, Some(Duration::from_secs(17)));
        let refused = of_arm(About::Vault, &answer(403, "AuthorizationFailed", "m")).unwrap();
        assert_eq!(refused.evidence.code.as_deref(), Some("AuthorizationFailed"));
        assert_eq!(refused.evidence.status, Some(403));
        assert_eq!(refused.evidence.request_id.as_deref(), Some("0f0e"));
    }
}

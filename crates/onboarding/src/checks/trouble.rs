//! What an error means, where nothing more is known than the error.

use keyferry_crypto::vault::{VaultCause, VaultError};
use keyferry_registry::onboarding::{EndpointPolicy, EndpointState, Observed};

use super::Looking;
use crate::finding::{Kind, With as _};

/// What was found when a call ended so.
pub(super) fn found(looking: &Looking<'_>, error: &VaultError) -> Observed {
    kind(error.cause(), awaits_endpoint(looking))
        .observed()
        .told_by(error.evidence())
}

fn kind(cause: VaultCause, awaits_endpoint: bool) -> Kind {
    match cause {
        VaultCause::KeyDisabled => Kind::KeyDisabled,
        VaultCause::KeyNotFound => Kind::KeyNotFound,
        VaultCause::KeyNotUsable => Kind::KeyNotUsable,
        VaultCause::KeyOperationForbidden => Kind::KeyOperationForbidden,
        VaultCause::RoleMissing => Kind::NoAccess,
        VaultCause::AccessPolicyMissing => Kind::PolicyMissing,
        VaultCause::FirewallDenied => Kind::VaultFirewall,
        VaultCause::PublicAccessDisabled if awaits_endpoint => Kind::VaultAwaitsEndpoint,
        VaultCause::PublicAccessDisabled => Kind::VaultClosed,
        VaultCause::AccessDenied => Kind::AccessRefused,
        VaultCause::ConsentMissing => Kind::ConsentMissing,
        VaultCause::PrincipalDisabled => Kind::PrincipalDisabled,
        VaultCause::ConditionalAccess => Kind::ConditionalAccess,
        VaultCause::DirectoryNotFound => Kind::DirectoryUnknown,
        VaultCause::WrongDirectory => Kind::VaultOtherDirectory,
        VaultCause::KeyVaultPrincipalMissing => Kind::KeyVaultUnknownThere,
        VaultCause::PrivateEndpointClosed => Kind::EndpointShut,
        VaultCause::WrappedKeyInvalid => Kind::CanaryForeign,
        VaultCause::Throttled => Kind::VaultThrottled,
        VaultCause::VaultFailed => Kind::VaultFailing,
        VaultCause::Timeout => Kind::VaultTimeout,
        VaultCause::ConnectionFailed => Kind::VaultUnreachable,
        VaultCause::VaultNotFound => Kind::VaultNameUnknown,
        VaultCause::CertificateInvalid => Kind::VaultCertificate,
        VaultCause::AnswerInvalid => Kind::VaultAnswerOdd,
        VaultCause::TokenNotVerifiable => Kind::VaultCannotVerify,
        VaultCause::EntraThrottled => Kind::EntraThrottled,
        VaultCause::EntraUnavailable => Kind::EntraUnavailable,
        VaultCause::Busy | VaultCause::QuotaSpent => Kind::VaultBusy,
        VaultCause::AppSecretInvalid => Kind::OurSecretInvalid,
        VaultCause::AppSecretExpired => Kind::OurSecretExpired,
        VaultCause::AppAssertionInvalid => Kind::OurAssertionRefused,
        VaultCause::AppCredentialUnavailable => Kind::OurCredentialUnavailable,
        VaultCause::TokenRejected => Kind::OurTokenRefused,
        VaultCause::RequestRejected => Kind::OurRequestRefused,
    }
}

/// Whether a closed vault will be reached by an endpoint that is on its way.
fn awaits_endpoint(looking: &Looking<'_>) -> bool {
    let onboarding = looking.onboarding;
    let is_on_its_way = match &onboarding.endpoint {
        Some(endpoint) => match endpoint.state {
            EndpointState::Requested | EndpointState::Pending | EndpointState::Approved | EndpointState::Leaving => {
                true
            }
            EndpointState::Rejected | EndpointState::Disconnected | EndpointState::Failed => false,
        },
        None => onboarding.endpoint_policy == EndpointPolicy::Required,
    };
    onboarding.endpoint_policy != EndpointPolicy::Off && is_on_its_way
}

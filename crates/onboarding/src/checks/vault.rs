//! Is the vault there, does it answer, and does it trust the directory?

use keyferry_azure::KeyDescription;
use keyferry_crypto::{
    tenant::Route,
    vault::{VaultCause, VaultError},
};
use keyferry_registry::onboarding::Observed;

use super::{Looking, trouble};
use crate::finding::{Kind, With as _};

/// Asks without a token first: that names the directory that the vault trusts. Its firewall is passed only with one, so
/// what was said when the key was asked for tells the rest.
pub(super) async fn look(
    looking: &Looking<'_>,
    route: Route,
    described: Option<&Result<KeyDescription, VaultError>>,
) -> Observed {
    let Some(vault) = &looking.subject.vault else {
        return Kind::VaultNotTold.observed();
    };
    let challenge = match looking.parts.azure.challenge(vault, route).await {
        Ok(challenge) => challenge,
        Err(error) => return trouble::found(looking, &error).with("vault", vault),
    };
    let told = looking.subject.directory;
    if told.is_some_and(|told| told != challenge.directory) {
        let other = Kind::VaultOtherDirectory.observed();
        return other
            .with("vault_directory", challenge.directory)
            .told_by(&challenge.evidence);
    }
    match described {
        Some(Err(error)) if is_about_vault(error.cause()) => trouble::found(looking, error).with("vault", vault),
        _ => Kind::VaultReachable.observed(),
    }
}

/// Whether an error is about the way to the vault, and not about a key or our access to it.
fn is_about_vault(cause: VaultCause) -> bool {
    match cause {
        VaultCause::FirewallDenied
        | VaultCause::PublicAccessDisabled
        | VaultCause::WrongDirectory
        | VaultCause::PrivateEndpointClosed
        | VaultCause::Throttled
        | VaultCause::VaultFailed
        | VaultCause::Timeout
        | VaultCause::ConnectionFailed
        | VaultCause::VaultNotFound
        | VaultCause::CertificateInvalid
        | VaultCause::AnswerInvalid
        | VaultCause::TokenNotVerifiable
        | VaultCause::EntraThrottled
        | VaultCause::EntraUnavailable
        | VaultCause::Busy
        | VaultCause::QuotaSpent
        | VaultCause::ConsentMissing
        | VaultCause::PrincipalDisabled
        | VaultCause::ConditionalAccess
        | VaultCause::DirectoryNotFound
        | VaultCause::KeyVaultPrincipalMissing
        | VaultCause::AppSecretInvalid
        | VaultCause::AppSecretExpired
        | VaultCause::AppAssertionInvalid
        | VaultCause::AppCredentialUnavailable
        | VaultCause::TokenRejected
        | VaultCause::RequestRejected => true,
        VaultCause::KeyDisabled
        | VaultCause::KeyNotFound
        | VaultCause::KeyNotUsable
        | VaultCause::KeyOperationForbidden
        | VaultCause::RoleMissing
        | VaultCause::AccessPolicyMissing
        | VaultCause::AccessDenied
        | VaultCause::WrappedKeyInvalid => false,
    }
}

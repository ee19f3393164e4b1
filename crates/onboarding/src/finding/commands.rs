//! Which commands do what a finding asks for.

use super::kind::Kind;
use crate::instructions::{Access, Roles, Step};

/// The script's steps that do it; none where there is nothing to run.
pub(super) fn steps(kind: Kind, access: Access) -> &'static [Step] {
    match kind {
        Kind::ConsentMissing => &[Step::Authorize],
        Kind::KeyNotTold | Kind::KeyNotFound | Kind::KeyNotRsa | Kind::KeyTooShort => &[Step::CreateKey],
        Kind::KeyOperationsMissing | Kind::KeyOperationForbidden => &[Step::LimitKey],
        Kind::NoAccess | Kind::NoAccessYet | Kind::CannotUnwrap | Kind::CannotUnwrapYet => {
            &[Step::AssignRoles(Roles::UserAndReader)]
        }
        Kind::PolicyMissing | Kind::PolicyMissingYet => &[Step::SetPolicy],
        Kind::PrivilegeMore => match access {
            Access::Roles(_) => &[Step::NarrowRoles(Roles::EncryptionUser)],
            Access::Policy => &[Step::NarrowPolicy],
        },
        Kind::PurgePossible | Kind::SoftDeleteOff => &[Step::ProtectVault],
        Kind::EndpointPending => &[Step::ApproveEndpoint],
        Kind::VaultNotTold
        | Kind::DirectoryNotTold
        | Kind::DirectoryFound
        | Kind::DirectoryUnknown
        | Kind::DirectoryInOtherCloud
        | Kind::ConsentNotLooked
        | Kind::ConsentGiven
        | Kind::ConsentSpreading
        | Kind::PrincipalDisabled
        | Kind::ConditionalAccess
        | Kind::KeyVaultUnknownThere
        | Kind::EntraThrottled
        | Kind::EntraUnavailable
        | Kind::DirectoryHeld
        | Kind::VaultReachable
        | Kind::VaultNameUnknown
        | Kind::VaultUnreachable
        | Kind::VaultTimeout
        | Kind::VaultCertificate
        | Kind::VaultOtherDirectory
        | Kind::VaultFirewall
        | Kind::VaultClosed
        | Kind::VaultAwaitsEndpoint
        | Kind::VaultThrottled
        | Kind::VaultFailing
        | Kind::VaultAnswerOdd
        | Kind::VaultCannotVerify
        | Kind::VaultBusy
        | Kind::EndpointShut
        | Kind::KeyNotSeen
        | Kind::KeyGood
        | Kind::KeyExpiresSoon
        | Kind::KeySmall
        | Kind::KeyVersionNotFound
        | Kind::KeyDisabled
        | Kind::KeyVersionDisabled
        | Kind::KeyNotYetValid
        | Kind::KeyExpired
        | Kind::KeyNotUsable
        | Kind::WrapNotLooked
        | Kind::Wraps
        | Kind::AccessRefused
        | Kind::CanaryForeign
        | Kind::ReadNotLooked
        | Kind::Reads
        | Kind::ReadNotGranted
        | Kind::ReadByPolicy
        | Kind::PrivilegeNotLooked
        | Kind::PrivilegeLeast
        | Kind::ProtectionNotLooked
        | Kind::Protected
        | Kind::EndpointOff
        | Kind::EndpointNotOffered
        | Kind::EndpointInvited
        | Kind::EndpointNeedsResource
        | Kind::EndpointNotYet
        | Kind::EndpointRequested
        | Kind::EndpointApproved
        | Kind::EndpointUnproven
        | Kind::EndpointProven
        | Kind::EndpointRejected
        | Kind::EndpointDisconnected
        | Kind::EndpointFailed
        | Kind::EndpointRemoving
        | Kind::EndpointTargetUnknown
        | Kind::EndpointTooMany
        | Kind::ManagerThrottled
        | Kind::ManagerUnavailable
        | Kind::VerificationNotYet
        | Kind::Verified
        | Kind::OurSecretInvalid
        | Kind::OurSecretExpired
        | Kind::OurAssertionRefused
        | Kind::OurCredentialUnavailable
        | Kind::OurTokenRefused
        | Kind::OurRequestRefused
        | Kind::OurEndpointsMissing
        | Kind::OurEndpointsForbidden
        | Kind::OurEndpointsMisconfigured
        | Kind::OurEndpointsRefused
        | Kind::OurCheckBroke => &[],
    }
}

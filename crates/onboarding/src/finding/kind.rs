//! The catalogue: everything that a check can find.

use std::collections::BTreeMap;

use keyferry_crypto::vault::Evidence;
use keyferry_registry::onboarding::{CheckStatus, Finding, Observed};
use strum::{EnumIter, EnumString, IntoStaticStr};

/// What a check can find. Its name in kebab-case is kept and told to programs, so it does not change; what it says to people
/// is in `customer` and `operator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    // The directory
    /// The directory was not told yet.
    DirectoryNotTold,
    /// It is there.
    DirectoryFound,
    /// No such directory in any cloud where we are registered.
    DirectoryUnknown,
    /// It is in another cloud (`cloud`).
    DirectoryInOtherCloud,
    /// It is another tenant's or onboarding's too, and no operator has confirmed it.
    DirectoryHeld,

    // Consent
    /// Something before it is missing.
    ConsentNotLooked,
    /// A token was had; our principal is `object_id`.
    ConsentGiven,
    /// No principal of ours in the directory.
    ConsentMissing,
    /// Consent came back at `returned_at`, and the principal is not seen yet.
    ConsentSpreading,
    /// Our principal is disabled.
    PrincipalDisabled,
    /// Conditional Access refuses us.
    ConditionalAccess,
    /// The directory has no principal of Key Vault itself.
    KeyVaultUnknownThere,
    /// Entra throttles.
    EntraThrottled,
    /// Entra does not answer as it should.
    EntraUnavailable,

    // The vault
    /// The vault was not told yet.
    VaultNotTold,
    /// It answers and trusts the directory.
    VaultReachable,
    /// Its name does not resolve.
    VaultNameUnknown,
    /// No connection.
    VaultUnreachable,
    /// No answer in time.
    VaultTimeout,
    /// Its certificate is not one to trust.
    VaultCertificate,
    /// It trusts `vault_directory`, not the directory that was told.
    VaultOtherDirectory,
    /// Its firewall refuses us.
    VaultFirewall,
    /// It is closed to the public network, and there shall be no private endpoint.
    VaultClosed,
    /// It is closed to the public network, and the private endpoint is on its way.
    VaultAwaitsEndpoint,
    /// It throttles.
    VaultThrottled,
    /// It fails.
    VaultFailing,
    /// What answered is not Key Vault, or cannot be read.
    VaultAnswerOdd,
    /// It cannot verify tokens just now.
    VaultCannotVerify,
    /// Too many calls of ours are under way.
    VaultBusy,
    /// The private endpoint that must be used is rejected or removed: nothing is sent.
    EndpointShut,

    // The key
    /// The key was not told yet.
    KeyNotTold,
    /// Something before it is missing.
    KeyNotSeen,
    /// It is as it should be.
    KeyGood,
    /// It is good, and expires within 30 days (`expires`).
    KeyExpiresSoon,
    /// It is good, and smaller than advised (`bits`, `advised`).
    KeySmall,
    /// Deleted, or never there.
    KeyNotFound,
    /// The key is there, its pinned version is not.
    KeyVersionNotFound,
    /// Not an RSA key.
    KeyNotRsa,
    /// Below 2048 bits.
    KeyTooShort,
    /// Its permitted operations leave `missing` out.
    KeyOperationsMissing,
    /// It refused an operation that it listed, or was changed meanwhile.
    KeyOperationForbidden,
    /// Its newest version is disabled.
    KeyDisabled,
    /// Its pinned version is disabled.
    KeyVersionDisabled,
    /// Not valid before `not_before`.
    KeyNotYetValid,
    /// Expired since `expires`.
    KeyExpired,
    /// It refuses to wrap, as one that is expired or not yet valid does.
    KeyNotUsable,

    // Wrapping
    /// Something before it is missing.
    WrapNotLooked,
    /// It wraps and unwraps.
    Wraps,
    /// No role lets us do anything, for longer than roles take.
    NoAccess,
    /// No role lets us do anything, or not yet.
    NoAccessYet,
    /// We may read the key and not unwrap, for longer than roles take.
    CannotUnwrap,
    /// We may read the key and not unwrap, or not yet.
    CannotUnwrapYet,
    /// The access policies leave us out, for longer than they take.
    PolicyMissing,
    /// The access policies leave us out, or not yet.
    PolicyMissingYet,
    /// Refused with a code that we do not know.
    AccessRefused,
    /// What the key wrapped a moment ago does not unwrap.
    CanaryForeign,

    // Reading
    /// Something before it is missing.
    ReadNotLooked,
    /// The key's settings can be read.
    Reads,
    /// They cannot, and need not.
    ReadNotGranted,
    /// The vault has access policies, which we do not ask to be read by.
    ReadByPolicy,

    // Least privilege
    /// Something before it is missing.
    PrivilegeNotLooked,
    /// We can do what we need, and no more.
    PrivilegeLeast,
    /// We could do more (`powers`).
    PrivilegeMore,

    // Protection
    /// Nothing tells how the vault protects its keys yet.
    ProtectionNotLooked,
    /// Nobody can purge the key.
    Protected,
    /// Deleted keys can be recovered, and purged.
    PurgePossible,
    /// A deleted key is gone.
    SoftDeleteOff,

    // The private endpoint
    /// None is wanted.
    EndpointOff,
    /// None is to be had; it is optional.
    EndpointNotOffered,
    /// One could be made, if the resource id were told.
    EndpointInvited,
    /// One must be made, and the resource id is not told.
    EndpointNeedsResource,
    /// Something before it is missing.
    EndpointNotYet,
    /// Asked for.
    EndpointRequested,
    /// Awaits the customer's approval.
    EndpointPending,
    /// Approved; it has no address yet.
    EndpointApproved,
    /// Approved; traffic was not seen to take it.
    EndpointUnproven,
    /// Approved, and traffic takes it.
    EndpointProven,
    /// Rejected by the customer.
    EndpointRejected,
    /// Removed by the customer.
    EndpointDisconnected,
    /// Azure could not make it, or it is gone from our side.
    EndpointFailed,
    /// The one before is being removed.
    EndpointRemoving,
    /// There is no vault of that resource id.
    EndpointTargetUnknown,
    /// The vault has as many as it can have.
    EndpointTooMany,
    /// The resource manager throttles.
    ManagerThrottled,
    /// The resource manager does not answer as it should.
    ManagerUnavailable,

    // Verification
    /// Something before it is missing.
    VerificationNotYet,
    /// A data key was wrapped and unwrapped on the way that will be used.
    Verified,

    // On our side
    /// Our secret is wrong.
    OurSecretInvalid,
    /// Our secret is expired.
    OurSecretExpired,
    /// Our assertion is refused.
    OurAssertionRefused,
    /// Our credential's source gives nothing.
    OurCredentialUnavailable,
    /// A fresh token of ours is refused.
    OurTokenRefused,
    /// A request of ours is called wrong.
    OurRequestRefused,
    /// Endpoints must be used, and none are configured.
    OurEndpointsMissing,
    /// We may not make endpoints in our own subscription.
    OurEndpointsForbidden,
    /// Our subscription, group or subnet does not fit.
    OurEndpointsMisconfigured,
    /// The resource manager calls our request wrong.
    OurEndpointsRefused,
    /// The check itself broke off.
    OurCheckBroke,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.into()
    }

    /// How a check stands that found it.
    #[must_use]
    pub fn status(self) -> CheckStatus {
        match self {
            Self::DirectoryNotTold
            | Self::ConsentNotLooked
            | Self::VaultNotTold
            | Self::KeyNotTold
            | Self::KeyNotSeen
            | Self::WrapNotLooked
            | Self::ReadNotLooked
            | Self::PrivilegeNotLooked
            | Self::ProtectionNotLooked
            | Self::EndpointNeedsResource
            | Self::EndpointNotYet
            | Self::VerificationNotYet => CheckStatus::Pending,
            Self::DirectoryFound
            | Self::ConsentGiven
            | Self::VaultReachable
            | Self::KeyGood
            | Self::KeyExpiresSoon
            | Self::KeySmall
            | Self::Wraps
            | Self::Reads
            | Self::PrivilegeLeast
            | Self::PrivilegeMore
            | Self::Protected
            | Self::EndpointProven
            | Self::Verified => CheckStatus::Passed,
            Self::ConsentSpreading
            | Self::EntraThrottled
            | Self::EntraUnavailable
            | Self::DirectoryHeld
            | Self::VaultAwaitsEndpoint
            | Self::VaultThrottled
            | Self::VaultFailing
            | Self::VaultCannotVerify
            | Self::VaultBusy
            | Self::NoAccessYet
            | Self::CannotUnwrapYet
            | Self::PolicyMissingYet
            | Self::EndpointRequested
            | Self::EndpointPending
            | Self::EndpointApproved
            | Self::EndpointUnproven
            | Self::EndpointRemoving
            | Self::ManagerThrottled
            | Self::ManagerUnavailable => CheckStatus::Waiting,
            Self::ReadNotGranted
            | Self::ReadByPolicy
            | Self::EndpointOff
            | Self::EndpointNotOffered
            | Self::EndpointInvited => CheckStatus::NotApplicable,
            Self::DirectoryUnknown
            | Self::DirectoryInOtherCloud
            | Self::ConsentMissing
            | Self::PrincipalDisabled
            | Self::ConditionalAccess
            | Self::KeyVaultUnknownThere
            | Self::VaultNameUnknown
            | Self::VaultUnreachable
            | Self::VaultTimeout
            | Self::VaultCertificate
            | Self::VaultOtherDirectory
            | Self::VaultFirewall
            | Self::VaultClosed
            | Self::VaultAnswerOdd
            | Self::EndpointShut
            | Self::KeyNotFound
            | Self::KeyVersionNotFound
            | Self::KeyNotRsa
            | Self::KeyTooShort
            | Self::KeyOperationsMissing
            | Self::KeyOperationForbidden
            | Self::KeyDisabled
            | Self::KeyVersionDisabled
            | Self::KeyNotYetValid
            | Self::KeyExpired
            | Self::KeyNotUsable
            | Self::NoAccess
            | Self::CannotUnwrap
            | Self::PolicyMissing
            | Self::AccessRefused
            | Self::CanaryForeign
            | Self::PurgePossible
            | Self::SoftDeleteOff
            | Self::EndpointRejected
            | Self::EndpointDisconnected
            | Self::EndpointFailed
            | Self::EndpointTargetUnknown
            | Self::EndpointTooMany
            | Self::OurSecretInvalid
            | Self::OurSecretExpired
            | Self::OurAssertionRefused
            | Self::OurCredentialUnavailable
            | Self::OurTokenRefused
            | Self::OurRequestRefused
            | Self::OurEndpointsMissing
            | Self::OurEndpointsForbidden
            | Self::OurEndpointsMisconfigured
            | Self::OurEndpointsRefused
            | Self::OurCheckBroke => CheckStatus::Failed,
        }
    }

    /// Whether it is on our side, so that a customer is told only that.
    #[must_use]
    pub fn is_ours(self) -> bool {
        self.slug().starts_with("our-")
    }

    /// Whether Azure spreads something just now, so that looking often is worth it.
    pub(crate) fn is_spreading(self) -> bool {
        matches!(
            self,
            Self::ConsentSpreading
                | Self::NoAccessYet
                | Self::CannotUnwrapYet
                | Self::PolicyMissingYet
                | Self::EndpointRequested
                | Self::EndpointPending
                | Self::EndpointApproved
                | Self::EndpointUnproven
                | Self::EndpointRemoving
        )
    }

    /// The kind of a finding; `None` if it is none of this release's.
    pub(crate) fn of(finding: &Finding) -> Option<Self> {
        finding.slug.parse().ok()
    }

    /// A look that found this, with nothing more to say.
    pub(crate) fn observed(self) -> Observed {
        Observed {
            status: self.status(),
            finding: Finding {
                slug: self.slug().to_owned(),
                values: BTreeMap::new(),
            },
            evidence: None,
        }
    }
}

/// What is added to a look.
pub(crate) trait With: Sized {
    /// With a value that its text needs.
    #[must_use]
    fn with(self, name: &str, value: impl ToString) -> Self;
    /// With what the other side said, if it said anything.
    #[must_use]
    fn told_by(self, evidence: &Evidence) -> Self;
}

impl With for Observed {
    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.finding.values.insert(name.to_owned(), value.to_string());
        self
    }

    fn told_by(mut self, evidence: &Evidence) -> Self {
        self.evidence = (*evidence != Evidence::default()).then(|| evidence.clone());
        self
    }
}

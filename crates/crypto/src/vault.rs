//! The one joint: a customer's key service, as sealing and opening see it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use strum::{EnumString, IntoStaticStr, VariantArray};

pub use crate::flight::is_waited_for;
use crate::{id::KekId, secret::DataKey, tenant::TenantKeys};

/// A data key under a key encryption key, wrapped with RSA-OAEP-256 (RFC 8230 §3: COSE algorithm -41).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WrappedDataKey {
    /// The key encryption key, at the version that wrapped.
    pub kek: KekId,
    /// The RSA ciphertext: as long as the key's modulus, 256, 384 or 512 bytes. No other length is accepted.
    pub bytes: Box<[u8]>,
}

/// Wraps and unwraps data keys under a tenant's key encryption key.
#[async_trait]
pub trait KeyVault: Send + Sync + 'static {
    /// Wraps `data_key` under the tenant's current key, at the version that its policy names.
    async fn wrap(
        &self,
        tenant: &TenantKeys,
        data_key: &DataKey,
        urgency: Urgency,
    ) -> Result<WrappedDataKey, VaultError>;

    /// Unwraps `wrapped`, whose KEK the caller has found among the tenant's keys.
    async fn unwrap(
        &self,
        tenant: &TenantKeys,
        wrapped: &WrappedDataKey,
        urgency: Urgency,
    ) -> Result<DataKey, VaultError>;

    /// The version of the tenant's current key that would wrap now: the newest, or the pinned one. To be told so proves nothing
    /// about unwrapping.
    async fn newest(&self, tenant: &TenantKeys, urgency: Urgency) -> Result<KekId, VaultError>;

    /// Forgets what was got for the tenant and may have been taken away since: tokens, and connections that a firewall would
    /// not let be made anew.
    fn forget(&self, tenant: &TenantKeys);
}

/// How much depends on a call being made at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// A canary, or what stands in for one where nobody is heard to watch. It is how a withdrawal is noticed: it is made whatever
    /// else is asked of the vault, once and without a second try, and not answered from what is known of the vault. Only among
    /// themselves such calls are bounded: one that is not made fails as [`VaultCause::QuotaSpent`], which is no word of the vault's.
    Watch,
    /// Somebody waits for it.
    Request,
    /// Nobody waits. It gives way to the others where the vault's limits are near.
    Background,
    /// One of very many that somebody has on hand, as rewrapping has: it waits, and takes no more than a share of what the
    /// tenant's other calls need.
    Bulk,
}

/// Why a key vault did not do as asked. Cheap to clone: one failure answers everyone who waited for the same call.
#[derive(Clone, Debug)]
pub struct VaultError(Arc<Failure>);

#[derive(Debug)]
struct Failure {
    cause: VaultCause,
    retry_after: Option<Duration>,
    evidence: Evidence,
}

/// What the other side said, for logs and for a customer's support case. Holds no secret and no free text from a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The service's own error code: `ForbiddenByRbac`, `AADSTS7000229`.
    pub code: Option<String>,
    /// The service's id of the request (`x-ms-request-id`, Entra's trace id).
    pub request_id: Option<String>,
}

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The caller sent something that cannot be opened.
    Caller,
    /// The customer took away, or never gave, what is needed.
    Customer,
    /// The customer's vault or directory does not answer as it should; it may be over in a moment.
    Unavailable,
    /// Keyferry's own credential or configuration.
    Service,
}

/// The named causes: rows of Key Vault's and Entra's error tables. Each has a name that is kept in stores and shown, in
/// kebab-case: `"key-disabled"` reads as [`VaultCause::KeyDisabled`], and [`VaultCause::slug`] writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum VaultCause {
    /// The key, or this version of it, is disabled (403 `KeyDisabled`).
    KeyDisabled,
    /// The key, or this version of it, is deleted or was never there (404 `KeyNotFound`).
    KeyNotFound,
    /// The key is expired or not yet valid (403 to a wrap, without an inner code).
    KeyNotUsable,
    /// The key's `key_ops` leave the operation out (403 `KeyOperationForbidden`).
    KeyOperationForbidden,
    /// No role assignment lets us (403 `ForbiddenByRbac`).
    RoleMissing,
    /// An access-policy vault whose policies leave us out (403 `ForbiddenByPolicy`).
    AccessPolicyMissing,
    /// The vault's firewall refuses our address (403 `ForbiddenByFirewall`).
    FirewallDenied,
    /// The vault is closed to the public network (403 `ForbiddenByConnection`).
    PublicAccessDisabled,
    /// Refused with a code that we do not know (403).
    AccessDenied,
    /// Our application has no principal in the customer's directory (AADSTS700016, AADSTS7000229).
    ConsentMissing,
    /// Our principal is disabled there (AADSTS7000112).
    PrincipalDisabled,
    /// The customer's Conditional Access refuses us (AADSTS53003).
    ConditionalAccess,
    /// There is no such directory in that cloud (AADSTS90002).
    DirectoryNotFound,
    /// The vault trusts another directory (`AKV10032`).
    WrongDirectory,
    /// The directory knows no Key Vault (AADSTS500011).
    KeyVaultPrincipalMissing,
    /// The customer rejected or removed the private endpoint that must be used. No call was made.
    PrivateEndpointClosed,

    /// The wrapped bytes do not unwrap under that key (400, OAEP decoding): damaged, or another key's.
    WrappedKeyInvalid,

    /// The vault throttles (429).
    Throttled,
    /// The vault failed (5xx).
    VaultFailed,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    ConnectionFailed,
    /// The vault's name does not resolve. The vault may be purged; but as likely a zone of private DNS lacks its record, which
    /// is nobody's refusal.
    VaultNotFound,
    /// The vault's certificate is not one to trust: expired, or another name's.
    CertificateInvalid,
    /// An answer that cannot be read: truncated, not what was asked for, or a 403 that is not the vault's own.
    AnswerInvalid,
    /// The vault cannot verify tokens just now (`AKV10046`).
    TokenNotVerifiable,
    /// Entra throttles.
    EntraThrottled,
    /// Entra fails, hangs or cannot be read.
    EntraUnavailable,
    /// As many of the tenant's calls are under way as we allow, or of all tenants'. Nothing was asked.
    Busy,
    /// The call would come too near to the vault's documented limits. Nothing was asked.
    QuotaSpent,

    /// Our own secret is wrong (AADSTS7000215). Affects every tenant.
    AppSecretInvalid,
    /// Our own secret is expired (AADSTS7000222). Affects every tenant.
    AppSecretExpired,
    /// Our own assertion is refused (AADSTS50012, AADSTS700027). Affects every tenant.
    AppAssertionInvalid,
    /// Our own credential's source (token file, managed identity, certificate) gives nothing usable.
    AppCredentialUnavailable,
    /// A fresh token of ours is refused (401, `AKV10022`).
    TokenRejected,
    /// The vault or Entra calls our request wrong (another 4xx).
    RequestRejected,
}

/// What was asked of a vault. The same refusal means another thing for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Call {
    /// To wrap.
    Wrap,
    /// To unwrap.
    Unwrap,
}

/// How much of a tenant's a refusal concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The call that was refused: that key may well be used otherwise.
    Call,
    /// The key that was used, at its version: other versions may well be in order.
    Version,
    /// The key that was used, at every version.
    Key,
    /// Everything in that vault.
    Vault,
    /// Every vault that trusts the customer's directory: all that the tenant has.
    Directory,
}

/// What a refusal means for what was got before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// What must not be used any more.
    pub(crate) withdrawn: Reach,
    /// What must not be used before the vault was asked again.
    pub(crate) doubted: Option<Reach>,
}

impl Call {
    /// Its name in stores.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.into()
    }
}

impl VaultCause {
    /// Its name in stores and on the wire.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.into()
    }

    /// Whether a refusal for this cause may be said by one of a vault's machines while another grants, as a change spreads: it
    /// counts only once it is confirmed. That a key is not found is doubtful where it was used before.
    #[must_use]
    pub fn is_doubtful(self) -> bool {
        matches!(
            self,
            Self::RoleMissing | Self::AccessPolicyMissing | Self::AccessDenied | Self::KeyNotFound
        )
    }

    /// Whether a refusal for this cause may be of the address that was asked from, which the customer's rules leave out: another
    /// replica's may be let in.
    #[must_use]
    pub fn is_of_an_address(self) -> bool {
        matches!(self, Self::FirewallDenied | Self::ConditionalAccess)
    }

    /// Whose move it is.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::KeyDisabled
            | Self::KeyNotFound
            | Self::KeyNotUsable
            | Self::KeyOperationForbidden
            | Self::RoleMissing
            | Self::AccessPolicyMissing
            | Self::FirewallDenied
            | Self::PublicAccessDisabled
            | Self::AccessDenied
            | Self::ConsentMissing
            | Self::PrincipalDisabled
            | Self::ConditionalAccess
            | Self::DirectoryNotFound
            | Self::WrongDirectory
            | Self::KeyVaultPrincipalMissing
            | Self::PrivateEndpointClosed => Fault::Customer,
            Self::WrappedKeyInvalid => Fault::Caller,
            Self::Throttled
            | Self::VaultFailed
            | Self::Timeout
            | Self::ConnectionFailed
            | Self::VaultNotFound
            | Self::CertificateInvalid
            | Self::AnswerInvalid
            | Self::TokenNotVerifiable
            | Self::EntraThrottled
            | Self::EntraUnavailable
            | Self::Busy
            | Self::QuotaSpent => Fault::Unavailable,
            Self::AppSecretInvalid
            | Self::AppSecretExpired
            | Self::AppAssertionInvalid
            | Self::AppCredentialUnavailable
            | Self::TokenRejected
            | Self::RequestRejected => Fault::Service,
        }
    }

    /// What a refusal of `call` means; `None` if this is not a refusal.
    ///
    /// To wrap and to unwrap are two rights, and a key may be past the one and not the other. So a refused unwrap takes all
    /// that it reaches; a refused wrap takes what opens only where it is about the way there and not about the call.
    pub(crate) fn meaning(self, call: Call) -> Option<Meaning> {
        let reach = self.reach()?;
        let (withdrawn, doubted) = match (call, self.bearing()) {
            (Call::Unwrap, _) | (Call::Wrap, Bearing::Sure) => (reach, None),
            (Call::Wrap, Bearing::Possible) => (Reach::Call, Some(reach)),
            (Call::Wrap, Bearing::None) => (Reach::Call, None),
        };
        Some(Meaning { withdrawn, doubted })
    }

    /// Whether this is a refusal of the way to the vault, which is the same whatever is asked there.
    pub(crate) fn is_about_the_way(self) -> bool {
        self.is_refusal() && matches!(self.bearing(), Bearing::Sure)
    }

    /// How much a refusal concerns; `None` if this is not a refusal.
    pub(crate) fn reach(self) -> Option<Reach> {
        match self {
            Self::KeyDisabled | Self::KeyNotUsable | Self::KeyOperationForbidden => Some(Reach::Version),
            // A vault deletes a key with all its versions.
            Self::KeyNotFound => Some(Reach::Key),
            Self::RoleMissing
            | Self::AccessPolicyMissing
            | Self::FirewallDenied
            | Self::PublicAccessDisabled
            | Self::AccessDenied
            | Self::WrongDirectory
            | Self::PrivateEndpointClosed => Some(Reach::Vault),
            Self::ConsentMissing
            | Self::PrincipalDisabled
            | Self::ConditionalAccess
            | Self::DirectoryNotFound
            | Self::KeyVaultPrincipalMissing => Some(Reach::Directory),
            Self::WrappedKeyInvalid
            | Self::Throttled
            | Self::VaultFailed
            | Self::Timeout
            | Self::ConnectionFailed
            | Self::VaultNotFound
            | Self::CertificateInvalid
            | Self::AnswerInvalid
            | Self::TokenNotVerifiable
            | Self::EntraThrottled
            | Self::EntraUnavailable
            | Self::Busy
            | Self::QuotaSpent
            | Self::AppSecretInvalid
            | Self::AppSecretExpired
            | Self::AppAssertionInvalid
            | Self::AppCredentialUnavailable
            | Self::TokenRejected
            | Self::RequestRejected => None,
        }
    }

    /// Whether a refused wrap says that unwraps are refused too.
    fn bearing(self) -> Bearing {
        match self {
            // An expired or not yet valid key still unwraps, and permitted operations are listed one by one. The others are
            // no refusals, and are never asked: a cause to come is to be thought about here.
            Self::KeyNotUsable
            | Self::KeyOperationForbidden
            | Self::WrappedKeyInvalid
            | Self::Throttled
            | Self::VaultFailed
            | Self::Timeout
            | Self::ConnectionFailed
            | Self::VaultNotFound
            | Self::CertificateInvalid
            | Self::AnswerInvalid
            | Self::TokenNotVerifiable
            | Self::EntraThrottled
            | Self::EntraUnavailable
            | Self::Busy
            | Self::QuotaSpent
            | Self::AppSecretInvalid
            | Self::AppSecretExpired
            | Self::AppAssertionInvalid
            | Self::AppCredentialUnavailable
            | Self::TokenRejected
            | Self::RequestRejected => Bearing::None,
            // Of an unpinned wrap it was the latest version, and rights are given for each call.
            Self::KeyDisabled
            | Self::KeyNotFound
            | Self::RoleMissing
            | Self::AccessPolicyMissing
            | Self::AccessDenied => Bearing::Possible,
            // The way to the vault, which is the same for both.
            Self::FirewallDenied
            | Self::PublicAccessDisabled
            | Self::ConsentMissing
            | Self::PrincipalDisabled
            | Self::ConditionalAccess
            | Self::DirectoryNotFound
            | Self::WrongDirectory
            | Self::KeyVaultPrincipalMissing
            | Self::PrivateEndpointClosed => Bearing::Sure,
        }
    }

    /// Whether this says that the vault is unavailable: it, or its directory, was asked in vain.
    pub(crate) fn is_outage(self) -> bool {
        self.fault() == Fault::Unavailable && !matches!(self, Self::Busy | Self::QuotaSpent)
    }

    /// Whether this is the customer's definite no, upon which cached keys must go at once. Unavailable is not revoked.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        self.fault() == Fault::Customer
    }
}

/// What a refused wrap says of unwraps.
enum Bearing {
    None,
    Possible,
    Sure,
}

impl VaultError {
    /// An error of that cause, with what is known of it.
    #[must_use]
    pub fn new(cause: VaultCause, retry_after: Option<Duration>, evidence: Evidence) -> Self {
        Self(Arc::new(Failure {
            cause,
            retry_after,
            evidence,
        }))
    }

    /// The cause.
    #[must_use]
    pub fn cause(&self) -> VaultCause {
        self.0.cause
    }

    /// When another try may help, if the other side said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the other side said.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.0.evidence
    }
}

impl From<VaultCause> for VaultError {
    /// A cause that came without an answer.
    fn from(cause: VaultCause) -> Self {
        Self::new(cause, None, Evidence::default())
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key vault: {:?}", self.0.cause)
    }
}

impl std::error::Error for VaultError {}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSES: &[VaultCause] = VaultCause::VARIANTS;
    const GUIDE: &str = include_str!("../../../docs/azure.md");

    #[test]
    fn whatever_is_a_refusal_reaches_something_and_nothing_else_does() {
        for &cause in CAUSES {
            for call in [Call::Wrap, Call::Unwrap] {
                assert_eq!(cause.meaning(call).is_some(), cause.is_refusal(), "{cause:?}");
            }
        }
    }

    #[test]
    fn the_guide_tells_how_far_each_refusal_reaches() {
        let (_, section) = GUIDE.split_once("## What a refusal takes").unwrap();
        let section = section.split("\n## ").next().unwrap();
        for &cause in CAUSES {
            let named = format!("`{cause:?}`");
            let row = section
                .lines()
                .find(|line| line.starts_with('|') && line.contains(&named));
            let told = row.map(|row| row.split('|').nth(2).unwrap().trim());
            let expected = cause.reach().map(|reach| match reach {
                Reach::Call => unreachable!("no cause reaches so little"),
                Reach::Version => "that version of the key",
                Reach::Key => "the key: a vault deletes it with all its versions",
                Reach::Vault => "everything of the tenant's in that vault",
                Reach::Directory => "everything of the tenant's",
            });
            assert_eq!(told, expected, "{cause:?}");
        }
    }
}

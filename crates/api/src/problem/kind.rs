//! Every kind of problem: its status, its slug, whose fault it is, and what to do about it.
//!
//! A slug is a promise to callers: it is never renamed and never used for anything else. `docs/problems.md` lists them
//! all, and a test holds it to that.
//!
//! The statuses follow one rule: what the customer refuses is 403; what does not answer is 502, 503 or 504; what is wrong
//! with us is 500.

use http::StatusCode;
use keyferry_crypto::vault::{Fault, VaultCause};

/// One table for all that is fixed about a kind.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:ident $slug:literal $fault:ident $title:literal $detail:literal;)*) => {
        /// What went wrong, as callers can tell it apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The HTTP status of the answer.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// The last segment of the problem's `type`.
            #[must_use]
            pub fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug,)* }
            }

            /// Whose move it is.
            #[must_use]
            pub fn fault(self) -> Fault {
                match self { $(Self::$kind => Fault::$fault,)* }
            }

            /// A short summary, the same for every occurrence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// What it means and what to do, where the occurrence has nothing more exact to say.
            #[must_use]
            pub fn detail(self) -> &'static str {
                match self { $(Self::$kind => $detail,)* }
            }
        }
    };
}

kinds! {
    // The request.

    /// The request cannot be read.
    MalformedRequest = BAD_REQUEST "malformed-request" Caller
        "The request cannot be read" "The body or a parameter is not what this operation takes. Compare it with /openapi.json.";
    /// The body ended before its announced length.
    BodyIncomplete = BAD_REQUEST "body-incomplete" Caller
        "The request's body broke off" "The connection ended before the whole body had arrived. Send the request again.";
    /// Fields that were understood and refused.
    InvalidFields = UNPROCESSABLE_ENTITY "invalid-fields" Caller
        "Some fields are not acceptable" "Each field that was refused is listed in `errors`.";
    /// The encryption context is refused.
    EncryptionContextInvalid = BAD_REQUEST "encryption-context-invalid" Caller
        "The encryption context is not acceptable" "An encryption context is a small map of strings to strings.";
    /// Not an envelope.
    EnvelopeMalformed = BAD_REQUEST "envelope-malformed" Caller
        "Not an envelope" "The wrapped key or ciphertext is not an envelope that Keyferry made, or it was damaged on its way.";
    /// A key where data is expected, or the reverse.
    WrongContent = BAD_REQUEST "wrong-content" Caller
        "The envelope holds something else" "A wrapped key is opened by unwrap, a ciphertext by decrypt.";
    /// The envelope names a key of somebody else's.
    ForeignKey = BAD_REQUEST "foreign-key" Caller
        "The envelope names a key that is not this tenant's" "The envelope's key encryption key was never registered for this tenant. Nothing was sent to any vault.";
    /// Authentication failed.
    NotAuthentic = BAD_REQUEST "not-authentic" Caller
        "The envelope does not open" "Another tenant's envelope, another encryption context, or changed bytes: which of them is not told.";
    /// The vault cannot unwrap the data key.
    WrappedKeyInvalid = BAD_REQUEST "wrapped-key-invalid" Caller
        "The envelope's data key does not unwrap" "The customer's key cannot unwrap the data key that the envelope carries: it is damaged, or another key's.";
    /// A plaintext over the limit.
    PlaintextTooLarge = PAYLOAD_TOO_LARGE "plaintext-too-large" Caller
        "The plaintext is too large" "Split the plaintext, or seal it yourself with a generated data key.";
    /// A body over the limit.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large" Caller
        "The request's body is too large" "Send less at once, or send `application/octet-stream`, whose limit is higher.";
    /// Too many items in a batch.
    BatchTooLarge = BAD_REQUEST "batch-too-large" Caller
        "Too many items in a batch" "Split the batch.";
    /// A media type or encoding that the operation does not take.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" Caller
        "The body's media type is not supported" "Send `application/json`; encrypt and decrypt take `application/octet-stream` too. No content encoding is accepted.";
    /// The body did not arrive in time.
    BodyTimeout = REQUEST_TIMEOUT "body-timeout" Caller
        "The request's body did not arrive in time" "Send the request again, faster.";
    /// No such path.
    RouteNotFound = NOT_FOUND "route-not-found" Caller
        "There is nothing at this path" "See /openapi.json for what there is.";
    /// Another method is needed.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed" Caller
        "The method is not allowed here" "The `allow` header lists the methods of this path.";

    // Who asks, and for whom.

    /// No bearer token.
    TokenMissing = UNAUTHORIZED "token-missing" Caller
        "No token" "Send an access token: `authorization: Bearer …`.";
    /// A token that is not to be trusted.
    TokenInvalid = UNAUTHORIZED "token-invalid" Caller
        "The token is not accepted" "It is not an access token for this service from a directory that this service trusts, or its signature does not verify.";
    /// A token that was good once.
    TokenExpired = UNAUTHORIZED "token-expired" Caller
        "The token is expired" "Get a new access token.";
    /// A delivery of events that is not Event Grid's.
    DeliveryNotAuthentic = UNAUTHORIZED "delivery-not-authentic" Caller
        "The delivery is not authentic" "Events are taken with the secret, or the token, that `[events]` asks for.";
    /// The token lacks the role.
    CallerRoleMissing = FORBIDDEN "caller-role-missing" Caller
        "The caller lacks the role" "Ask whoever runs Keyferry to assign the application role that this operation needs.";
    /// No such tenant, or not this caller's.
    TenantNotFound = NOT_FOUND "tenant-not-found" Caller
        "No such tenant" "There is no such tenant, or it is not this caller's.";
    /// The key has no such withdrawal.
    KeyEventNotFound = NOT_FOUND "key-event-not-found" Caller
        "No such withdrawal" "The tenant's key has no withdrawal of that revision, or it is forgotten: events are kept for 90 days.";
    /// An operator stopped the tenant.
    TenantSuspended = FORBIDDEN "tenant-suspended" Caller
        "The tenant is suspended" "An operator has suspended the tenant; its data opens again when an operator resumes it.";
    /// The tenant is on its way out.
    TenantDeleting = FORBIDDEN "tenant-deleting" Caller
        "The tenant is being deleted" "The tenant is in the safety window before its removal; until that ends an operator can take it back.";

    // Administration.

    /// No `If-Match`.
    PreconditionRequired = PRECONDITION_REQUIRED "precondition-required" Caller
        "If-Match is required" "Read the tenant, and send its `etag` as `if-match`, so that nobody's change is overwritten unseen.";
    /// Changed in between.
    PreconditionFailed = PRECONDITION_FAILED "precondition-failed" Caller
        "The tenant has changed" "Somebody changed the tenant after you read it. Read it again and repeat your change.";
    /// The slug has an owner.
    SlugTaken = CONFLICT "slug-taken" Caller
        "The slug is taken" "Another tenant has this slug. Choose another.";
    /// No such onboarding, or not this caller's.
    OnboardingNotFound = NOT_FOUND "onboarding-not-found" Caller
        "No such onboarding" "There is no onboarding of that name, or it is not this caller's. A tenant that was registered directly has none.";
    /// The onboarding is at another stage.
    OnboardingStage = CONFLICT "onboarding-stage" Caller
        "The onboarding is not at the stage for that" "Read the onboarding: its `stage` tells how far it is.";
    /// One idempotency key for two requests.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY "idempotency-key-reused" Caller
        "The idempotency key was used for another request" "Use a new key for each new request, and the same key only to repeat the same request.";

    // The customer's refusals.

    /// [`VaultCause::KeyDisabled`].
    KeyDisabled = FORBIDDEN "key-disabled" Customer
        "The customer's key is disabled" "The customer has disabled the key, or this version of it. Only the customer can enable it.";
    /// [`VaultCause::KeyNotFound`].
    KeyNotFound = FORBIDDEN "key-not-found" Customer
        "The customer's key is gone" "The key, or this version of it, is deleted or was never there. The customer may be able to recover it.";
    /// [`VaultCause::KeyNotUsable`].
    KeyNotUsable = FORBIDDEN "key-not-usable" Customer
        "The customer's key is outside of its validity" "The key is expired or not yet valid. The customer can change its dates or rotate it.";
    /// [`VaultCause::KeyOperationForbidden`].
    KeyOperationForbidden = FORBIDDEN "key-operation-forbidden" Customer
        "The customer's key does not permit this operation" "The key's permitted operations must include wrapKey and unwrapKey. The customer can change them.";
    /// [`VaultCause::RoleMissing`].
    RoleMissing = FORBIDDEN "role-missing" Customer
        "Keyferry has no role on the customer's key" "The customer must assign Key Vault Crypto User (or Key Vault Crypto Service Encryption User) to Keyferry's application.";
    /// [`VaultCause::AccessPolicyMissing`].
    AccessPolicyMissing = FORBIDDEN "access-policy-missing" Customer
        "The customer's vault has no access policy for Keyferry" "The vault uses access policies. The customer must add one with get, wrapKey and unwrapKey, or switch the vault to role assignments.";
    /// [`VaultCause::FirewallDenied`].
    FirewallDenied = FORBIDDEN "firewall-denied" Customer
        "The customer's firewall refuses Keyferry" "The vault's firewall does not admit Keyferry's addresses. The customer must admit them or approve a private endpoint.";
    /// [`VaultCause::PublicAccessDisabled`].
    PublicAccessDisabled = FORBIDDEN "public-access-disabled" Customer
        "The customer's vault is closed to the public network" "Only a private endpoint reaches this vault. The customer must approve one or open the vault.";
    /// [`VaultCause::AccessDenied`].
    AccessDenied = FORBIDDEN "access-denied" Customer
        "The customer's vault refuses access" "The vault refused for a reason that Keyferry does not know. `upstream` names the vault's code for the customer's support case.";
    /// [`VaultCause::ConsentMissing`].
    ConsentMissing = FORBIDDEN "consent-missing" Customer
        "The customer has not consented" "Keyferry's application has no principal in the customer's directory: consent was never given, or was withdrawn.";
    /// [`VaultCause::PrincipalDisabled`].
    PrincipalDisabled = FORBIDDEN "principal-disabled" Customer
        "Keyferry's principal is disabled" "The customer has disabled Keyferry's principal in its directory.";
    /// [`VaultCause::ConditionalAccess`].
    ConditionalAccess = FORBIDDEN "conditional-access" Customer
        "Conditional Access refuses Keyferry" "A Conditional Access policy of the customer's directory blocks Keyferry's principal.";
    /// [`VaultCause::DirectoryNotFound`].
    DirectoryNotFound = FORBIDDEN "directory-not-found" Customer
        "The customer's directory does not exist" "There is no directory with the registered id in the registered cloud. Correct the tenant's `directory_id` or `cloud`.";
    /// [`VaultCause::WrongDirectory`].
    WrongDirectory = FORBIDDEN "wrong-directory" Customer
        "The vault trusts another directory" "The vault belongs to another directory than the one registered. Correct the tenant's `directory_id`.";
    /// [`VaultCause::KeyVaultPrincipalMissing`].
    KeyVaultPrincipalMissing = FORBIDDEN "key-vault-principal-missing" Customer
        "The customer's directory knows no Key Vault" "The directory has no principal for Azure Key Vault. The customer's subscription must register the Key Vault provider.";
    /// [`VaultCause::PrivateEndpointClosed`].
    PrivateEndpointClosed = FORBIDDEN "private-endpoint-closed" Customer
        "The private endpoint is closed"
        "The customer rejected or removed the private endpoint to its vault, and no other way may be used. The customer approves a new one: see the tenant's onboarding.";
    /// The tenant's onboarding is not finished: there is no tenant yet.
    TenantOnboarding = FORBIDDEN "tenant-onboarding" Customer
        "The tenant is not onboarded yet"
        "The customer's onboarding is under way, and the tenant can be used when it is finished. `keyferry onboarding show` tells what is missing.";

    // What does not answer as it should.

    /// [`VaultCause::Throttled`].
    VaultThrottled = SERVICE_UNAVAILABLE "vault-throttled" Unavailable
        "The customer's vault throttles" "The vault gets more requests than its limit allows. Try again after `retry-after`.";
    /// [`VaultCause::VaultFailed`].
    VaultFailed = SERVICE_UNAVAILABLE "vault-failed" Unavailable
        "The customer's vault failed" "The vault answered with an error of its own. Try again.";
    /// [`VaultCause::Timeout`].
    VaultTimeout = GATEWAY_TIMEOUT "vault-timeout" Unavailable
        "The customer's vault did not answer in time" "The vault was reached, but gave no answer within Keyferry's time limit. Try again.";
    /// [`VaultCause::ConnectionFailed`].
    VaultUnreachable = SERVICE_UNAVAILABLE "vault-unreachable" Unavailable
        "The customer's vault cannot be reached" "No connection could be made, or it broke. Try again.";
    /// [`VaultCause::VaultNotFound`].
    VaultNotFound = SERVICE_UNAVAILABLE "vault-not-found" Unavailable
        "The customer's vault is not found" "The vault's name does not resolve: it is purged or misspelt, or Keyferry's own DNS lacks the record of its private endpoint.";
    /// [`VaultCause::CertificateInvalid`].
    VaultCertificateInvalid = BAD_GATEWAY "vault-certificate-invalid" Unavailable
        "The vault's certificate is not to be trusted" "What answered for the vault has no valid certificate for that name. Nothing was sent to it.";
    /// [`VaultCause::AnswerInvalid`].
    VaultAnswerInvalid = BAD_GATEWAY "vault-answer-invalid" Unavailable
        "The customer's vault gave an unreadable answer" "The answer was truncated or not what was asked for. Try again.";
    /// [`VaultCause::TokenNotVerifiable`].
    TokenNotVerifiable = SERVICE_UNAVAILABLE "vault-token-not-verifiable" Unavailable
        "The customer's vault cannot verify tokens just now" "It is a passing condition of the vault. Try again.";
    /// [`VaultCause::EntraThrottled`].
    EntraThrottled = SERVICE_UNAVAILABLE "entra-throttled" Unavailable
        "Entra throttles" "The customer's directory gives no token just now. Try again after `retry-after`.";
    /// [`VaultCause::EntraUnavailable`].
    EntraUnavailable = SERVICE_UNAVAILABLE "entra-unavailable" Unavailable
        "Entra does not answer" "The customer's directory gives no token just now. Try again.";
    /// [`VaultCause::Busy`].
    VaultBusy = SERVICE_UNAVAILABLE "vault-busy" Unavailable
        "Too many calls to the customer's vault at once" "This replica has as many calls to vaults under way as it allows for one tenant, or for all. Nothing was sent. Try again after `retry-after`.";
    /// [`VaultCause::QuotaSpent`].
    VaultQuotaSpent = SERVICE_UNAVAILABLE "vault-quota-spent" Unavailable
        "The customer's vault is near its limit" "Another call would come too near to the limit that Azure sets this vault. Nothing was sent. Try again after `retry-after`.";

    // Ours.

    /// [`VaultCause::AppSecretInvalid`].
    AppSecretInvalid = INTERNAL_SERVER_ERROR "app-secret-invalid" Service
        "Keyferry's own secret is wrong" "Entra refuses Keyferry's client secret. Whoever runs Keyferry must correct it; every tenant is affected.";
    /// [`VaultCause::AppSecretExpired`].
    AppSecretExpired = INTERNAL_SERVER_ERROR "app-secret-expired" Service
        "Keyferry's own secret is expired" "Keyferry's client secret is expired. Whoever runs Keyferry must renew it; every tenant is affected.";
    /// [`VaultCause::AppAssertionInvalid`].
    AppAssertionInvalid = INTERNAL_SERVER_ERROR "app-assertion-invalid" Service
        "Keyferry's own assertion is refused" "Entra refuses Keyferry's certificate or federated credential. Whoever runs Keyferry must correct it; every tenant is affected.";
    /// [`VaultCause::AppCredentialUnavailable`].
    AppCredentialUnavailable = INTERNAL_SERVER_ERROR "app-credential-unavailable" Service
        "Keyferry's own credential cannot be read" "The source of Keyferry's credential gives nothing usable. Whoever runs Keyferry must correct it; every tenant is affected.";
    /// [`VaultCause::TokenRejected`].
    TokenRejected = INTERNAL_SERVER_ERROR "vault-token-rejected" Service
        "The vault refuses Keyferry's token" "The vault refused a fresh token. Whoever runs Keyferry must look into it.";
    /// [`VaultCause::RequestRejected`].
    RequestRejected = INTERNAL_SERVER_ERROR "vault-request-rejected" Service
        "The vault calls Keyferry's request wrong" "Keyferry asked something that the vault or Entra does not understand. Whoever runs Keyferry must look into it.";
    /// The identity provider's keys are not to be had.
    IdentityProviderUnavailable = SERVICE_UNAVAILABLE "identity-provider-unavailable" Service
        "Tokens cannot be verified just now" "Keyferry has no signing keys of the identity provider and cannot reach it. Try again.";
    /// The registry does not answer.
    RegistryUnavailable = SERVICE_UNAVAILABLE "registry-unavailable" Service
        "The registry does not answer" "Keyferry's database cannot be reached. Tenants in use keep working; everything else must wait. Try again.";
    /// The registry holds something unreadable.
    RegistryCorrupt = INTERNAL_SERVER_ERROR "registry-corrupt" Service
        "The registry holds something unreadable" "A row of Keyferry's database is not what Keyferry writes. Whoever runs Keyferry must look into it.";
    /// Too many requests at once.
    Overloaded = SERVICE_UNAVAILABLE "overloaded" Service
        "Too many requests at once" "This replica is at its limit of concurrent requests. Try again after `retry-after`.";
    /// Too many bytes at once.
    BodyBudgetExhausted = SERVICE_UNAVAILABLE "body-budget-exhausted" Service
        "Too many large bodies at once" "This replica is at its limit of memory for large bodies. Try again after `retry-after`.";
    /// Not done in time.
    DeadlineExceeded = GATEWAY_TIMEOUT "deadline-exceeded" Service
        "The request took too long" "The request was given up. Whether an administrative change was made must be read back. Try again.";
    /// No randomness.
    NoRandomness = INTERNAL_SERVER_ERROR "no-randomness" Service
        "The operating system gives no random bytes" "Nothing is sealed without them. Whoever runs Keyferry must look into it.";
    /// Anything else: a defect.
    Internal = INTERNAL_SERVER_ERROR "internal" Service
        "Keyferry failed" "A defect of Keyferry's. Whoever runs Keyferry finds it in the log by the request id.";
}

impl From<VaultCause> for Kind {
    fn from(cause: VaultCause) -> Self {
        match cause {
            VaultCause::KeyDisabled => Self::KeyDisabled,
            VaultCause::KeyNotFound => Self::KeyNotFound,
            VaultCause::KeyNotUsable => Self::KeyNotUsable,
            VaultCause::KeyOperationForbidden => Self::KeyOperationForbidden,
            VaultCause::RoleMissing => Self::RoleMissing,
            VaultCause::AccessPolicyMissing => Self::AccessPolicyMissing,
            VaultCause::FirewallDenied => Self::FirewallDenied,
            VaultCause::PublicAccessDisabled => Self::PublicAccessDisabled,
            VaultCause::AccessDenied => Self::AccessDenied,
            VaultCause::ConsentMissing => Self::ConsentMissing,
            VaultCause::PrincipalDisabled => Self::PrincipalDisabled,
            VaultCause::ConditionalAccess => Self::ConditionalAccess,
            VaultCause::DirectoryNotFound => Self::DirectoryNotFound,
            VaultCause::WrongDirectory => Self::WrongDirectory,
            VaultCause::KeyVaultPrincipalMissing => Self::KeyVaultPrincipalMissing,
            VaultCause::PrivateEndpointClosed => Self::PrivateEndpointClosed,
            VaultCause::WrappedKeyInvalid => Self::WrappedKeyInvalid,
            VaultCause::Throttled => Self::VaultThrottled,
            VaultCause::VaultFailed => Self::VaultFailed,
            VaultCause::Timeout => Self::VaultTimeout,
            VaultCause::ConnectionFailed => Self::VaultUnreachable,
            VaultCause::VaultNotFound => Self::VaultNotFound,
            VaultCause::CertificateInvalid => Self::VaultCertificateInvalid,
            VaultCause::AnswerInvalid => Self::VaultAnswerInvalid,
            VaultCause::TokenNotVerifiable => Self::TokenNotVerifiable,
            VaultCause::EntraThrottled => Self::EntraThrottled,
            VaultCause::EntraUnavailable => Self::EntraUnavailable,
            VaultCause::Busy => Self::VaultBusy,
            VaultCause::QuotaSpent => Self::VaultQuotaSpent,
            VaultCause::AppSecretInvalid => Self::AppSecretInvalid,
            VaultCause::AppSecretExpired => Self::AppSecretExpired,
            VaultCause::AppAssertionInvalid => Self::AppAssertionInvalid,
            VaultCause::AppCredentialUnavailable => Self::AppCredentialUnavailable,
            VaultCause::TokenRejected => Self::TokenRejected,
            VaultCause::RequestRejected => Self::RequestRejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const GUIDE: &str = include_str!("../../../../docs/problems.md");

    #[test]
    fn no_two_kinds_share_a_slug() {
        let slugs: HashSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }

    #[test]
    fn the_guide_explains_every_kind_with_its_status_and_fault() {
        for kind in Kind::ALL {
            let row = format!(
                "| `{}` | {} | {} |",
                kind.slug(),
                kind.status().as_u16(),
                super::super::fault_name(kind.fault())
            );
            assert!(GUIDE.contains(&row), "docs/problems.md has no row `{row}`");
        }
    }

    #[test]
    fn the_guide_explains_nothing_that_is_gone() {
        let slugs: HashSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `"));
        let explained: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
        assert_eq!(explained.len(), slugs.len());
        assert!(explained.iter().all(|slug| slugs.contains(slug)));
    }

    #[test]
    fn a_status_tells_the_same_as_the_fault() {
        for kind in Kind::ALL {
            let status = kind.status();
            match kind.fault() {
                Fault::Caller => assert!(status.is_client_error(), "{kind:?}"),
                Fault::Customer => assert_eq!(status, StatusCode::FORBIDDEN, "{kind:?}"),
                Fault::Unavailable => assert!(matches!(status.as_u16(), 502..=504), "{kind:?}"),
                Fault::Service => assert!(matches!(status.as_u16(), 500 | 503 | 504), "{kind:?}"),
            }
        }
    }
}

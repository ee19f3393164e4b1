//! What callers are told when something fails: problem details (RFC 9457), and the one map from every error to them.
//!
//! A problem says whose fault it is and what to do. It never holds a source's text: only what this file and the kinds'
//! table say, names of fields, and of the other side's answer its code and its request id.

mod kind;

use std::{borrow::Cow, fmt, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use keyferry_crypto::{
    context::ContextError,
    id::{KekId, TenantId},
    sealer::SealerError,
    vault::{Evidence, Fault, VaultError},
};
use keyferry_registry::RegistryError;
use serde::Serialize;

pub use self::kind::Kind;

/// A failure as its caller sees it.
#[derive(Clone)]
pub struct Problem(Box<Particulars>);

#[derive(Clone)]
struct Particulars {
    kind: Kind,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    upstream: Option<Evidence>,
    errors: Vec<FieldError>,
    tenant: Option<TenantId>,
    cause: Option<String>,
    key_id: Option<KekId>,
    is_asked_for: bool,
}

/// A field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's path in the request: `policy.cache_ttl_seconds`.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem of that kind, with what the kind has to say.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self::because(kind, kind.detail())
    }

    /// A problem of that kind, with something more exact to say. Nothing that a caller sent belongs in `detail`.
    pub(crate) fn because(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Particulars {
            kind,
            detail: detail.into(),
            retry_after: None,
            upstream: None,
            errors: Vec::new(),
            tenant: None,
            cause: None,
            key_id: None,
            is_asked_for: false,
        }))
    }

    /// Fields that were refused.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Kind::InvalidFields);
        problem.0.errors = errors;
        problem
    }

    /// Says when another try may help.
    #[must_use]
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says whom it concerned. For the log; a caller knows whom it asked for.
    #[must_use]
    pub(crate) fn concerning(mut self, tenant: TenantId) -> Self {
        self.0.tenant = Some(tenant);
        self
    }

    /// Says which version of the customer's key an envelope needs, where it is that version that the customer has disabled: it may
    /// well be an old one, and the tenant's key in order.
    #[must_use]
    pub(crate) fn needing(mut self, kek: &KekId) -> Self {
        if self.0.kind == Kind::KeyDisabled {
            self.0.detail = Cow::Borrowed(VERSION_DISABLED);
            self.0.key_id = Some(kek.clone());
        }
        self
    }

    /// Says that the caller asked for an end like this one: nothing has failed.
    #[must_use]
    pub(crate) fn asked_for(mut self) -> Self {
        self.0.is_asked_for = true;
        self
    }

    /// Whether the caller asked for an end like this one.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.0.is_asked_for
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whom it concerned, if that was known.
    pub(crate) fn tenant(&self) -> Option<TenantId> {
        self.0.tenant
    }

    /// What was behind it. For the log; it may hold a database's own words.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// What the other side said.
    pub(crate) fn upstream(&self) -> Option<&Evidence> {
        self.0.upstream.as_ref()
    }

    /// The problem as a JSON object.
    pub(crate) fn to_json(&self, request_id: Option<&str>) -> Vec<u8> {
        let Particulars {
            kind,
            detail,
            retry_after,
            upstream,
            errors,
            key_id,
            ..
        } = &*self.0;
        let document = Document {
            r#type: Kind::url(*kind),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail,
            fault: fault_name(kind.fault()),
            request_id,
            retry_after_seconds: retry_after.map(whole_seconds),
            upstream: upstream.as_ref().and_then(Upstream::of),
            key_id: key_id.as_ref().map(ToString::to_string),
            errors,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// The whole answer, headers included.
    pub(crate) fn to_response(&self, request_id: Option<&str>) -> Response {
        let mut response = (self.0.kind.status(), self.to_json(request_id)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(wait) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        if let Some(challenge) = challenge(self.0.kind) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl Kind {
    /// The problem's `type`: where it is explained.
    #[must_use]
    pub fn url(self) -> String {
        format!("{TYPE_BASE}{}", self.slug())
    }
}

/// A problem's JSON (RFC 9457 §3), with our members.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Which problem: stable, and explained there.
    #[schema(example = "https://keyferry.dev/problems/key-disabled")]
    r#type: String,
    /// A short summary of that type.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do.
    detail: &'a str,
    /// Whose move it is: `caller`, `customer`, `vault` (it does not answer as it should) or `service` (Keyferry itself).
    fault: &'a str,
    /// The request's id, as in the `x-request-id` header. Absent from the problems of a batch's items.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// When another try may help, as in the `retry-after` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    /// What the customer's vault or directory said, for a support case.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<Upstream<'a>>,
    /// The version of the customer's key that the envelope needs and the customer has disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://acme.vault.azure.net/keys/kek/0123456789abcdef0123456789abcdef")]
    key_id: Option<String>,
    /// The fields that were refused.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// What the other side said.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Upstream<'a> {
    /// Its own error code: `ForbiddenByRbac`, `AADSTS7000229`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// Its id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl<'a> Upstream<'a> {
    fn of(evidence: &'a Evidence) -> Option<Self> {
        let said = evidence.code.is_some() || evidence.request_id.is_some();
        said.then_some(Self {
            code: evidence.code.as_deref(),
            request_id: evidence.request_id.as_deref(),
        })
    }
}

impl From<SealerError> for Problem {
    fn from(error: SealerError) -> Self {
        match error {
            SealerError::Malformed => Self::new(Kind::EnvelopeMalformed),
            SealerError::WrongContent { .. } => Self::because(Kind::WrongContent, error.to_string()),
            SealerError::ForeignKek => Self::new(Kind::ForeignKey),
            SealerError::NotAuthentic => Self::new(Kind::NotAuthentic),
            SealerError::TooLarge => Self::because(Kind::PlaintextTooLarge, error.to_string()),
            SealerError::Vault(error) => Self::from(error),
            SealerError::NoRandomness => Self::new(Kind::NoRandomness),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        let mut problem = Self::new(error.cause().into());
        let helps = error.cause().fault() == Fault::Unavailable;
        problem.0.retry_after = error.retry_after().or(helps.then_some(SHORT_WAIT));
        problem.0.upstream = Some(error.evidence().clone());
        problem
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let cause = match &error {
            RegistryError::Unavailable(source) | RegistryError::NotMigrated(source) => format!("{error}: {source}"),
            RegistryError::Migration(source) => format!("{error}: {source}"),
            RegistryError::Corrupt(what) => format!("{error}: {what}"),
            RegistryError::Conflict | RegistryError::SlugTaken | RegistryError::IdempotencyMismatch => {
                error.to_string()
            }
        };
        let mut problem = match error {
            RegistryError::Unavailable(_) | RegistryError::NotMigrated(_) => {
                Self::new(Kind::RegistryUnavailable).retry_after(SHORT_WAIT)
            }
            RegistryError::Conflict => Self::new(Kind::PreconditionFailed),
            RegistryError::SlugTaken => Self::new(Kind::SlugTaken),
            RegistryError::IdempotencyMismatch => Self::new(Kind::IdempotencyKeyReused),
            RegistryError::Corrupt(_) | RegistryError::Migration(_) => Self::new(Kind::RegistryCorrupt),
        };
        problem.0.cause = Some(cause);
        problem
    }
}

impl From<ContextError> for Problem {
    fn from(error: ContextError) -> Self {
        Self::because(Kind::EncryptionContextInvalid, error.to_string())
    }
}

impl IntoResponse for Problem {
    /// An empty answer that carries the problem to the edge, which knows the request's id and writes it.
    fn into_response(self) -> Response {
        let mut response = self.kind().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({}: {})", self.0.kind.slug(), self.0.detail)
    }
}

/// The name of whose move it is.
pub(crate) fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Caller => "caller",
        Fault::Customer => "customer",
        Fault::Unavailable => "vault",
        Fault::Service => "service",
    }
}

/// What a 401 asks for (RFC 6750 §3).
fn challenge(kind: Kind) -> Option<&'static str> {
    let asks = if kind == Kind::TokenMissing {
        r#"Bearer realm="keyferry""#
    } else {
        r#"Bearer realm="keyferry", error="invalid_token""#
    };
    (kind.status() == StatusCode::UNAUTHORIZED).then_some(asks)
}

/// `retry-after` counts whole seconds, and zero would mean at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).clamp(1, 3600).try_into().unwrap_or(1)
}

/// RFC 9457 §3.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// How long to wait where nobody said how long.
pub(crate) const SHORT_WAIT: Duration = Duration::from_secs(1);
const VERSION_DISABLED: &str = "The customer has disabled the version of its key that this envelope needs, which `key_id` names. Where there is a newer \
version, the customer must enable this one once more; `keyferry rewrap` then brings all envelopes that need it under the newest, and it can be \
disabled for good.";
const TYPE_BASE: &str = "https://keyferry.dev/problems/";

//! What can go wrong with a call.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Keyferry said no, and why.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// Keyferry was not reached, or its answer broke off, or something before it answered that it is not there.
    #[error("Keyferry cannot be reached: {}", innermost(.0))]
    Unreachable(#[source] reqwest::Error),
    /// Something answered, but not as Keyferry does.
    #[error("the answer is not Keyferry's: {0}")]
    Unexpected(&'static str),
    /// The identity provider gave no token, and said why.
    #[error("no token: {0}")]
    Token(String),
    /// The identity provider was not reached, or its answer broke off.
    #[error("no token: the identity provider cannot be reached: {}", innermost(.0))]
    NoIdentityProvider(#[source] reqwest::Error),
}

/// An RFC 9457 problem as Keyferry answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The problem's stable name; its last segment tells problems apart.
    #[serde(rename = "type")]
    pub kind: String,
    /// In short.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened and what to do.
    #[serde(default)]
    pub detail: String,
    /// Whose move it is.
    pub fault: Fault,
    /// The id under which Keyferry's logs know the request.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Seconds after which another try may help.
    #[serde(default, rename = "retry_after_seconds")]
    pub retry_after: Option<u64>,
    /// What the customer's vault or directory said.
    #[serde(default)]
    pub upstream: Option<Upstream>,
    /// The version of the customer's key that is refused, where it is not the newest: what is sealed under others still opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Fields that were refused, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What the customer's vault or directory said, for a support case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its error code: `ForbiddenByRbac`, `AADSTS7000229`.
    #[serde(default)]
    pub code: Option<String>,
    /// Its id of the request.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// A refused field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Its path in the request.
    pub field: String,
    /// Why it was refused.
    pub detail: String,
}

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Whoever called.
    Caller,
    /// The tenant: it took its key or its consent away, or never gave it.
    Customer,
    /// The tenant's vault or directory, which does not answer as it should.
    Vault,
    /// Keyferry itself.
    Service,
}

impl Problem {
    /// What tells problems apart: the last segment of the type.
    #[must_use]
    pub fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }

    /// When another try may help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_secs)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.title, self.slug(), self.detail)?;
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.field, error.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl Error {
    /// The problem, if Keyferry answered with one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Unreachable(_) | Self::Unexpected(_) | Self::Token(_) | Self::NoIdentityProvider(_) => None,
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}

/// The end of the chain says what happened: "connection refused", "certificate has expired".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

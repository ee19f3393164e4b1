//! How a command fails: a sentence for whoever typed it, and an exit code for scripts.

use std::{error::Error as StdError, fmt, process::ExitCode};

use keyferry_client::Error;

/// An error with all that is behind it: "what failed: why: why that". Whoever types a command sees no log.
pub(crate) fn whole(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let reason = cause.to_string();
        // Some errors tell their reason themselves.
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        source = cause.source();
    }
    text
}

/// Why a command did not do as asked.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Failed = 1,
    Usage = 2,
    Refused = 3,
    Unavailable = 4,
    Interrupted = 130,
}

impl Failure {
    /// Something could not be started or did not work.
    pub(crate) fn start(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Failed,
            message: why.to_string(),
        }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Usage,
            message: why.to_string(),
        }
    }

    /// Some of what was asked was refused.
    pub(crate) fn refused(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Refused,
            message: why.to_string(),
        }
    }

    /// Another try may help.
    pub(crate) fn unavailable(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Unavailable,
            message: why.to_string(),
        }
    }

    /// Somebody ended it.
    pub(crate) fn interrupted(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Interrupted,
            message: why.to_string(),
        }
    }

    /// The same, and what to do about it.
    pub(crate) fn with(self, advice: &str) -> Self {
        Self {
            message: format!("{}; {advice}", self.message),
            ..self
        }
    }

    /// Of several, the one by whose exit code all are told: one that another try does not help, if there is one.
    pub(crate) fn gravest(failures: Vec<Self>) -> Option<Self> {
        let several = failures.len();
        let gravest = failures.into_iter().min_by_key(Self::is_passing)?;
        Some(Self {
            message: match several {
                1 => gravest.message,
                _ => format!("{several} failed, the first of them so: {}", gravest.message),
            },
            ..gravest
        })
    }

    /// Whether another try may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Unavailable)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Problem(problem) if problem.status < 500 => Kind::Refused,
            Error::Problem(_) | Error::Unreachable(_) | Error::NoIdentityProvider(_) => Kind::Unavailable,
            Error::Token(_) => Kind::Refused,
            Error::Unexpected(_) => Kind::Failed,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

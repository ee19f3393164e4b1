//! How long the registry is waited for, and how often it is told of that it is waited for in vain.

use std::{fmt, time::Duration};

use keyferry_registry::RegistryError;

/// Why the registry did not do as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Away {
    /// It said so.
    #[error(transparent)]
    Failed(#[from] RegistryError),
    /// It said nothing.
    #[error("the tenant registry's database gives no answer")]
    Silent,
}

/// Waits for the registry, but not for ever: a connection whose other end went away without a word would keep the watch waiting
/// for as long as TCP does.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, RegistryError>>) -> Result<T, Away> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Away::Silent),
    }
}

/// Something that is asked of the registry again and again: that it fails is told once, and that it does not any more.
pub(crate) struct Asked {
    what: &'static str,
    failing: Option<String>,
    failures: u32,
}

impl Asked {
    /// Nothing is known yet. `what` fails, in a log's words: `"keys that are due cannot be asked for"`.
    pub(crate) fn but(what: &'static str) -> Self {
        Self {
            what,
            failing: None,
            failures: 0,
        }
    }

    /// The answer, if there was one.
    pub(crate) fn note<T>(&mut self, answer: Result<T, Away>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if self.failing.take().is_some() {
                    tracing::info!(failures = self.failures, "it is over: {}", self.what);
                }
                self.failures = 0;
                Some(answer)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let text = error.to_string();
                if self.failing.as_ref() != Some(&text) {
                    let cause =
                        std::error::Error::source(&error).map(tracing::field::display::<&dyn std::error::Error>);
                    tracing::warn!(%error, cause, "{}; it goes on being tried", self.what);
                    self.failing = Some(text);
                }
                None
            }
        }
    }

    /// How long until it is asked again that is asked every `pause` while it does not fail.
    pub(crate) fn pause(&self, pause: Duration) -> Duration {
        let grown = pause.saturating_mul(1 << self.failures.min(8));
        grown.min(LONGEST_PAUSE).max(pause)
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} times)", self.what, self.failures)
    }
}

/// More than a connection and a statement may take together.
const PATIENCE: Duration = Duration::from_secs(10);
/// A registry that comes back is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

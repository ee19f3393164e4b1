//! The system's clock, where wall time is what the protocol asks for: in assertions, and as dates in headers.

use time::OffsetDateTime;

/// Now, in UTC. Ages and deadlines are tokio's instead, so that tests can turn them.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the system's clock in this crate"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

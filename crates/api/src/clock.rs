//! The time is passed in, as a function that tells it, so that a test can turn it.

pub use keyferry_registry::Clock;

/// The system's clock, in microseconds: what Postgres keeps. Finer, and a tenant that is read back would differ from the one
/// that was answered when it was written.
#[must_use]
pub fn system() -> Clock {
    || {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one reader of the system's clock in this crate"
        )]
        let now = time::OffsetDateTime::now_utc();
        now.replace_microsecond(now.microsecond()).unwrap_or(now)
    }
}

//! The time is passed in, as a function that tells it, so that a test can turn it.

pub use keyferry_registry::Clock;

/// The system's clock.
#[must_use]
pub fn system() -> Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reader of the system's clock in this crate"
    )]
    time::OffsetDateTime::now_utc
}

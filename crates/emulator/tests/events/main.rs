//! Event Grid: a webhook subscribes to a vault's events.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod deliveries;
mod handshakes;
mod webhook;

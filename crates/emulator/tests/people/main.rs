//! What the emulator promises to people with a browser, and to whoever orders that things take their time.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod browser;
mod connections;
mod consent;
mod doors;
mod policies;
mod portal;
mod propagation;
mod withdrawal;
mod world;

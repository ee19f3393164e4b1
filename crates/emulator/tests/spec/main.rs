//! What the emulator promises to people with a browser, and to whoever orders that things take their time.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod browser;
mod connections;
mod consent;
mod doors;
mod policies;
mod portal;
mod propagation;
mod world;

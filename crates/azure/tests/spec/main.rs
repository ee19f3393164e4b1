//! What the crate promises, kept against an emulator that answers as Azure does, through the official SDK over HTTPS.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod clouds;
mod connections;
mod credentials;
mod guide;
mod patience;
mod recall;
mod refusals;
mod tokens;
mod troubles;
mod world;
mod wrapping;

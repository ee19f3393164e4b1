//! What the crate promises, kept against an emulator that answers as Azure does, through the official SDK over HTTPS.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod breaker;
mod clouds;
mod connections;
mod credentials;
mod endpoints;
mod forgetting;
mod guide;
mod limits;
mod patience;
mod probes;
mod recall;
mod refusals;
mod routes;
mod tokens;
mod troubles;
mod way;
mod world;
mod wrapping;

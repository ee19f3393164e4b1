//! The resource manager, the private network, and what can be asked without harm of who may what.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod azure;
mod endpoints;
mod private_network;
mod probes;
mod vaults;

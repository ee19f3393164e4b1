//! The promises. Each test's name is one.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod browser;
mod command;
mod crashes;
mod deploying;
mod dev;
mod economy;
mod instructions;
mod interop;
mod onboarding;
mod operations;
mod outages;
mod refusals;
mod registry;
mod replicas;
mod revocation;
mod rotation;
mod secrecy;
mod tenancy;
mod vectors;
mod withdrawal;

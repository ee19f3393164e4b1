//! The promises. Each test's name is one.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod brownout;
mod browser;
mod command;
mod crashes;
mod deploying;
mod dev;
mod economy;
mod events;
mod following;
mod instructions;
mod interop;
mod neighbours;
mod onboarding;
mod operations;
mod outage;
mod outages;
mod refusals;
mod registry;
mod replicas;
mod revocation;
mod rotation;
mod secrecy;
mod tenancy;
mod throttling;
mod vectors;
mod withdrawal;

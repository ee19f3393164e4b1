//! What the API promises, as its callers see it: over HTTP, from a real listener, with a key vault that can be told to fail.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod answers;
mod batches;
mod bodies;
mod browser;
mod callers;
mod connections;
mod consents;
mod contexts;
mod description;
mod envelopes;
mod events;
mod issuer;
mod issuers;
mod keys;
mod large;
mod limits;
mod links;
mod listening;
mod lists;
mod logs;
mod memory;
mod metrics;
mod onboardings;
mod pages;
mod panics;
mod paths;
mod patience;
mod raw;
mod refusals;
mod registrations;
mod reply;
mod roles;
mod routes;
mod streams;
mod tenants;
mod vault;
mod world;

//! What the registry promises, held to by both stores.
//!
//! The Postgres half needs `KEYFERRY_TEST_POSTGRES`, the URL of a server where databases may be made; without it that
//! half says loudly that it is skipped, and fails where `KEYFERRY_REQUIRE_ALL` is set.

#![expect(clippy::expect_used, reason = "in a test, a failure's place is its message")]

mod bounds;
mod claims;
mod constraints;
mod contract;
mod corrupt;
mod customers;
mod documents;
mod fake;
mod feed;
mod guide;
mod history;
mod key_constraints;
mod key_feed;
mod key_news;
mod key_world;
mod keys;
mod migrations;
mod onboardings;
mod partition;
mod plans;
mod purging;
mod queries;
mod routes;
mod stores;
mod tenant;
mod urls;
mod world;

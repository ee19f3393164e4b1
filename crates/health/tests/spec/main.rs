//! What the watch over keys promises, by several replicas on one registry and one vault. All of it is in memory, time is turned
//! and the feed is read when a test says so: each run is like the other.

#![expect(clippy::expect_used, reason = "in a test, a failure's place is its message")]

mod breaking;
mod clock;
mod keys;
mod load;
mod store;
mod vault;
mod view;
mod world;

mod following;
mod looking;
mod outages;
mod sealing;
mod withdrawing;

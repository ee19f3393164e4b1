//! What sealing and opening promise, as a caller sees it, against a key vault that can be made to fail, refuse and hang.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod assuring;
mod busy;
mod caching;
mod fake;
mod following;
mod giving_way;
mod holding;
mod leasing;
mod news;
mod obeying;
mod outages;
mod probing;
mod proving;
mod questioning;
mod refusals;
mod rewrapping;
mod sealing;
mod tampering;
mod telling;
mod two_steps;
mod vectors;
mod withdrawing;
mod wrapping;

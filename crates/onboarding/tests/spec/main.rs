//! What the guide promises to who fills it in, and to who runs what it hands out.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]

mod answers;
mod consent;
mod customer;
mod directories;
mod endpoints;
mod golden;
mod guide;
mod hosts;
mod scripts;
mod whole;
mod world;
mod wrong_turns;

//! The customer guide as a use case.
//!
//! A platform's customer authorizes the platform's application in its directory, sets up a vault and a key, grants access
//! to them, tells the platform where they are, and approves a private endpoint. This crate knows what is asked, reads what
//! is answered, and writes the instructions by which it is done. `docs/onboarding.md` tells it to people.
//!
//! - [`Onboardings`]: onboardings opened, answered, checked by schedule, and ended in a tenant.
//! - [`finding`]: what checks find, told to the customer and to the operator.
//! - [`link`] and [`consent`]: what a customer's browser carries, signed.
//! - [`intake`]: what an administrator types or pastes, read into types; or what it is instead, and what to paste.
//! - [`instructions`]: consent links, commands, Bicep and Terraform with the customer's own values.
//!
//! # What is promised
//!
//! - **Nothing typed becomes a host to call** unless it is a Key Vault of the customer's own cloud.
//! - **Nothing typed or configured becomes a command**: whatever a name contains, in a script it is one word, and in a
//!   template one string.
//! - **Nothing is run half**: a script with a value missing, in another cloud or another directory, stops before its first
//!   change; and one that has run can run again.

mod checks;
pub mod config;
pub mod consent;
mod endpoint;
pub mod finding;
pub mod instructions;
pub mod intake;
pub mod link;
mod schedule;
mod service;
mod signature;

pub use self::{
    config::OnboardingConfig,
    service::{Change, NewOnboarding, OnboardingError, Onboardings, Parts, Typed},
};

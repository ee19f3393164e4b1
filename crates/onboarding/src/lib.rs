//! The customer guide as a use case.

pub mod instructions;
pub mod intake;

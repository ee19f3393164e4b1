//! The customer guide as a use case.

pub mod intake;

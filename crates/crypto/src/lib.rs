//! Envelopes, data keys, leases and the cache of unwrapped data keys.

pub mod context;
pub mod id;
pub mod sealer;
pub mod secret;
pub mod tenant;
pub mod vault;

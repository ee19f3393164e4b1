//! Envelopes, data keys, leases and the cache of unwrapped data keys.

pub mod context;
pub mod id;
pub mod sealer;
pub mod secret;
pub mod tenant;
pub mod vault;

mod aead;
mod binding;
mod cache;
mod cbor;
mod commitment;
mod envelope;
mod flight;
mod held;
mod kdf;
mod keyring;
mod lease;
mod message;
mod random;
mod standing;
mod stats;
mod turns;
#[cfg(test)]
mod vectors;

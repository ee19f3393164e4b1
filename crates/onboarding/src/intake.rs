//! What a customer's administrator types or pastes, read into types.
//!
//! A guide like this one is answered by copying from a portal, from an e-mail, from a command's output; so much is
//! forgiven: spaces and quotes around, the slash at the end, the case of letters, a key's identifier where its vault would
//! do. What is not understood is refused with a [`Refusal`] that says what was pasted and what to paste instead.
//!
//! The answers name what we will call and prove our access to, so they are also where an attacker would send us
//! elsewhere. What comes out of here is a [`VaultHost`](keyferry_crypto::id::VaultHost), a single label under a known
//! suffix of the customer's own cloud, or no host at all. Nothing is decoded, resolved or fetched to find that out.

mod address;
mod directory;
mod refusal;
mod resource;
mod text;
mod vault;

pub(crate) use self::refusal::cloud_name;
pub use self::{
    directory::directory,
    refusal::{Field, Refusal},
    resource::vault_resource,
    vault::{KeyAnswer, VaultAnswer, key, vault},
};

/// The longest text that is looked at, in bytes.
pub const MAX_ANSWER: usize = 2048;

//! A canary: a random value, wrapped once, whose unwrapping proves that a customer still lets us.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{id::KekId, secret::DataKey, vault::WrappedDataKey};

/// A random value that was wrapped once under a customer's key. The value itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The key encryption key that wrapped it.
    pub kek: KekId,
    /// The RSA ciphertext.
    pub wrapped: Box<[u8]>,
    /// SHA-256 of the value.
    pub digest: [u8; 32],
}

impl Canary {
    /// The canary of a value that was wrapped just now.
    #[must_use]
    pub fn of(value: &DataKey, wrapped: WrappedDataKey) -> Self {
        Self {
            kek: wrapped.kek,
            wrapped: wrapped.bytes,
            digest: Sha256::digest(value.expose()).into(),
        }
    }

    /// What a vault is asked to unwrap.
    #[must_use]
    pub fn to_unwrap(&self) -> WrappedDataKey {
        WrappedDataKey {
            kek: self.kek.clone(),
            bytes: self.wrapped.clone(),
        }
    }

    /// Whether that is the value.
    #[must_use]
    pub fn is(&self, unwrapped: &DataKey) -> bool {
        let digest: [u8; 32] = Sha256::digest(unwrapped.expose()).into();
        digest.ct_eq(&self.digest).into()
    }
}

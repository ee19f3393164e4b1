//! Bytes that must not be seen: each type owns its bytes, wipes them when dropped, and gives them out in one way, `expose`.
//!
//! None of them is `Copy`, `Serialize` or `PartialEq`, and `Debug` prints a name, never a byte. Share them with `Arc`.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::random::{self, NoRandomness};

/// The length of a data key in bytes: AES-256.
pub const DATA_KEY_LEN: usize = 32;

/// A data key (DEK): 32 random bytes that seal, themselves wrapped by a tenant's key encryption key.
pub struct DataKey(Box<Zeroizing<[u8; DATA_KEY_LEN]>>);

impl DataKey {
    /// A new key, drawn from the operating system into its place.
    pub(crate) fn generate() -> Result<Self, NoRandomness> {
        let mut key = Box::new(Zeroizing::new([0; DATA_KEY_LEN]));
        random::fill(&mut key[..])?;
        Ok(Self(key))
    }

    /// Takes the bytes that a key vault unwrapped; `None` unless they are exactly [`DATA_KEY_LEN`] bytes. The given
    /// buffer is wiped either way.
    #[must_use]
    pub fn from_unwrapped(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Zeroizing::new(bytes);
        let mut key = Box::new(Zeroizing::new([0; DATA_KEY_LEN]));
        if bytes.len() != DATA_KEY_LEN {
            return None;
        }
        key.copy_from_slice(&bytes);
        Some(Self(key))
    }

    /// Whether the other is the same key, found out in constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }

    /// The key's bytes, for the one call that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8; DATA_KEY_LEN] {
        &self.0
    }
}

impl ZeroizeOnDrop for DataKey {}

/// Does not compile unless what a data key is made of wipes itself.
const _: fn(&DataKey) = |key| wipes_itself(&*key.0);

/// For a line that does not compile unless something wipes itself when dropped: no test could look at memory that is gone.
pub(crate) fn wipes_itself<T: ZeroizeOnDrop>(_: &T) {}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// A caller's plaintext, or a caller's key on its way in or out.
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes ownership of `bytes`, to be wiped when dropped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one call that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The length in bytes, which is not a secret.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl ZeroizeOnDrop for SecretBytes {}

/// Wipes the whole allocation, as one slice: wiping a `Vec` goes byte by byte, which takes half as long again as decrypting
/// it.
fn wipe(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.capacity(), 0);
    bytes.as_mut_slice().zeroize();
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_leaves_nothing_of_the_bytes_nor_of_those_cut_off_before() {
        let mut bytes = vec![7; 100];
        bytes.truncate(3);
        wipe(&mut bytes);
        assert_eq!(bytes.len(), bytes.capacity());
        assert!(bytes.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_data_key_is_the_same_as_itself_only() {
        let [one, same, other] = [1, 1, 2].map(|byte| DataKey::from_unwrapped(vec![byte; DATA_KEY_LEN]).unwrap());
        assert!(one.is(&same) && !one.is(&other));
    }
}

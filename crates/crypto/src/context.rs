//! A caller's encryption context: authenticated with a ciphertext, not stored in it.

use std::collections::BTreeMap;

/// A map of strings that must come back, exactly, to open what was sealed with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptionContext(BTreeMap<String, String>);

/// Why an encryption context was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// More than [`EncryptionContext::MAX_ENTRIES`] entries.
    #[error("an encryption context has at most {} entries", EncryptionContext::MAX_ENTRIES)]
    TooManyEntries,
    /// Keys and values together are longer than [`EncryptionContext::MAX_BYTES`].
    #[error(
        "an encryption context has at most {} bytes of keys and values",
        EncryptionContext::MAX_BYTES
    )]
    TooLong,
    /// An entry's key is empty.
    #[error("an encryption context's keys are not empty")]
    EmptyKey,
}

impl EncryptionContext {
    /// The most entries.
    pub const MAX_ENTRIES: usize = 32;
    /// The most bytes of keys and values together.
    pub const MAX_BYTES: usize = 4096;

    /// Takes a caller's map.
    pub fn new(map: BTreeMap<String, String>) -> Result<Self, ContextError> {
        if map.len() > Self::MAX_ENTRIES {
            return Err(ContextError::TooManyEntries);
        }
        if map.keys().any(String::is_empty) {
            return Err(ContextError::EmptyKey);
        }
        if map.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > Self::MAX_BYTES {
            return Err(ContextError::TooLong);
        }
        Ok(Self(map))
    }

    /// The entries, ordered by key.
    #[must_use]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

//! What the customer told us.

use keyferry_crypto::{
    id::{DirectoryId, KeyName, KeyRef, VaultHost, VaultResource},
    tenant::VersionPolicy,
};

/// What the customer told us, or the operator for it. Each is known for itself: they come in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The customer's directory.
    pub directory: Option<DirectoryId>,
    /// The vault.
    pub vault: Option<VaultHost>,
    /// The key's name in it.
    pub key: Option<KeyName>,
    /// Which version wraps.
    pub version: VersionPolicy,
    /// The vault's resource id, which a private endpoint needs.
    pub resource: Option<VaultResource>,
}

impl Answers {
    /// The key, once vault and name are known.
    #[must_use]
    pub fn key_ref(&self) -> Option<KeyRef> {
        Some(KeyRef {
            vault: self.vault.clone()?,
            name: self.key.clone()?,
        })
    }
}

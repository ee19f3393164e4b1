//! The whole use case: seal, open and rewrap for a tenant. Everything else in this crate serves these three.

use std::sync::Arc;

use crate::{
    context::EncryptionContext,
    id::{KekId, TenantId},
    secret::SecretBytes,
    tenant::TenantKeys,
    vault::{KeyVault, VaultError},
};

/// What an envelope holds; authenticated, so that neither opens as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A caller's key: `application/vnd.keyferry.key`.
    Key,
    /// A caller's data: `application/vnd.keyferry.data`.
    Data,
}

/// Seals and opens for every tenant of a replica.
pub struct Sealer {
    _vault: Arc<dyn KeyVault>,
}

/// Bounds on what a sealer keeps in memory.
#[derive(Clone, Copy, Debug)]
pub struct SealerLimits {
    /// The most unwrapped data keys kept for opening, over all tenants.
    pub cached_data_keys: u64,
    /// The most refusals remembered.
    pub cached_refusals: u64,
    /// The most tenants with an active lease; the least recently used gives way.
    pub leases: u64,
}

/// A sealed message.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The envelope's bytes: a tagged `COSE_Encrypt`.
    pub envelope: Vec<u8>,
    /// The key encryption key that its data key is wrapped under.
    pub kek: KekId,
}

/// An opened message.
#[derive(Debug)]
pub struct Opened {
    /// What was sealed.
    pub plaintext: SecretBytes,
    /// The key encryption key that its data key was wrapped under.
    pub kek: KekId,
}

/// Why a message was not sealed, opened or rewrapped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealerError {
    /// Not an envelope of ours: wrong structure, algorithm or length, or not in its one canonical form.
    #[error("not a Keyferry envelope, or damaged on its way")]
    Malformed,
    /// An envelope that holds a key was given where data is expected, or the reverse.
    #[error("the envelope holds {}", match found { Content::Key => "a key: unwrap it", Content::Data => "data: decrypt it" })]
    WrongContent {
        /// What the envelope says it holds.
        found: Content,
    },
    /// The envelope names a key that was never registered for this tenant. Nothing was sent anywhere.
    #[error("the envelope names a key encryption key that is not registered for this tenant")]
    ForeignKek,
    /// Authentication failed: another tenant's envelope, another encryption context, or changed bytes. Which one is not told.
    #[error("the envelope does not open for this tenant with this encryption context")]
    NotAuthentic,
    /// The plaintext is longer than [`Sealer::MAX_PLAINTEXT`].
    #[error("the plaintext is longer than {} bytes", Sealer::MAX_PLAINTEXT)]
    TooLarge,
    /// The key vault did not do as asked.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The operating system gave no random bytes. Nothing is sealed without them.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

/// What a sealer has done since its start, and what it holds now. A snapshot for metrics: its numbers are not taken at
/// one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealerStats {
    /// Opens and rewraps whose data key was in the cache.
    pub cache_hits: u64,
    /// Opens and rewraps that had to wait for the vault.
    pub cache_misses: u64,
    /// Requests answered with a refusal that the vault gave a moment before.
    pub refusals_recalled: u64,
    /// Opens with a key past its TTL, under a tenant's outage grace.
    pub grace_opens: u64,
    /// Wraps asked of the vault.
    pub vault_wraps: u64,
    /// Unwraps asked of the vault.
    pub vault_unwraps: u64,
    /// Of both, those that the customer refused.
    pub vault_refusals: u64,
    /// Of both, those that failed otherwise.
    pub vault_failures: u64,
    /// Times that keys were evicted: after a refusal, or as [`Sealer::evict`] was called.
    pub evictions: u64,
    /// Unwrapped data keys held for opening, about.
    pub cached_data_keys: u64,
    /// Tenants with a lease, about.
    pub leases: u64,
}

impl Sealer {
    /// The longest plaintext in bytes: 64 MiB. (AES-GCM's own limit is 2^36 - 32, NIST SP 800-38D §5.2.1.1.)
    pub const MAX_PLAINTEXT: usize = 64 << 20;

    /// A sealer that reaches tenants' keys through `vault`.
    #[must_use]
    pub fn new(vault: Arc<dyn KeyVault>, _limits: SealerLimits) -> Self {
        Self { _vault: vault }
    }

    /// Seals `plaintext` for `tenant`.
    pub async fn seal(
        &self,
        _tenant: &TenantKeys,
        _content: Content,
        _context: &EncryptionContext,
        _plaintext: &[u8],
    ) -> Result<Sealed, SealerError> {
        todo!()
    }

    /// Opens an envelope that `tenant` sealed with the same context.
    pub async fn open(
        &self,
        _tenant: &TenantKeys,
        _content: Content,
        _context: &EncryptionContext,
        _envelope: &[u8],
    ) -> Result<Opened, SealerError> {
        todo!()
    }

    /// Wraps an envelope's data key under the tenant's current key; the payload is neither read nor changed.
    pub async fn rewrap(&self, _tenant: &TenantKeys, _envelope: &[u8]) -> Result<Sealed, SealerError> {
        todo!()
    }

    /// Forgets all that is kept of a tenant: cached data keys, refusals and its lease.
    pub fn evict(&self, _tenant: TenantId) {
        todo!()
    }

    /// What this sealer has done and what it holds.
    #[must_use]
    pub fn stats(&self) -> SealerStats {
        SealerStats::default()
    }

    /// Runs until cancelled (dropped): wipes expired keys from memory every second, whether or not anyone asks for them.
    pub async fn maintain(&self) {
        todo!()
    }
}

//! What onboarding asks of a directory and a vault besides wrapping and unwrapping. Each question tells two cases apart that look
//! alike to whoever only wraps and unwraps; `docs/azure.md` says which.

mod challenge;
mod directory;
mod excess;
mod network;
mod principal;
mod properties;
mod rotation;

use std::net::IpAddr;

use keyferry_crypto::{id::DirectoryId, vault::Evidence};
use uuid::Uuid;

/// Who we are in a customer's directory, as a fresh token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalFacts {
    /// The directory that issued the token.
    pub directory: DirectoryId,
    /// Our principal's object id there: access policies and role assignments name it.
    pub object_id: Uuid,
}

/// What a vault says to whoever brings no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The directory that it trusts.
    pub directory: DirectoryId,
    /// The answer it was in.
    pub evidence: Evidence,
}

/// How a request came to a vault, by its own account (`x-ms-keyvault-network-info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Whether it came over a private link.
    pub is_private_link: bool,
    /// The address it came from.
    pub address: Option<IpAddr>,
    /// The resource id of the private endpoint that it took, if the vault names it.
    pub endpoint: Option<String>,
    /// The answer that said so.
    pub evidence: Evidence,
}

/// A key's rotation policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationPolicy {
    /// How long after a version's making the next one is made (ISO 8601, `P18M`).
    pub rotates_after: Option<String>,
    /// How long before a version's expiry the next one is made. Without either, rotation is not automatic.
    pub rotates_before_expiry: Option<String>,
    /// For how long a new version is valid.
    pub expires_after: Option<String>,
}

/// Something that our principal can do in a vault and does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Power {
    /// Sign with the key.
    Sign,
    /// Change the key: enable or disable it, set what it may do.
    UpdateKey,
    /// Make keys.
    CreateKey,
    /// Delete keys.
    DeleteKey,
    /// Purge deleted keys.
    PurgeKey,
    /// Take a key out as a backup.
    BackupKey,
    /// List secrets.
    ListSecrets,
}

/// How a vault is set up, as the resource manager tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the vault's own")]
pub struct VaultProperties {
    /// The directory it trusts.
    pub directory: DirectoryId,
    /// Whether roles decide who may do what; else access policies.
    pub uses_roles: bool,
    /// Whether deleted keys can be recovered.
    pub soft_delete: bool,
    /// For how many days.
    pub retention_days: Option<u32>,
    /// Whether nobody can purge before that.
    pub purge_protection: bool,
    /// Whether the public network is let in at all.
    pub public_network: bool,
    /// Whether the public network is let in from everywhere.
    pub open_to_all: bool,
    /// Azure's region.
    pub location: String,
}

impl Power {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Sign,
        Self::UpdateKey,
        Self::CreateKey,
        Self::DeleteKey,
        Self::PurgeKey,
        Self::BackupKey,
        Self::ListSecrets,
    ];
}

/// The version of Key Vault's protocol that is spoken: the SDK's.
const API_VERSION: (&str, &str) = ("api-version", "2025-07-01");

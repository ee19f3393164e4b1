//! What onboarding asks of a directory and a vault besides wrapping and unwrapping. Each question tells two cases apart that look
//! alike to whoever only wraps and unwraps; `docs/azure.md` says which.

use std::net::IpAddr;

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef, VaultHost, VaultResource},
    tenant::Route,
    vault::{Evidence, VaultError},
};
use uuid::Uuid;

use crate::{arm::ArmError, vault::AzureKeyVault};

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
    /// The answer that said so.
    pub evidence: Evidence,
}

/// A key's rotation policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationPolicy {
    /// After which time a new version is made (ISO 8601, `P18M`); none if rotation is not automatic.
    pub rotates_after: Option<String>,
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

impl AzureKeyVault {
    /// Whether there is such a directory in that cloud.
    pub async fn directory_exists(&self, cloud: Cloud, directory: DirectoryId) -> Result<bool, VaultError> {
        let _ = (cloud, directory);
        todo!()
    }

    /// Asks for a fresh token, past everything that is kept, and reads who we are from it.
    pub async fn principal(&self, cloud: Cloud, directory: DirectoryId) -> Result<PrincipalFacts, VaultError> {
        let _ = (cloud, directory);
        todo!()
    }

    /// Asks a vault without a token which directory it trusts.
    pub async fn challenge(&self, vault: &VaultHost, route: Route) -> Result<Challenge, VaultError> {
        let _ = (vault, route);
        todo!()
    }

    /// Asks a vault how our request came to it.
    pub async fn network(&self, vault: &VaultHost, route: Route) -> Result<NetworkInfo, VaultError> {
        let _ = (vault, route);
        todo!()
    }

    /// Reads a key's rotation policy. Of the roles that are asked for, only Reader may.
    pub async fn rotation_policy(
        &self,
        directory: DirectoryId,
        key: &KeyRef,
        route: Route,
    ) -> Result<RotationPolicy, VaultError> {
        let _ = (directory, key, route);
        todo!()
    }

    /// Tries what we do not need, in ways that change nothing even where they are allowed.
    pub async fn excess(&self, directory: DirectoryId, key: &KeyRef, route: Route) -> Result<Vec<Power>, VaultError> {
        let _ = (directory, key, route);
        todo!()
    }

    /// Asks the resource manager how a vault is set up. Our roles do not promise that we may: `Forbidden` is no fault.
    pub async fn vault_properties(
        &self,
        cloud: Cloud,
        directory: DirectoryId,
        resource: &VaultResource,
    ) -> Result<VaultProperties, ArmError> {
        let _ = (cloud, directory, resource);
        todo!()
    }
}

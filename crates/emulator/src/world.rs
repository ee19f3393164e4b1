//! The state: directories with their principals, applications, vaults with their keys, private endpoints. No HTTP here.

pub mod application;
pub mod endpoint;
pub mod key;
pub mod propagation;
pub mod resources;
pub mod role;
pub mod vault;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::{
    application::{Application, Certificate, FederatedIssuer, Principal, Secret},
    endpoint::{ConnectionStatus, Decision, PrivateEndpoint, Provisioning, Wanted},
    key::{KeyBundle, KeyVersion, RotationPolicy},
    propagation::Propagation,
    resources::{Pace, Resources, Subscription, UnderWay},
    role::{Assignment, Role, Scope},
    vault::{Network, Vault, VaultOptions},
};
use crate::{encoding::unix_now, rsa::RsaKey};

/// Everything that exists on this side of the wire.
#[derive(Debug, Serialize, Deserialize)]
pub struct World {
    /// Directories (Entra tenants) by id.
    pub directories: BTreeMap<Uuid, Directory>,
    /// Applications by client id.
    pub applications: BTreeMap<Uuid, Application>,
    /// Vaults and Managed HSMs by host.
    pub vaults: BTreeMap<String, Vault>,
    /// The keys that Entra signs with; the first is in use, all are published.
    pub signing_keys: Vec<SigningKey>,
    /// How long what people do takes until it is known.
    #[serde(default)]
    pub propagation: Propagation,
    /// What the resource manager knows beside vaults.
    #[serde(default)]
    pub resources: Resources,
}

/// An Entra tenant.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Directory {
    /// What people call it, if it was named.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Service principals by their application's client id.
    pub principals: BTreeMap<Uuid, Principal>,
    /// Whether Key Vault has no principal here (AADSTS500011).
    pub lacks_key_vault: bool,
    /// When the tokens that are issued here begin and end.
    #[serde(default)]
    pub token_times: TokenTimes,
}

/// When tokens begin and end, in seconds from their issue; negative is the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenTimes {
    /// The claim `nbf`.
    pub not_before: i64,
    /// The claim `exp`.
    pub expires: i64,
}

impl Default for TokenTimes {
    fn default() -> Self {
        Self {
            not_before: 0,
            expires: 3_599,
        }
    }
}

impl TokenTimes {
    /// What a client is told of a token's life. That it is over already is not told: so would a client hold its token that
    /// has kept it for too long.
    pub(crate) fn told(self) -> i64 {
        if self.expires > 0 {
            self.expires
        } else {
            Self::default().expires
        }
    }
}

/// A key that signs tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its id in the JWKS.
    pub kid: String,
    /// The key.
    pub key: Arc<RsaKey>,
}

impl World {
    /// An empty world whose Entra signs with `key`.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self {
            directories: BTreeMap::new(),
            applications: BTreeMap::new(),
            vaults: BTreeMap::new(),
            signing_keys: vec![key],
            propagation: Propagation::default(),
            resources: Resources::default(),
        }
    }

    /// The principal of an application in a directory, once it may be used.
    #[must_use]
    pub fn principal(&self, directory: Uuid, client_id: Uuid) -> Option<&Principal> {
        let principal = self.directories.get(&directory)?.principals.get(&client_id)?;
        principal.is_usable().then_some(principal)
    }

    /// When tokens of a directory begin and end.
    pub(crate) fn token_times(&self, directory: Uuid) -> TokenTimes {
        self.directories
            .get(&directory)
            .map_or_else(TokenTimes::default, |directory| directory.token_times)
    }

    /// Consents: makes the application's principal in that directory, enabled, and grants it roles of `resource`
    /// (an application's identifier URI). A new principal may be used after so many seconds. Consenting again adds roles.
    /// Returns the principal's object id.
    pub fn consent(
        &mut self,
        directory: Uuid,
        client_id: Uuid,
        resource: &str,
        roles: &[&str],
        after_seconds: u32,
    ) -> Uuid {
        let principals = &mut self.directories.entry(directory).or_default().principals;
        let is_new = !principals.contains_key(&client_id);
        let principal = principals.entry(client_id).or_insert_with(Principal::new);
        if after_seconds == 0 {
            principal.usable_from = None;
        } else if is_new {
            principal.usable_from = Some(unix_now() + i64::from(after_seconds));
        }
        if !roles.is_empty() {
            let granted = principal.app_roles.entry(resource.to_owned()).or_default();
            granted.extend(roles.iter().map(|role| (*role).to_owned()));
        }
        principal.oid
    }

    /// Withdraws consent: the principal is gone, and so are its role assignments' subject and its tokens' future.
    pub fn withdraw_consent(&mut self, directory: Uuid, client_id: Uuid) {
        if let Some(directory) = self.directories.get_mut(&directory) {
            directory.principals.remove(&client_id);
        }
    }
}

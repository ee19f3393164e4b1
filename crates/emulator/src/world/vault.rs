//! Vaults and Managed HSMs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    key::KeyBundle,
    propagation::Propagating,
    role::{Action, Assignment, Scope},
};

/// A vault or a Managed HSM.
#[derive(Debug, Serialize, Deserialize)]
pub struct Vault {
    /// `acme.vault.azure.net`.
    pub host: String,
    /// The directory it trusts.
    pub directory: Uuid,
    /// How it is set up.
    pub options: VaultOptions,
    /// Who may do what, unless it goes by access policies.
    pub assignments: Vec<Assignment>,
    /// Changes of these that it does not know of yet.
    #[serde(default)]
    pub propagating: Vec<Propagating>,
    /// Whether connections that are open are served on when they may no longer be made.
    #[serde(default)]
    pub lingers: bool,
    /// Connections with a lower number are served whatever its network is. Not kept: no connection is either.
    #[serde(skip)]
    pub(crate) spared_below: u64,
    /// Whether the vault itself is soft-deleted: its name still resolves, and nothing answers.
    pub deleted: bool,
    /// Its keys by name.
    pub keys: BTreeMap<String, KeyBundle>,
}

/// How a vault is set up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultOptions {
    /// Azure's region.
    pub location: String,
    /// The subscription it is in.
    pub subscription: Uuid,
    /// The resource group it is in.
    pub resource_group: String,
    /// Permissions by object id, if it is an access-policy vault; roles are then ignored.
    pub access_policies: Option<BTreeMap<Uuid, BTreeSet<String>>>,
    /// Who may connect.
    pub network: Network,
    /// Days that a deleted key can be recovered; 90 is Key Vault's default.
    pub recoverable_days: u32,
    /// Whether purging is forbidden.
    pub purge_protection: bool,
    /// Whether the documented limits are kept (`docs/emulator.md`).
    pub throttled: bool,
}

/// Who may connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Everyone.
    Open,
    /// These addresses.
    Firewall(Vec<IpAddr>),
    /// No one from the public network.
    Closed,
}

impl Default for VaultOptions {
    fn default() -> Self {
        Self {
            location: "westeurope".into(),
            subscription: Uuid::from_u128(0x5ab5_0000_0000_4000_8000_0000_0000_0001),
            resource_group: "customer".into(),
            access_policies: None,
            network: Network::Open,
            recoverable_days: 90,
            purge_protection: false,
            throttled: true,
        }
    }
}

impl Vault {
    /// A vault without keys.
    #[must_use]
    pub fn new(host: &str, directory: Uuid, options: VaultOptions) -> Self {
        Self {
            host: host.to_owned(),
            directory,
            options,
            assignments: Vec::new(),
            propagating: Vec::new(),
            lingers: false,
            spared_below: 0,
            deleted: false,
            keys: BTreeMap::new(),
        }
    }

    /// The vault's name: its host's first label.
    #[must_use]
    pub fn name(&self) -> &str {
        self.host.split('.').next().unwrap_or_default()
    }

    /// What tokens for it are issued for: `https://vault.azure.net`.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("https://{}", self.host.split_once('.').map_or("", |(_, suffix)| suffix))
    }

    /// Whether it is a Managed HSM.
    #[must_use]
    pub fn is_hsm(&self) -> bool {
        self.host.contains(".managedhsm.")
    }

    /// How deleted keys fare, as attributes tell it.
    #[must_use]
    pub fn recovery_level(&self) -> &'static str {
        match (self.options.purge_protection, self.options.recoverable_days < 90) {
            (true, false) => "Recoverable",
            (true, true) => "CustomizedRecoverable",
            (false, false) => "Recoverable+Purgeable",
            (false, true) => "CustomizedRecoverable+Purgeable",
        }
    }

    pub(crate) fn permits(&self, oid: Uuid, action: Action, key: &str) -> bool {
        if let Some(policies) = &self.options.access_policies {
            return policies
                .get(&oid)
                .is_some_and(|granted| granted.contains(action.policy));
        }
        self.in_force().any(|assignment| {
            assignment.principal == oid
                && (assignment.role.allows(action) || assignment.role.allows_public(action))
                && match &assignment.scope {
                    Scope::Vault => true,
                    Scope::Key(name) => name == key,
                }
        })
    }

    /// Whether a principal may do this to the vault itself, by the resource manager. Access policies say nothing of that.
    pub(crate) fn is_managed_by(&self, oid: Uuid, action: &str, reader_reads_vaults: bool) -> bool {
        self.in_force().any(|assignment| {
            assignment.principal == oid
                && assignment.scope == Scope::Vault
                && assignment.role.manages(action, reader_reads_vaults)
        })
    }

    /// Opens, restricts or closes its network. `next` is the number of the next connection.
    pub(crate) fn set_network(&mut self, network: Network, next: u64) {
        self.options.network = network;
        self.spared_below = if self.lingers { next } else { 0 };
    }

    /// Has open connections served on from now on when they may no longer be made, or ends that.
    pub(crate) fn set_lingering(&mut self, lingers: bool) {
        self.lingers = lingers;
        self.spared_below = 0;
    }

    /// Whether it serves a client of the public network over the connection of that number.
    pub(crate) fn admits(&self, client: IpAddr, connection: u64) -> bool {
        connection < self.spared_below || self.lets_in(client)
    }

    fn lets_in(&self, client: IpAddr) -> bool {
        match &self.options.network {
            Network::Open => true,
            Network::Firewall(allowed) => allowed.contains(&client),
            Network::Closed => false,
        }
    }
}

//! The parts of a vault as the page shows them.

use uuid::Uuid;

use crate::{
    portal::{act::access::PERMISSIONS, name},
    world::{Assignment, ConnectionStatus, KeyBundle, KeyVersion, Network, PrivateEndpoint, Vault, World},
};

/// A key.
pub(super) struct KeyView {
    pub(super) name: String,
    /// Its identifier without a version, which follows the latest.
    pub(super) id: String,
    pub(super) is_deleted: bool,
    /// Newest first.
    pub(super) versions: Vec<VersionView>,
}

/// A version of a key.
pub(super) struct VersionView {
    pub(super) version: String,
    pub(super) id: String,
    pub(super) kty: String,
    pub(super) bits: usize,
    pub(super) is_enabled: bool,
    pub(super) is_latest: bool,
    /// What its button is called in the page: the newest version's by the key alone.
    pub(super) element: String,
}

impl VersionView {
    /// What can be done to it, as the address says it.
    pub(super) fn change(&self) -> &'static str {
        if self.is_enabled { "disable" } else { "enable" }
    }

    /// The same for people.
    pub(super) fn label(&self) -> &'static str {
        if self.is_enabled { "Disable" } else { "Enable" }
    }
}

pub(super) fn key(vault: &Vault, name: &str, bundle: &KeyBundle) -> KeyView {
    let newest_first = bundle.versions.iter().rev().enumerate();
    KeyView {
        name: name.to_owned(),
        id: format!("https://{}/keys/{name}", vault.host),
        is_deleted: bundle.deleted_at.is_some(),
        versions: newest_first
            .map(|(age, version)| self::version(vault, name, version, age == 0))
            .collect(),
    }
}

fn version(vault: &Vault, name: &str, version: &KeyVersion, is_latest: bool) -> VersionView {
    VersionView {
        version: version.version.clone(),
        id: version.kid(vault, name),
        kty: version.kty.clone(),
        bits: version.key.bits(),
        is_enabled: version.enabled,
        is_latest,
        element: if is_latest {
            format!("switch-key-{name}")
        } else {
            format!("switch-key-{name}-{}", version.version)
        },
    }
}

/// A role assignment.
pub(super) struct RoleView {
    pub(super) principal: Uuid,
    pub(super) who: String,
    pub(super) role: &'static str,
    pub(super) role_value: String,
    pub(super) scope: String,
    pub(super) scope_value: String,
    /// Whether it was given, or else was taken away and still works.
    pub(super) is_held: bool,
    pub(super) works: bool,
}

/// What was assigned, and behind it what was taken away and still works.
pub(super) fn roles(world: &World, vault: &Vault) -> Vec<RoleView> {
    let taken = vault.in_force().filter(|held| !vault.assignments.contains(held));
    let view = |assignment: &Assignment| RoleView {
        principal: assignment.principal,
        who: name::principal(world, vault.directory, assignment.principal),
        role: name::role(assignment.role),
        role_value: name::role_value(assignment.role),
        scope: name::scope(&assignment.scope),
        scope_value: name::scope_value(&assignment.scope),
        is_held: vault.assignments.contains(assignment),
        works: vault.works(assignment),
    };
    vault.assignments.iter().chain(taken).map(view).collect()
}

/// The access policy of a principal.
pub(super) struct Policy {
    pub(super) principal: Uuid,
    pub(super) who: String,
    /// Each permission, and whether it is granted.
    pub(super) permissions: Vec<(&'static str, bool)>,
}

/// The policies of everyone who is let in, and of those who were.
pub(super) fn policies(world: &World, vault: &Vault) -> Option<Vec<Policy>> {
    let granted = vault.options.access_policies.as_ref()?;
    let let_in = world.directories.get(&vault.directory);
    let let_in = let_in.into_iter().flat_map(|directory| directory.principals.values());
    let mut everyone: Vec<Uuid> = let_in.map(|principal| principal.oid).collect();
    let gone = granted.keys().filter(|oid| !everyone.contains(oid));
    everyone.extend(gone.copied().collect::<Vec<_>>());
    let policy = |oid: Uuid| Policy {
        principal: oid,
        who: name::principal(world, vault.directory, oid),
        permissions: PERMISSIONS
            .map(|permission| {
                let has = granted.get(&oid).is_some_and(|policy| policy.contains(permission));
                (permission, has)
            })
            .to_vec(),
    };
    Some(everyone.into_iter().map(policy).collect())
}

/// A private endpoint connection.
pub(super) struct ConnectionView {
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) endpoint_id: String,
    pub(super) message: String,
    pub(super) status: &'static str,
    pub(super) description: String,
    /// Whether it can be approved, which what was rejected cannot.
    pub(super) is_pending: bool,
    pub(super) is_rejected: bool,
}

pub(super) fn connection(endpoint: &PrivateEndpoint) -> ConnectionView {
    ConnectionView {
        name: endpoint.connection.clone(),
        endpoint: endpoint.wanted.name.clone(),
        endpoint_id: endpoint.id(),
        message: endpoint.wanted.request_message.clone(),
        status: status(endpoint.status),
        description: endpoint.description.clone(),
        is_pending: endpoint.is_pending(),
        is_rejected: endpoint.status == ConnectionStatus::Rejected,
    }
}

fn status(status: ConnectionStatus) -> &'static str {
    match status {
        ConnectionStatus::Pending => "Pending",
        ConnectionStatus::Approved => "Approved",
        ConnectionStatus::Rejected => "Rejected",
        ConnectionStatus::Disconnected => "Disconnected",
    }
}

/// Who may connect.
pub(super) struct NetworkView {
    pub(super) text: String,
    pub(super) is_open: bool,
    pub(super) is_closed: bool,
}

pub(super) fn network(network: &Network) -> NetworkView {
    let text = match network {
        Network::Open => "Open: from all networks".to_owned(),
        Network::Closed => "Closed: through approved private endpoints alone".to_owned(),
        Network::Firewall(addresses) if addresses.is_empty() => "Firewall: from no address".to_owned(),
        Network::Firewall(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            format!("Firewall: from {}", addresses.join(", "))
        }
    };
    NetworkView {
        text,
        is_open: *network == Network::Open,
        is_closed: *network == Network::Closed,
    }
}

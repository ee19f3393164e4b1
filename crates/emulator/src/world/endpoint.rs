//! Private endpoints: what the asking side has, and the connection that the vault's owner decides about.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Vault, World};
use crate::encoding::hex_name;

/// A private endpoint, with its connection to a vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrivateEndpoint {
    /// Where it is managed, which tells its cloud: `management.azure.com`.
    pub manager: String,
    /// What was asked for.
    pub wanted: Wanted,
    /// The host of the vault that it leads to.
    pub vault: String,
    /// What the vault calls the connection.
    pub connection: String,
    /// What became of the connection.
    pub status: ConnectionStatus,
    /// What the vault's owner said of it.
    pub description: String,
    /// What became of the endpoint itself, which succeeds long before its connection is approved.
    pub provisioning: Provisioning,
    /// Where it takes connections.
    pub address: Ipv4Addr,
    /// Changes whenever it does.
    pub etag: Uuid,
}

/// What an endpoint was asked to be. Nothing of it but the tags can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Whose it is.
    pub subscription: Uuid,
    /// The resource group it is in.
    pub resource_group: String,
    /// Its name.
    pub name: String,
    /// Azure's region.
    pub location: String,
    /// The resource id of its subnet.
    pub subnet: String,
    /// The resource id of the vault, as it was written.
    pub target: String,
    /// What of the vault is wanted: `vault`, or `managedhsm`.
    pub groups: BTreeSet<String>,
    /// What the asker calls the connection.
    pub connection: String,
    /// What the vault's owner is told.
    pub request_message: String,
    /// The asker's tags.
    pub tags: BTreeMap<String, String>,
}

/// What became of a connection. What was rejected or disconnected never comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionStatus {
    /// Nobody decided yet.
    Pending,
    /// Let through.
    Approved,
    /// Refused, or let through no longer.
    Rejected,
    /// Removed by the vault's owner, or its vault is gone.
    Disconnected,
}

/// What became of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provisioning {
    /// Being made.
    Updating,
    /// There.
    Succeeded,
    /// It could not be made.
    Failed,
    /// Being deleted.
    Deleting,
}

/// What a vault's owner can do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Lets it through.
    Approve,
    /// Refuses it, or ends what was approved.
    Reject,
    /// Removes it from the vault: the endpoint is left disconnected.
    Remove,
}

/// Why a decision was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecided {
    /// The vault has no such connection.
    Missing,
    /// What was rejected is not approved any more.
    Final,
}

impl PrivateEndpoint {
    /// A new one, pending, for which nothing was decided yet.
    pub(crate) fn new(manager: &str, wanted: Wanted, vault: &str, address: Ipv4Addr) -> Self {
        Self {
            manager: manager.to_owned(),
            wanted,
            vault: vault.to_owned(),
            connection: hex_name(),
            status: ConnectionStatus::Pending,
            description: "Awaiting approval".to_owned(),
            provisioning: Provisioning::Updating,
            address,
            etag: Uuid::new_v4(),
        }
    }

    /// Its resource id.
    #[must_use]
    pub fn id(&self) -> String {
        let Wanted {
            subscription,
            resource_group,
            name,
            ..
        } = &self.wanted;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.Network/privateEndpoints/{name}"
        )
    }

    /// Whether its connection waits for a decision.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status == ConnectionStatus::Pending
    }

    /// Whether requests get through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status == ConnectionStatus::Approved && self.provisioning == Provisioning::Succeeded
    }

    /// Whether the vault's owner sees it.
    fn is_seen(&self) -> bool {
        let exists = matches!(self.provisioning, Provisioning::Updating | Provisioning::Succeeded);
        exists && self.status != ConnectionStatus::Disconnected
    }

    fn become_what(&mut self, status: ConnectionStatus, description: &str) {
        self.status = status;
        description.clone_into(&mut self.description);
        self.etag = Uuid::new_v4();
    }
}

impl World {
    /// The connections that the vault's owner sees: pending, approved and rejected ones.
    #[must_use]
    pub fn connections(&self, host: &str) -> Vec<&PrivateEndpoint> {
        let all = self.resources.endpoints.values();
        all.filter(|endpoint| endpoint.vault == host && endpoint.is_seen())
            .collect()
    }

    /// Decides about a vault's connection, by the vault's name for it or by the endpoint's own. If several endpoints have
    /// that name, the one that still waits is meant.
    pub(crate) fn decide(
        &mut self,
        host: &str,
        named: &str,
        decision: Decision,
        description: &str,
    ) -> Result<(), Undecided> {
        let all = self.resources.endpoints.values_mut();
        let endpoint = all
            .filter(|endpoint| endpoint.vault == host && endpoint.is_seen())
            .filter(|endpoint| endpoint.connection == named || endpoint.wanted.name.eq_ignore_ascii_case(named))
            .min_by_key(|endpoint| endpoint.status != ConnectionStatus::Pending)
            .ok_or(Undecided::Missing)?;
        let status = match decision {
            Decision::Approve if endpoint.status == ConnectionStatus::Rejected => return Err(Undecided::Final),
            Decision::Approve => ConnectionStatus::Approved,
            Decision::Reject => ConnectionStatus::Rejected,
            Decision::Remove => ConnectionStatus::Disconnected,
        };
        endpoint.become_what(status, description);
        Ok(())
    }

    /// What leads to a vault that is gone for good leads nowhere.
    pub(crate) fn disconnect(&mut self, host: &str) {
        let all = self.resources.endpoints.values_mut();
        all.filter(|endpoint| endpoint.vault == host)
            .for_each(|endpoint| endpoint.become_what(ConnectionStatus::Disconnected, ""));
    }

    /// The endpoint at an address of the private network.
    pub(crate) fn endpoint_at(&self, address: Ipv4Addr) -> Option<&PrivateEndpoint> {
        let mut all = self.resources.endpoints.values();
        all.find(|endpoint| endpoint.address == address)
    }
}

impl Vault {
    /// Its resource id.
    #[must_use]
    pub fn resource_id(&self) -> String {
        let kind = if self.is_hsm() { "managedHSMs" } else { "vaults" };
        let (options, name) = (&self.options, self.name());
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/{kind}/{name}",
            options.subscription, options.resource_group
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{rsa::RsaKey, world::SigningKey};

    const HOST: &str = "acme.vault.azure.net";

    fn world(endpoints: &[(&str, ConnectionStatus)]) -> World {
        let mut world = World::new(SigningKey {
            kid: "k".into(),
            key: Arc::new(RsaKey::generate(2048).unwrap()),
        });
        for (number, (name, status)) in endpoints.iter().enumerate() {
            let wanted = Wanted {
                subscription: Uuid::nil(),
                resource_group: format!("group-{number}"),
                name: (*name).to_owned(),
                location: "westeurope".into(),
                subnet: String::new(),
                target: String::new(),
                groups: BTreeSet::new(),
                connection: String::new(),
                request_message: String::new(),
                tags: BTreeMap::new(),
            };
            let mut endpoint = PrivateEndpoint::new("management.azure.com", wanted, HOST, Ipv4Addr::LOCALHOST);
            endpoint.status = *status;
            world.resources.endpoints.insert(endpoint.id(), endpoint);
        }
        world
    }

    fn statuses(world: &World) -> Vec<ConnectionStatus> {
        let all = world.resources.endpoints.values();
        all.map(|endpoint| endpoint.status).collect()
    }

    #[test]
    fn what_was_rejected_is_not_approved_any_more_and_what_was_approved_can_be_rejected() {
        use ConnectionStatus::{Approved, Rejected};

        let mut world = world(&[("pe", ConnectionStatus::Pending)]);
        let mut decide = |decision| {
            world.decide(HOST, "PE", decision, "").map(|()| {
                let decided = world.connections(HOST);
                decided.first().map(|endpoint| endpoint.status)
            })
        };
        assert_eq!(decide(Decision::Approve), Ok(Some(Approved)));
        assert_eq!(decide(Decision::Reject), Ok(Some(Rejected)));
        assert_eq!(decide(Decision::Approve), Err(Undecided::Final));
        assert_eq!(decide(Decision::Remove), Ok(None), "a vault shows what it removed");
        assert_eq!(decide(Decision::Reject), Err(Undecided::Missing));
    }

    #[test]
    fn of_two_endpoints_of_one_name_the_waiting_one_is_meant_and_a_connection_names_either() {
        use ConnectionStatus::{Approved, Pending, Rejected};

        let mut world = world(&[("pe", Rejected), ("pe", Pending)]);
        world.decide(HOST, "pe", Decision::Approve, "welcome").unwrap();
        assert_eq!(statuses(&world), [Rejected, Approved]);
        let first = world.connections(HOST)[0].connection.clone();
        world.decide(HOST, &first, Decision::Remove, "").unwrap();
        assert_eq!(statuses(&world), [ConnectionStatus::Disconnected, Approved]);
    }
}

//! What the resource manager knows beside vaults: whose a subscription is, its networks, endpoints, and what is under way.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::endpoint::PrivateEndpoint;

/// The resources of all subscriptions.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Subscriptions by id. One that only holds vaults need not be here: it is its vaults' directory's.
    pub subscriptions: BTreeMap<Uuid, Subscription>,
    /// Private endpoints by the address they are managed at, in lower case: host and resource id.
    pub endpoints: BTreeMap<String, PrivateEndpoint>,
    /// What takes its time, done or not, by the id that is polled.
    pub under_way: BTreeMap<Uuid, UnderWay>,
    /// How the making and deleting of endpoints goes from now on.
    pub pace: Pace,
    /// Whether `Microsoft.KeyVault/vaults/*/read`, which Key Vault Reader has, covers the vault itself. Unproven of Azure;
    /// taken by the letter it does not.
    pub reader_reads_vaults: bool,
    /// Whether endpoints keep their addresses to themselves until they are approved. Nothing is proven of Azure there.
    pub hides_pending_addresses: bool,
}

/// A subscription.
#[derive(Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The directory whose principals it trusts.
    pub directory: Uuid,
    /// Its resource groups, by their names in lower case.
    pub groups: BTreeMap<String, ResourceGroup>,
}

/// A resource group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ResourceGroup {
    /// The object ids that are Network Contributor here, 4d97b98b-1d4f-4787-a291-c67834d212e7.
    pub network_contributors: BTreeSet<Uuid>,
    /// The locations of its subnets, by their resource ids in lower case.
    pub subnets: BTreeMap<String, String>,
}

/// How the making and deleting of private endpoints goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pace {
    /// How many polls find it unfinished.
    pub polls: u32,
    /// Whether it fails in the end.
    pub fails: bool,
    /// The seconds after which clients are told to ask again.
    pub retry_after: u64,
}

/// Something that takes its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnderWay {
    /// The endpoint that is made or deleted, as endpoints are found.
    pub endpoint: String,
    /// Whether it is deleted.
    pub deletes: bool,
    /// How it goes; what is counted down is how many polls still find it unfinished.
    pub pace: Pace,
    /// Whether it is over.
    pub over: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            polls: 1,
            fails: false,
            retry_after: 1,
        }
    }
}

impl Subscription {
    /// A resource group, made if it is not there.
    pub(crate) fn group(&mut self, name: &str) -> &mut ResourceGroup {
        self.groups.entry(name.to_ascii_lowercase()).or_default()
    }
}

/// A subnet's resource id.
pub(crate) fn subnet_id(subscription: Uuid, resource_group: &str, virtual_network: &str, subnet: &str) -> String {
    format!(
        "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.Network/virtualNetworks/{virtual_network}/subnets/{subnet}"
    )
}

//! The private endpoint that we make to the customer's vault.

use std::net::IpAddr;

use keyferry_crypto::id::VaultResource;
use time::OffsetDateTime;

/// Whether there is a private endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EndpointPolicy {
    /// None: the vault is reached over the public network.
    #[default]
    Off,
    /// One is made if the customer tells the vault's resource id. Until it is approved the public network is used.
    Optional,
    /// One must be approved before the tenant can be active.
    Required,
}

/// The private endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in our resource group. Made of the tenant's id and of how often it was made anew, so that asking twice makes one.
    pub name: String,
    /// The vault that it leads to.
    pub target: VaultResource,
    /// How it stands, as far as we know.
    pub state: EndpointState,
    /// What the customer's side wrote beside its decision.
    pub description: Option<String>,
    /// Its address in our network, once it has one.
    pub address: Option<IpAddr>,
    /// Whether traffic was proven to take it.
    pub is_proven: bool,
    /// Since when it has stood so.
    pub since: OffsetDateTime,
}

/// How a private endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointState {
    /// To be asked for; perhaps it was, and the answer was lost.
    Requested,
    /// Made, and awaiting the customer's approval.
    Pending,
    /// Approved.
    Approved,
    /// Rejected by the customer. It never comes back: another is to be made.
    Rejected,
    /// Removed by the customer after it was approved. It never comes back: another is to be made.
    Disconnected,
    /// Azure could not make it.
    Failed,
    /// To be deleted: it stands in another's way, or its tenant is gone.
    Leaving,
}

impl EndpointPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Optional, Self::Required];

    /// Its name on the wire and in the store.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

impl EndpointState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Requested,
        Self::Pending,
        Self::Approved,
        Self::Rejected,
        Self::Disconnected,
        Self::Failed,
        Self::Leaving,
    ];

    /// Its name on the wire and in the store.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Leaving => "leaving",
        }
    }
}

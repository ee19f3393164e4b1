//! The resource manager: private endpoints in our own subscription, on typed calls of our own.

use std::{net::IpAddr, sync::Arc, time::Duration};

use keyferry_crypto::{
    id::VaultResource,
    vault::{Evidence, VaultError},
};

use crate::{config::AzureConfig, vault::AzureKeyVault};

/// Our private endpoints, as configured in `[azure.private_endpoints]`.
#[derive(Debug)]
pub struct PrivateEndpoints {
    _vault: Arc<AzureKeyVault>,
}

/// A private endpoint, as the resource manager tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Whether Azure has made it.
    pub provisioning: Provisioning,
    /// What the customer's side has decided.
    pub connection: Connection,
    /// What the customer's side wrote beside its decision.
    pub description: Option<String>,
    /// Its address in our network, once it has one.
    pub address: Option<IpAddr>,
    /// The vault that it leads to.
    pub target: VaultResource,
    /// The answer that said so.
    pub evidence: Evidence,
}

/// Whether Azure has made an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provisioning {
    /// Not yet.
    Updating,
    /// Yes.
    Succeeded,
    /// It could not.
    Failed,
    /// It is being removed.
    Deleting,
}

/// What the customer's side has decided about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connection {
    /// Nothing yet.
    Pending,
    /// It may be used.
    Approved,
    /// It may not, for good.
    Rejected,
    /// It could once, and never will again.
    Disconnected,
}

/// Why the resource manager did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the resource manager did not do as asked: {cause:?}")]
pub struct ArmError {
    /// Why.
    pub cause: ArmCause,
    /// When to ask again, if it said so.
    pub retry_after: Option<Duration>,
    /// What it said.
    pub evidence: Evidence,
}

/// The named causes.
#[derive(Clone, Debug)]
pub enum ArmCause {
    /// No token could be had.
    Token(VaultError),
    /// We are not allowed to (403 `AuthorizationFailed`).
    Forbidden,
    /// There is no such vault, as far as the resource manager tells us: a mistake in its resource id, or it is gone.
    TargetNotFound,
    /// The resource is in another directory than the token (401 `InvalidAuthenticationTokenTenant`).
    OtherDirectory,
    /// The vault has as many private endpoints as one can have.
    TooManyEndpoints,
    /// Our subnet, resource group or subscription is not there or does not fit: our configuration.
    Misconfigured,
    /// Asked too often (429).
    Throttled,
    /// It fails, hangs, cannot be reached or cannot be read.
    Unavailable,
    /// It calls our request wrong, with a code that we do not know.
    Rejected,
}

impl PrivateEndpoints {
    /// Our endpoints; `None` if none are configured.
    #[must_use]
    pub fn new(config: &AzureConfig, vault: &Arc<AzureKeyVault>) -> Option<Self> {
        let _ = config;
        Some(Self {
            _vault: Arc::clone(vault),
        })
    }

    /// The resource id that an endpoint of that name has: what the customer sees beside the pending connection.
    #[must_use]
    pub fn resource_id(&self, name: &str) -> String {
        let _ = name;
        todo!()
    }

    /// Asks for an endpoint to a vault, showing `message` (at most 140 characters) to its owner. Asking again for the same changes
    /// nothing. It may not be made yet when this returns: ask with [`get`](Self::get).
    pub async fn create(&self, name: &str, target: &VaultResource, message: &str) -> Result<EndpointStatus, ArmError> {
        let _ = (name, target, message);
        todo!()
    }

    /// An endpoint, if it is there.
    pub async fn get(&self, name: &str) -> Result<Option<EndpointStatus>, ArmError> {
        let _ = name;
        todo!()
    }

    /// Removes an endpoint. One that is not there is removed already; whether it is gone, [`get`](Self::get) tells.
    pub async fn delete(&self, name: &str) -> Result<(), ArmError> {
        let _ = name;
        todo!()
    }
}

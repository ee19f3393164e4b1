//! The resource manager: private endpoints in our own subscription, on typed calls of our own.

mod endpoint;
mod error;
mod manage;

use std::{net::IpAddr, sync::Arc, time::Duration};

use keyferry_crypto::{
    id::{Cloud, VaultResource},
    vault::{Evidence, VaultError},
};
use reqwest::Method;

use self::endpoint::{is_named, is_same, read, wanted};
pub(crate) use self::error::{About, believed};
use crate::{
    config::{AzureConfig, PrivateEndpointsConfig},
    credential::Audience,
    exchange::Answer,
    request::Request,
    vault::AzureKeyVault,
};

/// Our private endpoints, as configured in `[azure.private_endpoints]`.
#[derive(Debug)]
pub struct PrivateEndpoints {
    vault: Arc<AzureKeyVault>,
    own: PrivateEndpointsConfig,
    cloud: Cloud,
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
    /// We are not allowed to (403 `AuthorizationFailed`, `LinkedAuthorizationFailed`).
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
    /// It fails, hangs, cannot be reached, cannot be read, or is busy with the same resource.
    Unavailable,
    /// It calls our request wrong, with a code that we do not know.
    Rejected,
}

impl PrivateEndpoints {
    /// Our endpoints; `None` if none are configured.
    #[must_use]
    pub fn new(config: &AzureConfig, vault: &Arc<AzureKeyVault>) -> Option<Self> {
        Some(Self {
            vault: Arc::clone(vault),
            own: config.private_endpoints.clone()?,
            cloud: config.cloud,
        })
    }

    /// The cloud that our endpoints are in. They lead to vaults of that cloud and of no other.
    #[must_use]
    pub fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The resource id that an endpoint of that name has: what the customer sees beside the pending connection.
    #[must_use]
    pub fn resource_id(&self, name: &str) -> String {
        let PrivateEndpointsConfig {
            subscription,
            resource_group,
            ..
        } = &self.own;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.Network/privateEndpoints/{name}"
        )
    }

    /// Asks for an endpoint to a vault, showing `message` (at most 140 characters; the rest is left out) to its owner. Asking
    /// again changes nothing, not even the message: one that is there and leads to that vault is answered as it is. It may not
    /// be made yet when this returns: ask with [`get`](Self::get).
    pub async fn create(&self, name: &str, target: &VaultResource, message: &str) -> Result<EndpointStatus, ArmError> {
        match self.put(name, target, message).await {
            // A message that has changed since, by another name of ours or of the customer's, is refused like any other change.
            Err(refused) if matches!(refused.cause, ArmCause::Rejected) => {
                let is_it = |there: &EndpointStatus| {
                    is_same(&there.target, target) && there.provisioning != Provisioning::Failed
                };
                let there = self.get(name).await.ok().flatten();
                there.filter(is_it).ok_or(refused)
            }
            outcome => outcome,
        }
    }

    async fn put(&self, name: &str, target: &VaultResource, message: &str) -> Result<EndpointStatus, ArmError> {
        let request = self
            .request(Method::PUT, name)?
            .body(wanted(&self.own, name, target, message));
        let made = self.manage(About::Endpoint(Some(target)), &request, |answer| match answer.status {
            200 | 201 => {
                let made = self.read(name, answer);
                Some(believed(made.filter(|made| is_same(&made.target, target)), answer))
            }
            _ => None,
        });
        made.await?
    }

    /// An endpoint, if it is there.
    pub async fn get(&self, name: &str) -> Result<Option<EndpointStatus>, ArmError> {
        let request = self.request(Method::GET, name)?;
        let found = self.manage(About::Endpoint(None), &request, |answer| match answer.status {
            200 => Some(believed(self.read(name, answer), answer).map(Some)),
            404 if error::is_missing(answer) => Some(Ok(None)),
            _ => None,
        });
        found.await?
    }

    /// Removes an endpoint. One that is not there is removed already; whether it is gone, [`get`](Self::get) tells.
    pub async fn delete(&self, name: &str) -> Result<(), ArmError> {
        let request = self.request(Method::DELETE, name)?;
        let removed = self.manage(About::Endpoint(None), &request, |answer| {
            let is_gone = matches!(answer.status, 200 | 202 | 204) || error::is_missing(answer);
            is_gone.then_some(())
        });
        removed.await
    }

    /// A request about an endpoint. A name that cannot be one is not sent.
    fn request(&self, method: Method, name: &str) -> Result<Request, ArmError> {
        if !is_named(name) {
            return Err(ArmError::from(ArmCause::Rejected));
        }
        let id = self.resource_id(name);
        Ok(Request::new(method, id.split('/').skip(1)).query(API_VERSION))
    }

    async fn manage<T: Send>(
        &self,
        about: About<'_>,
        request: &Request,
        judge: impl Fn(&Answer) -> Option<T> + Send + Sync,
    ) -> Result<T, ArmError> {
        let audience = Audience::management(self.own.directory, self.cloud);
        self.vault.manage(audience, about, request, judge).await
    }

    fn read(&self, name: &str, answer: &Answer) -> Option<EndpointStatus> {
        read(&self.resource_id(name), name, self.cloud, answer)
    }
}

impl From<ArmCause> for ArmError {
    /// A cause that came without an answer.
    fn from(cause: ArmCause) -> Self {
        Self {
            cause,
            retry_after: None,
            evidence: Evidence::default(),
        }
    }
}

/// The version of the network's protocol that is spoken.
const API_VERSION: (&str, &str) = ("api-version", "2024-05-01");

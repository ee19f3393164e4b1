//! The private endpoint in the document.

use std::net::IpAddr;

use keyferry_crypto::id::VaultResource;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    error::RegistryError,
    onboarding::{Endpoint, EndpointPolicy, EndpointState},
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::onboarding) struct EndpointDocument {
    name: String,
    target: VaultResource,
    state: String,
    description: Option<String>,
    address: Option<IpAddr>,
    is_proven: bool,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
}

impl From<&Endpoint> for EndpointDocument {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            target: endpoint.target.clone(),
            state: endpoint.state.slug().to_owned(),
            description: endpoint.description.clone(),
            address: endpoint.address,
            is_proven: endpoint.is_proven,
            since: endpoint.since,
        }
    }
}

impl TryFrom<EndpointDocument> for Endpoint {
    type Error = RegistryError;

    fn try_from(document: EndpointDocument) -> Result<Self, RegistryError> {
        let state = EndpointState::ALL
            .into_iter()
            .find(|state| state.slug() == document.state);
        Ok(Self {
            name: document.name,
            target: document.target,
            state: state.ok_or(RegistryError::Corrupt("endpoint"))?,
            description: document.description,
            address: document.address,
            is_proven: document.is_proven,
            since: document.since,
        })
    }
}

/// The policy of that name.
pub(in crate::onboarding) fn read_endpoint_policy(name: &str) -> Result<EndpointPolicy, RegistryError> {
    let policy = EndpointPolicy::ALL.into_iter().find(|policy| policy.slug() == name);
    policy.ok_or(RegistryError::Corrupt("endpoint_policy"))
}

//! Vaults as resources, and their private endpoint connections, for whoever may see and decide.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Call, Done,
    access::{self, Caller},
    error::ArmError,
};
use crate::{
    state::State,
    world::{ConnectionStatus, Decision, Network, PrivateEndpoint, Vault, World, endpoint::Undecided},
};

/// A vault's properties.
pub(super) fn get(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let world = state.world();
    let vault = access::vault(&world, call, caller, "Microsoft.KeyVault/vaults/read")?;
    Ok(Done::new(StatusCode::OK, view(&world, vault)))
}

/// All of a vault's connections.
pub(super) fn connections(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let world = state.world();
    let vault = access::vault(&world, call, caller, READ)?;
    let all: Vec<_> = world
        .connections(&vault.host)
        .into_iter()
        .map(|endpoint| view_connection(vault, endpoint))
        .collect();
    Ok(Done::new(StatusCode::OK, json!({"value": all})))
}

/// One connection.
pub(super) fn connection(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let world = state.world();
    let vault = access::vault(&world, call, caller, READ)?;
    shown(&world, vault, call).ok_or_else(|| missing(call))
}

/// What `az keyvault private-endpoint-connection approve` and `reject` ask for.
pub(super) fn decide(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let asked = serde_json::from_slice::<Asked>(&call.body)
        .map_err(|error| ArmError::bad_request("InvalidRequestContent", error.to_string()))?;
    let asked = asked.properties.private_link_service_connection_state;
    let decision = match asked.status {
        ConnectionStatus::Approved => Decision::Approve,
        ConnectionStatus::Rejected => Decision::Reject,
        _ => {
            let message = "A private endpoint connection can be approved or rejected.";
            return Err(ArmError::bad_request("BadRequest", message));
        }
    };
    let description = asked.description.unwrap_or_default();
    state.change(|world| {
        let host = access::vault(world, call, caller, WRITE)?.host.clone();
        let decided = world.decide(&host, &call.route.connection, decision, &description);
        decided.map_err(|undecided| match undecided {
            Undecided::Missing => missing(call),
            Undecided::Final => ArmError::bad_request(
                "BadRequest",
                "Approving rejected private endpoint connections is not supported.",
            ),
        })?;
        let vault = world.vaults.get(&host).ok_or_else(|| missing(call))?;
        shown(world, vault, call).ok_or_else(|| missing(call))
    })
}

/// Removes a connection: the endpoint is left disconnected.
pub(super) fn remove(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    state.change(|world| {
        let host = access::vault(world, call, caller, DELETE)?.host.clone();
        let vault = world.vaults.get(&host).ok_or_else(|| missing(call))?;
        let shown = shown(world, vault, call);
        // It is no error that there is none.
        let _ = world.decide(&host, &call.route.connection, Decision::Remove, "");
        Ok(shown.unwrap_or_else(|| Done::new(StatusCode::NO_CONTENT, Value::Null)))
    })
}

#[derive(Deserialize)]
struct Asked {
    properties: AskedProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskedProperties {
    private_link_service_connection_state: AskedState,
}

#[derive(Deserialize)]
struct AskedState {
    status: ConnectionStatus,
    #[serde(default)]
    description: Option<String>,
}

fn shown(world: &World, vault: &Vault, call: &Call<'_>) -> Option<Done> {
    let all = world.connections(&vault.host);
    let found = all
        .into_iter()
        .find(|endpoint| endpoint.connection == call.route.connection)?;
    Some(Done::new(StatusCode::OK, view_connection(vault, found)))
}

fn missing(call: &Call<'_>) -> ArmError {
    let route = &call.route;
    let name = format!("{}/{}", route.name, route.connection);
    ArmError::not_found(
        "Microsoft.KeyVault/vaults/privateEndpointConnections",
        &name,
        &route.group,
    )
}

fn view(world: &World, vault: &Vault) -> Value {
    let options = &vault.options;
    let closed = options.network == Network::Closed;
    let addresses: Vec<_> = match &options.network {
        Network::Firewall(allowed) => allowed.iter().map(|address| json!({"value": address})).collect(),
        Network::Open | Network::Closed => Vec::new(),
    };
    let policies: Vec<_> = options
        .access_policies
        .iter()
        .flatten()
        .map(|(principal, granted)| view_policy(vault, *principal, granted))
        .collect();
    let mut properties = json!({
        "tenantId": vault.directory,
        "sku": {"family": "A", "name": "premium"},
        "accessPolicies": policies,
        "vaultUri": format!("https://{}/", vault.host),
        "enabledForDeployment": false,
        "enableRbacAuthorization": options.access_policies.is_none(),
        "enableSoftDelete": true,
        "softDeleteRetentionInDays": options.recoverable_days,
        "publicNetworkAccess": if closed { "Disabled" } else { "Enabled" },
        "networkAcls": {
            "bypass": "AzureServices",
            "defaultAction": if options.network == Network::Open { "Allow" } else { "Deny" },
            "ipRules": addresses,
            "virtualNetworkRules": [],
        },
        "provisioningState": "Succeeded",
    });
    // What is off is not told, and what there is none of, neither.
    if options.purge_protection {
        properties["enablePurgeProtection"] = true.into();
    }
    let connections = world.connections(&vault.host);
    if !connections.is_empty() {
        let all = connections.into_iter().map(|endpoint| view_connection(vault, endpoint));
        properties["privateEndpointConnections"] = all.collect();
    }
    json!({
        "id": vault.resource_id(),
        "name": vault.name(),
        "type": access::VAULTS,
        "location": options.location,
        "tags": {},
        "properties": properties,
    })
}

fn view_policy(vault: &Vault, principal: uuid::Uuid, granted: &std::collections::BTreeSet<String>) -> Value {
    let (secrets, keys): (Vec<_>, Vec<_>) = granted
        .iter()
        .partition(|permission| permission.starts_with("secrets/"));
    let secrets: Vec<_> = secrets
        .into_iter()
        .filter_map(|permission| permission.strip_prefix("secrets/"))
        .collect();
    json!({
        "tenantId": vault.directory,
        "objectId": principal,
        "permissions": {"keys": keys, "secrets": secrets, "certificates": []},
    })
}

fn view_connection(vault: &Vault, endpoint: &PrivateEndpoint) -> Value {
    json!({
        "id": format!("{}/privateEndpointConnections/{}", vault.resource_id(), endpoint.connection),
        "name": endpoint.connection,
        "type": "Microsoft.KeyVault/vaults/privateEndpointConnections",
        "etag": endpoint.etag.to_string(),
        "location": vault.options.location,
        "properties": {
            "provisioningState": "Succeeded",
            "privateEndpoint": {"id": endpoint.id()},
            "privateLinkServiceConnectionState": {
                "status": endpoint.status,
                "description": endpoint.description,
                "actionsRequired": "None",
            },
        },
    })
}

const READ: &str = "Microsoft.KeyVault/vaults/privateEndpointConnections/read";
const WRITE: &str = "Microsoft.KeyVault/vaults/privateEndpointConnections/write";
const DELETE: &str = "Microsoft.KeyVault/vaults/privateEndpointConnections/delete";

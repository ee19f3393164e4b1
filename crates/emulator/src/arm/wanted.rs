//! What a PUT says of the private endpoint that is wanted, and whether it can be had.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{
    Call, Manager,
    access::{self, Caller, ENDPOINTS, vault_by_id},
    error::ArmError,
};
use crate::world::{Vault, Wanted, World};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    location: String,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    subnet: Reference,
    #[serde(default)]
    private_link_service_connections: Option<Vec<Connection>>,
    #[serde(default)]
    manual_private_link_service_connections: Option<Vec<Connection>>,
}

#[derive(Deserialize)]
struct Reference {
    id: String,
}

#[derive(Deserialize)]
struct Connection {
    name: String,
    properties: ConnectionProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionProperties {
    private_link_service_id: String,
    #[serde(default)]
    group_ids: Option<BTreeSet<String>>,
    #[serde(default)]
    request_message: Option<String>,
}

/// Reads what is wanted.
pub(super) fn read(call: &Call<'_>, caller: &Caller) -> Result<Wanted, ArmError> {
    let route = &call.route;
    let id = route.scope(ENDPOINTS);
    if !is_name(&route.name) {
        return Err(ArmError::bad_request(
            "InvalidResourceName",
            format!("Resource name {} is invalid.", route.name),
        ));
    }
    let body: Body = serde_json::from_slice(&call.body).map_err(|error| {
        let message = format!("The request content was invalid and could not be deserialized: '{error}'.");
        ArmError::bad_request("InvalidRequestContent", message)
    })?;
    if body.location.is_empty() {
        return Err(ArmError::bad_request(
            "LocationRequired",
            "The location property is required for this definition.",
        ));
    }
    let Properties {
        subnet,
        private_link_service_connections,
        manual_private_link_service_connections,
    } = body.properties;
    if let Some(automatic) = private_link_service_connections.unwrap_or_default().first() {
        let target = &automatic.properties.private_link_service_id;
        return Err(ArmError::not_authorized_there(caller, &id, APPROVE, target));
    }
    let [Connection { name, properties }] =
        <[Connection; 1]>::try_from(manual_private_link_service_connections.unwrap_or_default()).map_err(|_| {
            let message = format!("Private endpoint {id} must have exactly one private link service connection.");
            ArmError::bad_request("InvalidPrivateEndpointConnections", message)
        })?;
    let connection_id = format!("{id}/privateLinkServiceConnections/{name}");
    let groups = properties.group_ids.unwrap_or_default();
    if groups.is_empty() {
        let message =
            format!("Private link service connection {connection_id} is missing required parameter 'group Id'.");
        return Err(ArmError::bad_request(
            "MissingParameterOnPrivateLinkServiceConnection",
            message,
        ));
    }
    let request_message = properties.request_message.unwrap_or_default();
    if request_message.chars().count() > 140 {
        let message = format!(
            "Request message of private link service connection {connection_id} is longer than 140 characters."
        );
        return Err(ArmError::bad_request("InvalidRequestMessage", message));
    }
    Ok(Wanted {
        subscription: route.subscription,
        resource_group: route.group.clone(),
        name: route.name.clone(),
        location: body.location.to_ascii_lowercase().replace(' ', ""),
        subnet: subnet.id,
        target: properties.private_link_service_id,
        groups,
        connection: name,
        request_message,
        tags: body.tags.unwrap_or_default(),
    })
}

/// Whether what is wanted is what there is already, but for tags.
pub(super) fn check_unchanged(there: &Wanted, wanted: &Wanted, id: &str) -> Result<(), ArmError> {
    let same = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    if there.location != wanted.location {
        let Wanted {
            name, resource_group, ..
        } = there;
        let message = format!(
            "The resource '{name}' already exists in location '{}' in resource group '{resource_group}'. A resource with the same name cannot be created in location '{}'. Please select a new resource name.",
            there.location, wanted.location
        );
        return Err(ArmError::new(
            http::StatusCode::CONFLICT,
            "InvalidResourceLocation",
            message,
        ));
    }
    if !same(&there.subnet, &wanted.subnet) {
        let message = format!("Cannot change subnet on existing private endpoint {id}.");
        return Err(ArmError::bad_request(
            "CannotChangeSubnetOnExistingPrivateEndpoint",
            message,
        ));
    }
    let unchanged = same(&there.connection, &wanted.connection)
        && same(&there.target, &wanted.target)
        && there.groups == wanted.groups
        && there.request_message == wanted.request_message;
    if unchanged {
        return Ok(());
    }
    let message = format!(
        "Cannot change the private link connection on private endpoint {id}. Please ensure you are not updating the details of existing private link connection: '{id}/privateLinkServiceConnections/{}'. That is not allowed.",
        there.connection
    );
    Err(ArmError::bad_request(
        "CannotChangePrivateLinkConnectionOnPrivateEndpoint",
        message,
    ))
}

/// The vault that a new endpoint is to lead to, if everything that it refers to is there.
pub(super) fn check_references<'a>(
    world: &'a World,
    manager: &Manager,
    caller: &Caller,
    wanted: &Wanted,
    id: &str,
) -> Result<&'a Vault, ArmError> {
    check_subnet(world, caller, wanted, id)?;
    check_kind(&wanted.target)?;
    let vault = vault_by_id(world, manager, &wanted.target)
        .filter(|vault| !vault.deleted)
        .ok_or_else(|| ArmError::unknown_reference(&wanted.target, id))?;
    let group = if vault.is_hsm() { "managedhsm" } else { "vault" };
    if !wanted.groups.iter().all(|wanted| wanted.eq_ignore_ascii_case(group)) {
        let message = format!(
            "The group ids of private endpoint {id} are not supported by {}.",
            wanted.target
        );
        return Err(ArmError::bad_request("InvalidPrivateLinkServiceGroupId", message));
    }
    if world.connections(&vault.host).len() >= LIMIT {
        let message = format!("{} already has {LIMIT} private endpoint connections.", wanted.target);
        return Err(ArmError::bad_request("PrivateEndpointConnectionLimitReached", message));
    }
    Ok(vault)
}

fn check_subnet(world: &World, caller: &Caller, wanted: &Wanted, id: &str) -> Result<(), ArmError> {
    let subnet = wanted.subnet.to_ascii_lowercase();
    let segments: Vec<&str> = subnet.split('/').collect();
    let ["", "subscriptions", subscription, "resourcegroups", group, ..] = segments.as_slice() else {
        return Err(invalid_id(&wanted.subnet, "properties.subnet.id"));
    };
    let subscription = subscription
        .parse()
        .map_err(|_| invalid_id(&wanted.subnet, "properties.subnet.id"))?;
    if !access::is_contributor(world, subscription, group, caller) {
        return Err(ArmError::not_authorized_there(caller, id, JOIN, &wanted.subnet));
    }
    let found = world.resources.subscriptions.get(&subscription);
    let location = found
        .and_then(|subscription| subscription.groups.get(*group)?.subnets.get(&subnet))
        .filter(|location| **location == wanted.location);
    match location {
        Some(_) => Ok(()),
        None => Err(ArmError::unknown_reference(&wanted.subnet, id)),
    }
}

/// Only vaults and Managed HSMs can be led to here.
fn check_kind(target: &str) -> Result<(), ArmError> {
    let lower = target.to_ascii_lowercase();
    let segments: Vec<&str> = lower.split('/').collect();
    match segments.as_slice() {
        [
            "",
            "subscriptions",
            _,
            "resourcegroups",
            _,
            "providers",
            "microsoft.keyvault",
            "vaults" | "managedhsms",
            _,
        ] => Ok(()),
        ["", "subscriptions", _, "resourcegroups", _, "providers", _, _, ..] => Err(ArmError::bad_request(
            "InvalidPrivateLinkServiceIdType",
            format!(
                "Private link service Id {target} has an invalid resource type. \nPermitted type(s): Microsoft.KeyVault/vaults, Microsoft.KeyVault/managedHSMs"
            ),
        )),
        _ => Err(invalid_id(
            target,
            "properties.manualPrivateLinkServiceConnections[0].properties.privateLinkServiceId",
        )),
    }
}

fn invalid_id(id: &str, path: &str) -> ArmError {
    let message = format!(
        "Property id '{id}' at path '{path}' is invalid. Expect fully qualified resource Id that start with '/subscriptions/{{subscriptionId}}' or '/providers/{{resourceProviderNamespace}}/'."
    );
    ArmError::bad_request("LinkedInvalidPropertyId", message)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (2..=64).contains(&name.len())
        && name.bytes().all(plain)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !name.ends_with(['-', '.'])
}

/// Private endpoints that lead to one vault.
const LIMIT: usize = 64;
const JOIN: &str = "Microsoft.Network/virtualNetworks/subnets/join/action";
const APPROVE: &str = "Microsoft.KeyVault/vaults/PrivateEndpointConnectionsApproval/action";

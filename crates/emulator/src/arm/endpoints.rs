//! Private endpoints as resources: put, get, delete, list.

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Call, Done,
    access::{self, Caller, ENDPOINTS},
    error::ArmError,
    manager, progress, wanted,
};
use crate::{
    state::State,
    world::{ConnectionStatus, PrivateEndpoint, Provisioning, World},
};

/// Makes an endpoint, or finds that it is there already.
pub(super) fn put(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let (place, id) = (call.route.endpoint(call.host), call.route.scope(ENDPOINTS));
    state.change(|world| {
        access::network(world, call, caller, "Microsoft.Network/privateEndpoints/write")?;
        let wanted = wanted::read(call, caller)?;
        if let Some(there) = world.resources.endpoints.get_mut(&place) {
            if there.provisioning == Provisioning::Deleting {
                return Err(busy(&id));
            }
            wanted::check_unchanged(&there.wanted, &wanted, &id)?;
            if there.wanted.tags != wanted.tags {
                there.wanted.tags = wanted.tags;
                there.etag = Uuid::new_v4();
            }
            return Ok(again(world, call, &place));
        }
        let vault = wanted::check_references(world, manager(call.host), caller, &wanted, &id)?;
        let host = vault.host.clone();
        let address = state.private.take_address(world).ok_or_else(|| {
            let message = format!(
                "Subnet {} does not have enough capacity for 1 IP addresses.",
                wanted.subnet
            );
            ArmError::bad_request("SubnetIsFull", message)
        })?;
        let endpoint = PrivateEndpoint::new(call.host, wanted, &host, address);
        world.resources.endpoints.insert(place.clone(), endpoint);
        Ok(begin(world, call, &place, StatusCode::CREATED))
    })
}

/// One that failed is made once more; for any other it is what it is.
fn again(world: &mut World, call: &Call<'_>, place: &str) -> Done {
    let hides = world.resources.hides_pending_addresses;
    match world.resources.endpoints.get_mut(place) {
        Some(there) if there.provisioning == Provisioning::Failed => {
            there.provisioning = Provisioning::Updating;
            begin(world, call, place, StatusCode::OK)
        }
        there => {
            let body = there.map_or(Value::Null, |there| view(there, hides));
            let mut done = Done::new(StatusCode::OK, body);
            done.headers = progress::current(world, call, place);
            done
        }
    }
}

fn begin(world: &mut World, call: &Call<'_>, place: &str, status: StatusCode) -> Done {
    let headers = progress::begin(world, call, place, false);
    let hides = world.resources.hides_pending_addresses;
    let body = world
        .resources
        .endpoints
        .get(place)
        .map_or(Value::Null, |made| view(made, hides));
    Done { status, body, headers }
}

/// An endpoint as it is. Asking is a poll, too.
pub(super) fn get(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let place = call.route.endpoint(call.host);
    state.change(|world| {
        access::network(world, call, caller, "Microsoft.Network/privateEndpoints/read")?;
        progress::advance_endpoint(world, &place);
        let found = world.resources.endpoints.get(&place);
        let found = found.ok_or_else(|| ArmError::not_found(ENDPOINTS, &call.route.name, &call.route.group))?;
        Ok(Done::new(
            StatusCode::OK,
            view(found, world.resources.hides_pending_addresses),
        ))
    })
}

/// Begins to delete an endpoint; its connections break off at once.
pub(super) fn delete(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let place = call.route.endpoint(call.host);
    state.change(|world| {
        access::network(world, call, caller, "Microsoft.Network/privateEndpoints/delete")?;
        let Some(found) = world.resources.endpoints.get_mut(&place) else {
            return Ok(Done::new(StatusCode::NO_CONTENT, Value::Null));
        };
        let mut done = Done::new(StatusCode::ACCEPTED, Value::Null);
        done.headers = if found.provisioning == Provisioning::Deleting {
            progress::current(world, call, &place)
        } else {
            found.provisioning = Provisioning::Deleting;
            progress::begin(world, call, &place, true)
        };
        Ok(done)
    })
}

/// The endpoints of a resource group.
pub(super) fn list(state: &State, call: &Call<'_>, caller: &Caller) -> Result<Done, ArmError> {
    let world = state.world();
    access::network(&world, call, caller, "Microsoft.Network/privateEndpoints/read")?;
    let within = format!("{}/", call.route.endpoint(call.host));
    let all = world.resources.endpoints.iter();
    let found: Vec<_> = all
        .filter(|(place, _)| place.starts_with(&within))
        .map(|(_, endpoint)| view(endpoint, world.resources.hides_pending_addresses))
        .collect();
    Ok(Done::new(StatusCode::OK, json!({"value": found})))
}

fn busy(id: &str) -> ArmError {
    let message = format!("Another operation on this or dependent resource is in progress: {id}.");
    ArmError::new(StatusCode::TOO_MANY_REQUESTS, "AnotherOperationInProgress", message)
        .with_header("retry-after", "1".into())
}

/// An endpoint, as the resource manager shows it.
fn view(endpoint: &PrivateEndpoint, hides_pending_addresses: bool) -> Value {
    let (id, wanted) = (endpoint.id(), &endpoint.wanted);
    let etag = format!("W/\"{}\"", endpoint.etag);
    let connection = json!({
        "name": wanted.connection,
        "id": format!("{id}/manualPrivateLinkServiceConnections/{}", wanted.connection),
        "etag": etag,
        "type": "Microsoft.Network/privateEndpoints/manualPrivateLinkServiceConnections",
        "properties": {
            "provisioningState": endpoint.provisioning,
            "privateLinkServiceId": wanted.target,
            "groupIds": wanted.groups,
            "requestMessage": wanted.request_message,
            "privateLinkServiceConnectionState": {
                "status": endpoint.status,
                "description": endpoint.description,
                "actionsRequired": "None",
            },
        },
    });
    let dns = json!({"fqdn": endpoint.vault, "ipAddresses": [endpoint.address]});
    let is_hidden = hides_pending_addresses && endpoint.status == ConnectionStatus::Pending;
    let is_shown = endpoint.provisioning == Provisioning::Succeeded && !is_hidden;
    json!({
        "name": wanted.name,
        "id": id,
        "etag": etag,
        "type": ENDPOINTS,
        "location": wanted.location,
        "tags": wanted.tags,
        "properties": {
            "provisioningState": endpoint.provisioning,
            "privateLinkServiceConnections": [],
            "manualPrivateLinkServiceConnections": [connection],
            "subnet": {"id": wanted.subnet},
            "networkInterfaces": [{"id": format!(
                "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/networkInterfaces/{}.nic.{}",
                wanted.subscription, wanted.resource_group, wanted.name, endpoint.connection
            )}],
            "customDnsConfigs": if is_shown { json!([dns]) } else { json!([]) },
        },
    })
}

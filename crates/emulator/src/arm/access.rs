//! Who may: the token first, then the subscription's directory, then the version, then the role, as the resource manager does.

use http::header;
use uuid::Uuid;

use super::{Call, Manager, error::ArmError, manager};
use crate::{
    calls::Operation,
    encoding::unix_now,
    keyvault::verified,
    state::State,
    world::{Vault, World},
};

/// Whoever asks, by a token of the subscription's directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) appid: Uuid,
    pub(super) oid: Uuid,
}

/// Reads and checks the bearer token, and the version that is asked for.
pub(super) fn authenticate(state: &State, call: &Call<'_>) -> Result<Caller, ArmError> {
    let world = state.world();
    let manager = manager(call.host);
    let owners = owners(&world, manager, call);
    let Some(token) = bearer(call) else {
        let directory = owners.first().map_or_else(|| "common".to_owned(), Uuid::to_string);
        return Err(ArmError::missing_token(&directory));
    };
    let claims = verified(&world, token).map_err(|_| ArmError::invalid_token())?;
    let now = unix_now();
    if claims.exp <= now {
        return Err(ArmError::expired_token());
    }
    if now < claims.nbf {
        return Err(ArmError::invalid_token());
    }
    if !manager.audiences.contains(&claims.aud.trim_end_matches('/')) {
        return Err(ArmError::wrong_audience(manager, &claims.aud));
    }
    if owners.is_empty() {
        return Err(ArmError::unknown_subscription(call.route.subscription));
    }
    let is_of = |owner: &Uuid| claims.iss == format!("https://sts.windows.net/{owner}/");
    if !owners.iter().any(is_of) {
        return Err(ArmError::wrong_tenant(claims.tid, &owners));
    }
    check_api_version(call)?;
    Ok(Caller {
        appid: claims.appid,
        oid: claims.oid,
    })
}

fn bearer<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    let given = call.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    given.strip_prefix("Bearer ")
}

/// The directories whose tokens are taken: the subscription's, or if it only holds vaults, that of the vault that is named,
/// or else of any vault in it. None if there is no such subscription.
fn owners(world: &World, manager: &Manager, call: &Call<'_>) -> Vec<Uuid> {
    let route = &call.route;
    if let Some(subscription) = world.resources.subscriptions.get(&route.subscription) {
        return vec![subscription.directory];
    }
    if let Some(vault) = named_vault(world, manager, call) {
        return vec![vault.directory];
    }
    let all = world.vaults.values();
    all.filter(|vault| vault.options.subscription == route.subscription && manager.has(vault))
        .map(|vault| vault.directory)
        .collect()
}

/// The vault that a call names, deleted or not.
fn named_vault<'a>(world: &'a World, manager: &Manager, call: &Call<'_>) -> Option<&'a Vault> {
    let id = call.route.scope(VAULTS);
    vault_by_id(world, manager, &id)
}

/// The vault by that resource id in a cloud, deleted or not.
pub(super) fn vault_by_id<'a>(world: &'a World, manager: &Manager, id: &str) -> Option<&'a Vault> {
    let mut all = world.vaults.values();
    all.find(|vault| manager.has(vault) && vault.resource_id().eq_ignore_ascii_case(id))
}

/// The vault that a call names, if the caller may do this to it.
pub(super) fn vault<'a>(
    world: &'a World,
    call: &Call<'_>,
    caller: &Caller,
    action: &str,
) -> Result<&'a Vault, ArmError> {
    let vault = named_vault(world, manager(call.host), call);
    let generous = world.resources.reader_reads_vaults;
    // A role is held on the vault, so that nothing is held on what is not there.
    let vault = vault
        .filter(|vault| vault.is_managed_by(caller.oid, action, generous))
        .ok_or_else(|| ArmError::not_authorized(caller, action, &call.route.scope(VAULTS)))?;
    if vault.deleted {
        return Err(ArmError::not_found(VAULTS, &call.route.name, &call.route.group));
    }
    Ok(vault)
}

/// Whether the caller is Network Contributor of the resource group that the call names, for this action.
pub(super) fn network(world: &World, call: &Call<'_>, caller: &Caller, action: &str) -> Result<(), ArmError> {
    let route = &call.route;
    if is_contributor(world, route.subscription, &route.group, caller) {
        Ok(())
    } else {
        Err(ArmError::not_authorized(caller, action, &route.scope(ENDPOINTS)))
    }
}

/// Whether the caller is Network Contributor of a resource group.
pub(super) fn is_contributor(world: &World, subscription: Uuid, group: &str, caller: &Caller) -> bool {
    let subscription = world.resources.subscriptions.get(&subscription);
    subscription
        .and_then(|subscription| subscription.groups.get(&group.to_ascii_lowercase()))
        .is_some_and(|group| group.network_contributors.contains(&caller.oid))
}

fn check_api_version(call: &Call<'_>) -> Result<(), ArmError> {
    let (kind, oldest) = match call.route.operation {
        Operation::GetVault
        | Operation::ListConnections
        | Operation::GetConnection
        | Operation::PutConnection
        | Operation::DeleteConnection => (VAULTS, "2015-06-01"),
        _ => (ENDPOINTS, "2018-08-01"),
    };
    let given = url::form_urlencoded::parse(call.query.as_bytes())
        .find_map(|(name, value)| (name == "api-version").then_some(value))
        .ok_or_else(ArmError::no_api_version)?;
    let date = given.strip_suffix("-preview").unwrap_or(&given);
    let shape: String = date
        .chars()
        .map(|char| if char.is_ascii_digit() { '0' } else { char })
        .collect();
    if shape == "0000-00-00" && (oldest..="2026-12-31").contains(&date) {
        Ok(())
    } else {
        Err(ArmError::unknown_api_version(kind, &given))
    }
}

/// Vaults, as resources.
pub(super) const VAULTS: &str = "Microsoft.KeyVault/vaults";

/// Private endpoints, as resources.
pub(super) const ENDPOINTS: &str = "Microsoft.Network/privateEndpoints";

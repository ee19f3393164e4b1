//! Who may: the token first, then the network, then the role or policy, as Key Vault does.

use http::header;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Call,
    error::{Caller, Refusal},
};
use crate::{
    calls::Operation,
    encoding::{unb64, unix_now},
    entra::login_host,
    state::State,
    world::{Vault, World, role::Action},
};

/// The claims of a token that Azure's services look at.
#[derive(Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: String,
    pub(crate) iss: String,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    pub(crate) appid: Uuid,
    pub(crate) oid: Uuid,
    pub(crate) tid: Uuid,
}

/// Reads and checks the bearer token.
pub(super) fn authenticate(state: &State, call: &Call<'_>) -> Result<Caller, Refusal> {
    let world = state.world();
    let vault = vault_of(&world, call)?;
    let login_host = login_host(&vault.host);
    let Some(token) = bearer(call) else {
        return Err(Refusal::challenge(vault, login_host));
    };
    let refuse = |message: &str| Refusal::unauthorized(vault, login_host, message);
    let claims = verified(&world, token).map_err(refuse)?;
    let now = unix_now();
    if claims.exp <= now {
        return Err(refuse("AKV10012: Token has expired."));
    }
    if now < claims.nbf {
        return Err(refuse("AKV10013: Token is not yet valid."));
    }
    let expected = vault.resource();
    if claims.aud.trim_end_matches('/') != expected {
        return Err(refuse(&format!(
            "AKV10022: Invalid audience. Expected {expected}, found: {}.",
            claims.aud
        )));
    }
    let issuer = format!("https://sts.windows.net/{}/", vault.directory);
    if claims.iss != issuer {
        return Err(refuse(&format!(
            "AKV10032: Invalid issuer. Expected one of {issuer}, found {}.",
            claims.iss
        )));
    }
    Ok(Caller {
        appid: claims.appid,
        oid: claims.oid,
        tid: claims.tid,
    })
}

/// Whether the request carries a token at all.
pub(crate) fn bearer<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    call.headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// The claims of a token that Entra signed, whomever and whenever it is for.
pub(crate) fn verified(world: &World, token: &str) -> Result<Claims, &'static str> {
    const UNRESOLVED: &str = "AKV10046: Unable to resolve the key used for signature validation.";
    const MALFORMED: &str = "AKV10001: Token is malformed.";
    let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
    let (head, payload) = signed.split_once('.').ok_or(MALFORMED)?;
    let head: serde_json::Value = unb64(head)
        .and_then(|head| serde_json::from_slice(&head).ok())
        .ok_or(MALFORMED)?;
    let kid = head["kid"].as_str().unwrap_or_default();
    let key = world.signing_keys.iter().find(|key| key.kid == kid).ok_or(UNRESOLVED)?;
    let signature = unb64(signature).ok_or(MALFORMED)?;
    if !key.key.verify_message(signed.as_bytes(), &signature) {
        return Err("AKV10011: Token signature is invalid.");
    }
    unb64(payload)
        .and_then(|claims| serde_json::from_slice(&claims).ok())
        .ok_or(MALFORMED)
}

/// Checks network and permissions; a caller without a valid token never learns of either.
pub(super) fn authorize(state: &State, call: &Call<'_>, caller: &Caller) -> Result<(), Refusal> {
    let world = state.world();
    let vault = vault_of(&world, call)?;
    if call.origin.private.is_none() && !vault.admits(call.origin.client, call.origin.connection) {
        return Err(match vault.options.network {
            crate::world::Network::Closed => Refusal::by_connection(vault, caller),
            _ => Refusal::by_firewall(vault, caller, call.origin.client),
        });
    }
    let action = action_of(call.route.operation);
    if !vault.permits(caller.oid, action, &call.route.name) {
        return Err(if vault.options.access_policies.is_some() {
            Refusal::by_policy(vault, caller, action.policy)
        } else {
            Refusal::by_rbac(vault, caller, action.rbac, &call.route.name)
        });
    }
    if vault.options.throttled {
        state.throttle.admit(vault, &call.route)
    } else {
        Ok(())
    }
}

/// The vault of a call. It was there when the call was routed; if it went in between, nothing answers for it.
pub(super) fn vault_of<'a>(world: &'a World, call: &Call<'_>) -> Result<&'a Vault, Refusal> {
    world
        .vaults
        .get(call.host)
        .ok_or_else(|| Refusal::of_status(http::StatusCode::SERVICE_UNAVAILABLE))
}

fn action_of(operation: Operation) -> Action {
    let (rbac, policy) = match operation {
        Operation::Get | Operation::GetDeleted => ("keys/read", "get"),
        Operation::List | Operation::Versions | Operation::ListDeleted => ("keys/read", "list"),
        Operation::GetRotationPolicy => ("keyrotationpolicies/read", "getrotationpolicy"),
        Operation::SetRotationPolicy => ("keyrotationpolicies/write", "setrotationpolicy"),
        Operation::Encrypt => ("keys/encrypt/action", "encrypt"),
        Operation::Decrypt => ("keys/decrypt/action", "decrypt"),
        Operation::WrapKey => ("keys/wrap/action", "wrapKey"),
        Operation::UnwrapKey => ("keys/unwrap/action", "unwrapKey"),
        Operation::Sign => ("keys/sign/action", "sign"),
        Operation::Verify => ("keys/verify/action", "verify"),
        Operation::Create => ("keys/create/action", "create"),
        Operation::Import => ("keys/import/action", "import"),
        Operation::Update => ("keys/update/action", "update"),
        Operation::Rotate => ("keys/rotate/action", "rotate"),
        Operation::Delete => ("keys/delete", "delete"),
        Operation::Recover => ("keys/recover/action", "recover"),
        Operation::Purge => ("keys/purge/action", "purge"),
        Operation::Backup => ("keys/backup/action", "backup"),
        Operation::ListSecrets => ("secrets/readMetadata/action", "secrets/list"),
        Operation::Challenge
        | Operation::HealthStatus
        | Operation::PutPrivateEndpoint
        | Operation::GetPrivateEndpoint
        | Operation::DeletePrivateEndpoint
        | Operation::ListPrivateEndpoints
        | Operation::PollOperation
        | Operation::GetVault
        | Operation::ListConnections
        | Operation::GetConnection
        | Operation::PutConnection
        | Operation::DeleteConnection
        | Operation::Token
        | Operation::Discovery
        | Operation::Keys
        | Operation::Other => ("none", "none"),
    };
    Action { rbac, policy }
}

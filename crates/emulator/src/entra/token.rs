//! The token endpoint: who asks, where, with what proof, for what.

use std::collections::HashMap;

use axum::body::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{assertion, error::TokenError, is_vault_host};
use crate::{
    encoding::{b64, hex_name, unix_now},
    state::State,
    world::{Application, Principal, SigningKey, World},
};

/// Issues a token, or says why not.
pub(super) fn issue(state: &State, host: &str, tenant: &str, body: &Bytes) -> Result<Value, TokenError> {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return Err(TokenError::missing_parameter("grant_type"));
    }
    let world = state.world();
    let directory = tenant
        .parse::<Uuid>()
        .ok()
        .filter(|directory| world.directories.contains_key(directory))
        .ok_or_else(|| TokenError::tenant_not_found(tenant))?;
    let client_id = field("client_id");
    let (client_id, application) = client_id
        .parse::<Uuid>()
        .ok()
        .and_then(|id| Some((id, world.applications.get(&id)?)))
        .ok_or_else(|| TokenError::unknown_application(client_id, &directory))?;
    prove(
        &world,
        &Proof {
            host,
            tenant,
            client_id,
            application,
            form: &form,
        },
    )?;
    let principal = world
        .principal(directory, client_id)
        .ok_or_else(|| TokenError::missing_principal(client_id, directory))?;
    if !principal.enabled {
        return Err(TokenError::principal_disabled(client_id));
    }
    if principal.blocked {
        return Err(TokenError::blocked());
    }
    let resource = field("scope")
        .strip_suffix("/.default")
        .ok_or_else(|| TokenError::bad_request("The provided value for scope is not valid."))?;
    let by_secret = form.contains_key("client_secret");
    let claims = claims(&world, host, directory, client_id, principal, resource, by_secret)?;
    let token = sign(world.signing_keys.first(), &claims)?;
    let lifetime = world.token_times(directory).told();
    Ok(json!({"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}))
}

/// What a client shows to prove that it is the application.
pub(super) struct Proof<'a> {
    pub(super) host: &'a str,
    pub(super) tenant: &'a str,
    pub(super) client_id: Uuid,
    pub(super) application: &'a Application,
    pub(super) form: &'a HashMap<String, String>,
}

fn prove(world: &World, proof: &Proof<'_>) -> Result<(), TokenError> {
    if let Some(assertion) = proof.form.get("client_assertion") {
        return assertion::prove(world, proof, assertion);
    }
    let given = proof.form.get("client_secret").map(String::as_str).unwrap_or_default();
    match proof.application.secrets.iter().find(|secret| secret.value == given) {
        Some(secret) if secret.expired => Err(TokenError::expired_secret(proof.client_id)),
        Some(_) => Ok(()),
        None => Err(TokenError::wrong_secret(proof.client_id)),
    }
}

/// Version 1.0 claims for Azure's own resources, version 2.0 for an application's API.
fn claims(
    world: &World,
    host: &str,
    directory: Uuid,
    client_id: Uuid,
    principal: &Principal,
    resource: &str,
    by_secret: bool,
) -> Result<Value, TokenError> {
    let (now, times) = (unix_now(), world.token_times(directory));
    let lacks_key_vault = world
        .directories
        .get(&directory)
        .is_some_and(|directory| directory.lacks_key_vault);
    let azure = resource.strip_prefix("https://").is_some_and(|host| {
        (is_vault_host(&format!("any.{host}")) && !lacks_key_vault) || host.starts_with("management.")
    });
    let mut claims = json!({
        "aud": resource,
        "iat": now, "nbf": now + times.not_before, "exp": now + times.expires,
        "oid": principal.oid, "sub": principal.oid, "tid": directory, "uti": hex_name(),
    });
    if azure {
        claims["iss"] = format!("https://sts.windows.net/{directory}/").into();
        claims["appid"] = client_id.to_string().into();
        claims["appidacr"] = if by_secret { "1" } else { "2" }.into();
        claims["ver"] = "1.0".into();
        return Ok(claims);
    }
    let (api, _) = world
        .applications
        .iter()
        .find(|(_, application)| application.identifier_uri.as_deref() == Some(resource))
        .ok_or_else(|| TokenError::unknown_resource(resource, directory))?;
    // Whatever the scope calls the API, a version 2.0 token calls it by its client id.
    // <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>
    claims["aud"] = api.to_string().into();
    claims["iss"] = format!("https://{host}/{directory}/v2.0").into();
    claims["azp"] = client_id.to_string().into();
    claims["azpacr"] = if by_secret { "1" } else { "2" }.into();
    claims["ver"] = "2.0".into();
    if let Some(roles) = principal.app_roles.get(resource).filter(|roles| !roles.is_empty()) {
        claims["roles"] = json!(roles);
    }
    Ok(claims)
}

/// A token that a principal of Azure's own gets for an application's API in the public cloud, if it may have one.
pub(crate) fn token_for(state: &State, directory: Uuid, client_id: Uuid, resource: &str) -> Option<String> {
    let world = state.world();
    let principal = world.principal(directory, client_id)?;
    let host = "login.microsoftonline.com";
    let claims = claims(&world, host, directory, client_id, principal, resource, false).ok()?;
    sign(world.signing_keys.first(), &claims).ok()
}

/// A managed identity's token for `resource`, as its endpoint gives it: the identity is an application by that id.
pub(crate) fn mint_managed_identity(state: &State, directory: Uuid, client_id: Uuid, resource: &str) -> Option<Value> {
    let world = state.world();
    let (now, times) = (unix_now(), world.token_times(directory));
    let oid = world.principal(directory, client_id)?.oid;
    let claims = json!({
        "aud": resource, "iss": format!("https://login.microsoftonline.com/{directory}/v2.0"),
        "iat": now, "nbf": now + times.not_before, "exp": now + times.expires, "oid": oid, "sub": oid, "tid": directory, "ver": "2.0",
    });
    let token = sign(world.signing_keys.first(), &claims).ok()?;
    Some(
        json!({"access_token": token, "expires_on": (now + times.told()).to_string(), "resource": resource, "token_type": "Bearer"}),
    )
}

fn sign(key: Option<&SigningKey>, claims: &Value) -> Result<String, TokenError> {
    let unavailable = || TokenError::of_status(http::StatusCode::INTERNAL_SERVER_ERROR);
    let key = key.ok_or_else(unavailable)?;
    let head = json!({"typ": "JWT", "alg": "RS256", "kid": key.kid, "x5t": key.kid});
    let signed = format!(
        "{}.{}",
        b64(head.to_string().as_bytes()),
        b64(claims.to_string().as_bytes())
    );
    let signature = key.key.sign_message(signed.as_bytes()).map_err(|_| unavailable())?;
    Ok(format!("{signed}.{}", b64(&signature)))
}

//! Everything about keys but using them: create, import, read, list, update, delete, recover, rotate, back up, policies.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value, json};

use super::{Call, Route, access::vault_of, error::Refusal};
use crate::{
    calls::Operation,
    encoding::{b64, unix_now},
    events::{Event, EventKind},
    rsa::RsaKey,
    state::State,
    world::{KeyBundle, KeyVersion, RotationPolicy, Vault, key::ALL_OPERATIONS},
};

type Done = Result<(StatusCode, Value), Refusal>;

/// What create, import and update may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wishes {
    kty: Option<String>,
    key_size: Option<u32>,
    key_ops: Option<Vec<String>>,
    #[serde(deserialize_with = "from_object")]
    attributes: Attributes,
    tags: Option<BTreeMap<String, String>>,
    /// The JWK of an import.
    key: Map<String, Value>,
    /// Whether an import is to become an HSM key.
    #[serde(rename = "Hsm")]
    hsm: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
}

/// Serde takes a list, too, for a struct; Key Vault takes an object.
fn from_object<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let object = Map::deserialize(deserializer)?;
    T::deserialize(Value::Object(object)).map_err(D::Error::custom)
}

/// Creates or rotates: a new version of a new or existing key. Making the key runs off the async threads.
pub(super) async fn make(state: &State, call: &Call<'_>) -> Done {
    // A rotation has no body to say anything in.
    let rotates = call.route.operation == Operation::Rotate;
    let wishes = if rotates { Wishes::default() } else { wishes(call)? };
    let (bits, hsm) = {
        let world = state.world();
        let vault = vault_of(&world, call)?;
        if rotates {
            let latest = live(vault, &call.route).and_then(|key| key.version(""));
            let latest = latest.ok_or_else(|| not_found(&call.route))?;
            (u32::try_from(latest.key.bits()).unwrap_or(2048), latest.kty != "RSA")
        } else {
            refuse_deleted(vault, &call.route)?;
            asked_for(&wishes, vault)?
        }
    };
    let made = tokio::task::spawn_blocking(move || RsaKey::generate(bits)).await;
    let key = made
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| Refusal::bad_parameter("Property 'key_size' has an invalid value.\r\n"))?;
    add_version(state, call, KeyVersion::new(Arc::new(key), hsm), wishes)
}

/// What needs no key to be made.
pub(super) fn manage(state: &State, call: &Call<'_>) -> Done {
    match call.route.operation {
        Operation::Import => import(state, call),
        Operation::Get => read(state, call, |vault, route| {
            Some(live(vault, route)?.version(&route.version)?.bundle(vault, &route.name))
        }),
        Operation::GetDeleted => read(state, call, |vault, route| {
            vault.keys.get(&route.name)?.deleted(vault, &route.name)
        }),
        Operation::List | Operation::Versions | Operation::ListDeleted => list(state, call),
        // Whoever backs up learns what only a vault of the same geography could read: here, that it was asked for.
        Operation::Backup => read(state, call, |vault, route| {
            live(vault, route)?;
            Some(json!({"value": b64(format!("a backup of {}", route.name).as_bytes())}))
        }),
        // There are no secrets here, but whoever may list them is told so.
        Operation::ListSecrets => Ok((StatusCode::OK, json!({"value": [], "nextLink": null}))),
        Operation::GetRotationPolicy => read(state, call, |vault, route| {
            Some(policy(vault, route, live(vault, route)?))
        }),
        Operation::SetRotationPolicy => set_policy(state, call),
        Operation::Update => update(state, call),
        Operation::Delete => delete(state, call),
        Operation::Recover => recover(state, call),
        Operation::Purge => purge(state, call),
        _ => Err(Refusal::of_status(StatusCode::NOT_FOUND)),
    }
}

fn wishes(call: &Call<'_>) -> Result<Wishes, Refusal> {
    if call.body.is_empty() {
        return Ok(Wishes::default());
    }
    let object = Value::Object(object(call)?);
    let wishes: Wishes = serde_json::from_value(object)
        .map_err(|_| Refusal::bad_parameter("The request body has an invalid property.\r\n"))?;
    match wishes.key_ops.iter().flatten().find(|op| !is_key_operation(op)) {
        Some(_) => Err(Refusal::bad_parameter("Property 'key_ops' has an invalid value.\r\n")),
        None => Ok(wishes),
    }
}

/// A key may be imported to be exported, too: so these are said of keys, though nothing comes of them here.
fn is_key_operation(op: &str) -> bool {
    ALL_OPERATIONS
        .into_iter()
        .chain(["import", "export"])
        .any(|known| known.eq_ignore_ascii_case(op))
}

/// A body that has to be an object.
fn object(call: &Call<'_>) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(&call.body).map_err(|_| Refusal::bad_parameter("The request body is not a JSON object.\r\n"))
}

fn asked_for(wishes: &Wishes, vault: &Vault) -> Result<(u32, bool), Refusal> {
    let hsm = match wishes.kty.as_deref() {
        Some("RSA") if !vault.is_hsm() => false,
        Some("RSA-HSM") => true,
        _ => return Err(Refusal::bad_parameter("Property 'kty' has an invalid value.\r\n")),
    };
    Ok((wishes.key_size.unwrap_or(2048), hsm))
}

fn import(state: &State, call: &Call<'_>) -> Done {
    let mut wishes = wishes(call)?;
    let invalid = || Refusal::bad_parameter("Property 'key' is invalid.\r\n");
    // An import names its operations as a member of the JWK.
    let key_ops = wishes.key.remove("key_ops").unwrap_or_default();
    wishes.key_ops = serde_json::from_value(key_ops).map_err(|_| invalid())?;
    let jwk = Value::Object(std::mem::take(&mut wishes.key));
    let key = RsaKey::from_jwk(&jwk).map_err(|_| invalid())?;
    let hsm = {
        let world = state.world();
        let vault = vault_of(&world, call)?;
        refuse_deleted(vault, &call.route)?;
        vault.is_hsm() || wishes.hsm || jwk["kty"] == "RSA-HSM"
    };
    add_version(state, call, KeyVersion::new(Arc::new(key), hsm), wishes)
}

fn add_version(state: &State, call: &Call<'_>, mut version: KeyVersion, wishes: Wishes) -> Done {
    wish(&mut version, wishes);
    let (bundle, event) = state.change(|world| {
        let vault = world.vaults.get_mut(call.host).ok_or_else(|| not_found(&call.route))?;
        vault
            .keys
            .entry(call.route.name.clone())
            .or_default()
            .versions
            .push(version.clone());
        let event = Event::of(EventKind::NewVersion, vault, &call.route.name, &version);
        Ok((version.bundle(vault, &call.route.name), event))
    })?;
    state.events.tell(call.host, &event);
    Ok((StatusCode::OK, bundle))
}

fn wish(version: &mut KeyVersion, wishes: Wishes) {
    let Attributes { enabled, nbf, exp } = wishes.attributes;
    version.enabled = enabled.unwrap_or(version.enabled);
    version.nbf = nbf.or(version.nbf);
    version.exp = exp.or(version.exp);
    if let Some(ops) = wishes.key_ops.filter(|ops| !ops.is_empty()) {
        version.key_ops = ops;
    }
    if let Some(tags) = wishes.tags {
        version.tags = tags;
    }
    version.updated = unix_now();
}

fn update(state: &State, call: &Call<'_>) -> Done {
    let wishes = wishes(call)?;
    change(state, call, |bundle| {
        wish(bundle.version_mut(&call.route.version)?, wishes);
        Some(())
    })?;
    read(state, call, |vault, route| {
        Some(live(vault, route)?.version(&route.version)?.bundle(vault, &route.name))
    })
}

fn delete(state: &State, call: &Call<'_>) -> Done {
    change(state, call, |bundle| {
        bundle.deleted_at = Some(unix_now());
        Some(())
    })?;
    read(state, call, |vault, route| {
        vault.keys.get(&route.name)?.deleted(vault, &route.name)
    })
}

fn recover(state: &State, call: &Call<'_>) -> Done {
    state.change(|world| {
        let vault = world.vaults.get_mut(call.host).ok_or_else(|| not_found(&call.route))?;
        let bundle = vault
            .keys
            .get_mut(&call.route.name)
            .filter(|key| key.deleted_at.is_some());
        bundle.ok_or_else(|| not_found(&call.route))?.deleted_at = None;
        Ok(())
    })?;
    read(state, call, |vault, route| {
        Some(live(vault, route)?.version("")?.bundle(vault, &route.name))
    })
}

fn purge(state: &State, call: &Call<'_>) -> Done {
    state.change(|world| {
        let vault = world.vaults.get_mut(call.host).ok_or_else(|| not_found(&call.route))?;
        let deleted = vault
            .keys
            .get(&call.route.name)
            .is_some_and(|key| key.deleted_at.is_some());
        if !deleted {
            return Err(not_found(&call.route));
        }
        if vault.options.purge_protection {
            return Err(Refusal::purge_forbidden(&call.route.name));
        }
        vault.keys.remove(&call.route.name);
        Ok((StatusCode::NO_CONTENT, Value::Null))
    })
}

/// Pages of at most `maxresults` (25 if not said); `nextLink` names the port, as Key Vault's does.
fn list(state: &State, call: &Call<'_>) -> Done {
    let world = state.world();
    let vault = vault_of(&world, call)?;
    let all = items(vault, &call.route)?;
    let parameter = |name: &str| {
        call.query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    let size: usize = parameter("maxresults")
        .and_then(|n| n.parse().ok())
        .unwrap_or(25)
        .clamp(1, 25);
    let skip: usize = parameter("$skiptoken")
        .or_else(|| parameter("%24skiptoken"))
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let next = skip + size;
    let link = (next < all.len()).then(|| {
        let path = match call.route.operation {
            Operation::Versions => format!("keys/{}/versions", call.route.name),
            Operation::ListDeleted => "deletedkeys".into(),
            _ => "keys".into(),
        };
        let version = parameter("api-version").unwrap_or("7.6");
        format!(
            "https://{}:443/{path}?api-version={version}&$skiptoken={next}&maxresults={size}",
            vault.host
        )
    });
    let page: Vec<_> = all.into_iter().skip(skip).take(size).collect();
    Ok((StatusCode::OK, json!({"value": page, "nextLink": link})))
}

fn items(vault: &Vault, route: &Route) -> Result<Vec<Value>, Refusal> {
    let item = |kid: String, version: &KeyVersion| json!({"kid": kid, "attributes": version.attributes(vault), "tags": version.tags});
    Ok(match route.operation {
        Operation::Versions => {
            let bundle = live(vault, route).ok_or_else(|| not_found(route))?;
            bundle
                .versions
                .iter()
                .map(|version| item(version.kid(vault, &route.name), version))
                .collect()
        }
        Operation::ListDeleted => vault
            .keys
            .iter()
            .filter_map(|(name, key)| {
                let mut deleted = key.deleted(vault, name)?;
                let members = deleted.as_object_mut()?;
                members.remove("key");
                members.insert("kid".into(), format!("https://{}/keys/{name}", vault.host).into());
                Some(deleted)
            })
            .collect(),
        _ => vault
            .keys
            .iter()
            .filter(|(_, key)| key.deleted_at.is_none())
            .filter_map(|(name, key)| Some(item(format!("https://{}/keys/{name}", vault.host), key.version("")?)))
            .collect(),
    })
}

fn policy(vault: &Vault, route: &Route, bundle: &KeyBundle) -> Value {
    let Some(set) = &bundle.rotation_policy else {
        let notify = json!({"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Notify"}});
        return json!({"id": null, "lifetimeActions": [notify], "attributes": {"expiryTime": null}});
    };
    let mut policy = set.policy.clone();
    policy["id"] = format!("https://{}/keys/{}/rotationpolicy", vault.host, route.name).into();
    if !policy["attributes"].is_object() {
        policy["attributes"] = json!({});
    }
    policy["attributes"]["created"] = set.created.into();
    policy["attributes"]["updated"] = set.updated.into();
    policy
}

fn set_policy(state: &State, call: &Call<'_>) -> Done {
    let asked = object(call)?;
    change(state, call, |bundle| {
        let now = unix_now();
        let created = bundle.rotation_policy.as_ref().map_or(now, |policy| policy.created);
        bundle.rotation_policy = Some(RotationPolicy {
            policy: Value::Object(asked),
            created,
            updated: now,
        });
        Some(())
    })?;
    read(state, call, |vault, route| {
        Some(policy(vault, route, live(vault, route)?))
    })
}

fn read(state: &State, call: &Call<'_>, find: impl FnOnce(&Vault, &Route) -> Option<Value>) -> Done {
    let world = state.world();
    let vault = vault_of(&world, call)?;
    Ok((
        StatusCode::OK,
        find(vault, &call.route).ok_or_else(|| not_found(&call.route))?,
    ))
}

fn change(state: &State, call: &Call<'_>, act: impl FnOnce(&mut KeyBundle) -> Option<()>) -> Result<(), Refusal> {
    state.change(|world| {
        let vault = world.vaults.get_mut(call.host);
        let bundle = vault
            .and_then(|vault| vault.keys.get_mut(&call.route.name))
            .filter(|key| key.deleted_at.is_none());
        bundle.and_then(act).ok_or_else(|| not_found(&call.route))
    })
}

fn live<'a>(vault: &'a Vault, route: &Route) -> Option<&'a KeyBundle> {
    vault.keys.get(&route.name).filter(|key| key.deleted_at.is_none())
}

fn refuse_deleted(vault: &Vault, route: &Route) -> Result<(), Refusal> {
    let deleted = vault.keys.get(&route.name).is_some_and(|key| key.deleted_at.is_some());
    if deleted {
        Err(Refusal::deleted_but_recoverable(&route.name))
    } else {
        Ok(())
    }
}

fn not_found(route: &Route) -> Refusal {
    Refusal::key_not_found(&route.name, &route.version)
}

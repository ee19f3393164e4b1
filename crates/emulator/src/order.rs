//! Orders: everything that can be told to the emulator, from Rust or through the control port, in one list.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    encoding::{hex_name, unb64, unix_now},
    events::{Disturbance, Event, EventKind, EventSubscription},
    fault::FaultOrder,
    rsa::RsaKey,
    state::State,
    world::{
        Application, Assignment, Decision, Directory, KeyBundle, KeyVersion, Network, Pace, Principal, Propagation,
        SigningKey, Subscription, TokenTimes, Vault, VaultOptions, World, endpoint::Undecided, key::is_key_name,
        resources::subnet_id,
    },
};

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "fields are named as in the world they change")]
pub enum Order {
    /// Makes a directory, unless it is there.
    CreateDirectory { directory: Uuid },
    /// Names a directory, as people see it.
    NameDirectory { directory: Uuid, display_name: String },
    /// Makes or replaces an application's registration.
    RegisterApplication { client_id: Uuid, application: Application },
    /// Makes the application's principal in a directory, which may be used after a while if so ordered, and grants it app
    /// roles. Answers its `oid`.
    Consent {
        directory: Uuid,
        client_id: Uuid,
        #[serde(default)]
        resource: String,
        #[serde(default)]
        roles: Vec<String>,
        #[serde(default)]
        usable_after_seconds: u32,
    },
    /// Removes the principal.
    WithdrawConsent { directory: Uuid, client_id: Uuid },
    /// Enables or disables a principal, or has Conditional Access block it.
    SetPrincipal {
        directory: Uuid,
        client_id: Uuid,
        enabled: bool,
        blocked: bool,
    },
    /// Has Key Vault itself missing in a directory, or not.
    SetLacksKeyVault { directory: Uuid, lacks: bool },
    /// Sets when the tokens that a directory issues from now on begin and end.
    SetTokenTimes { directory: Uuid, times: TokenTimes },
    /// Lets an application's secrets expire, or be valid again.
    SetSecretsExpired { client_id: Uuid, expired: bool },
    /// Makes a new signing key, and forgets the old ones if asked to.
    RotateSigningKey { forget_old: bool },
    /// Makes a vault, unless it is there.
    CreateVault {
        host: String,
        directory: Uuid,
        #[serde(default)]
        options: VaultOptions,
    },
    /// Soft-deletes a vault or recovers it.
    SetVaultDeleted { host: String, deleted: bool },
    /// Purges a vault with all its keys: its name is no longer listed by `GET /hosts`.
    PurgeVault { host: String },
    /// Has a vault trust another directory.
    MoveVault { host: String, directory: Uuid },
    /// Turns on a vault's purge protection, which cannot be turned off again.
    ProtectVault { host: String },
    /// Opens, restricts or closes a vault's network.
    SetNetwork { host: String, network: Network },
    /// Has connections that are open when a vault's network is closed to them, or their private endpoint is rejected, be
    /// served on as before; or ends that.
    SetLingering { host: String, lingers: bool },
    /// Turns a vault to access policies, or back to roles.
    SetAccessPolicies {
        host: String,
        access_policies: Option<BTreeMap<Uuid, BTreeSet<String>>>,
    },
    /// Turns the documented limits on or off.
    SetThrottled { host: String, throttled: bool },
    /// Begins a vault's windows of the documented limits anew, with so much spent; one that is held does not end by itself.
    BeginWindow {
        host: String,
        #[serde(default)]
        crypto: u32,
        #[serde(default)]
        other: u32,
        held: bool,
    },
    /// Assigns a role, which works after a while if so ordered.
    Assign {
        host: String,
        assignment: Assignment,
        #[serde(default)]
        works_after_seconds: u32,
    },
    /// Removes a role assignment, at once.
    Unassign { host: String, assignment: Assignment },
    /// Sets how long consent and roles take that people give on the consent page and in the portal.
    SetPropagation {
        #[serde(default)]
        consent_seconds: u32,
        #[serde(default)]
        role_seconds: u32,
    },
    /// Ends all waiting: every consent and every change of roles is known from now on, and what was ordered for later is done.
    EndPropagation,
    /// Makes a subscription that a directory owns, unless it is there.
    CreateSubscription { subscription: Uuid, directory: Uuid },
    /// Makes a virtual network with a subnet for private endpoints. Answers the subnet's resource id.
    CreateNetwork {
        subscription: Uuid,
        resource_group: String,
        virtual_network: String,
        subnet: String,
        location: String,
    },
    /// Makes a principal Network Contributor of a resource group, or no more.
    SetNetworkContributor {
        subscription: Uuid,
        resource_group: String,
        principal: Uuid,
        holds: bool,
    },
    /// Sets how the making and deleting of private endpoints goes that begin from now on.
    SetPace { pace: Pace },
    /// Has private endpoints show their addresses before they are approved, or not.
    SetPendingAddresses { shown: bool },
    /// Has Key Vault Reader, and what else has `vaults/*/read`, read the vault itself, or not.
    SetReaderReadsVaults { reads: bool },
    /// Approves, rejects or removes a vault's private endpoint connection, by its name or by the endpoint's.
    DecideConnection {
        host: String,
        connection: String,
        decision: Decision,
        #[serde(default)]
        description: String,
    },
    /// Makes a key, or a new version of one. Answers its `kid`.
    CreateKey { host: String, name: String, bits: u32 },
    /// The same from a PKCS#8 private key in base64url, which is quicker than making one.
    ImportKey { host: String, name: String, pkcs8: String },
    /// Changes a version's (or the latest version's) state. Times are seconds since 1970.
    SetKey {
        host: String,
        name: String,
        #[serde(default)]
        version: String,
        #[serde(default)]
        enabled: Option<bool>,
        #[serde(default)]
        nbf: Option<i64>,
        #[serde(default)]
        exp: Option<i64>,
        #[serde(default)]
        key_ops: Option<Vec<String>>,
    },
    /// Soft-deletes a key.
    DeleteKey { host: String, name: String },
    /// Recovers a key.
    RecoverKey { host: String, name: String },
    /// Subscribes a webhook to a vault's events, in place of whichever subscription had that name. What the webhook says to
    /// that is told by `GET /event-subscriptions`.
    SubscribeEvents {
        host: String,
        name: String,
        subscription: EventSubscription,
    },
    /// Ends a subscription.
    UnsubscribeEvents { host: String, name: String },
    /// Has a subscription's events delivered more than once, late or out of order; and what waits delivered now, unless it is
    /// held.
    DisturbEvents {
        host: String,
        name: String,
        #[serde(default)]
        disturbance: Disturbance,
    },
    /// Tells subscribers that a version of a key (or the latest) expires soon, or has expired.
    TellExpiry {
        host: String,
        name: String,
        #[serde(default)]
        version: String,
        expired: bool,
    },
    /// Presents an expired certificate for a host, or again a valid one. Open connections stay.
    SetCertificateExpired { host: String, expired: bool },
    /// Carries out orders, one after the other, after a while or when all waiting is ended. One that cannot be is logged.
    Later { after_millis: u64, orders: Vec<Order> },
    /// Orders a fault.
    Fault { fault: FaultOrder },
    /// Takes all faults back.
    ClearFaults,
    /// Sets all counters to zero.
    ResetCalls,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// What it names is not there.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// It holds or asks for a key that is not RSA of 2048, 3072 or 4096 bits.
    #[error("not an RSA key of 2048, 3072 or 4096 bits")]
    Key,
    /// It names a key as none can be named.
    #[error("a key's name is 1 to 127 letters, digits and hyphens")]
    Name,
    /// It approves what was rejected.
    #[error("what was rejected does not come back: delete the private endpoint and make another")]
    Rejected,
    /// It is a fault that no request can meet.
    #[error("no request can meet this fault: {0}")]
    NeverMet(&'static str),
}

/// Carries out an order; what it answers is documented with it, else `null`. May make an RSA key: not for an async thread.
pub(crate) fn carry_out(state: &State, order: Order) -> Result<Value, OrderError> {
    match order {
        Order::CreateKey { host, name, bits } => {
            let key = RsaKey::generate(bits).map_err(|_| OrderError::Key)?;
            add_version(state, &host, &name, key)
        }
        Order::ImportKey { host, name, pkcs8 } => {
            let key = unb64(&pkcs8)
                .and_then(|pkcs8| RsaKey::from_pkcs8(&pkcs8).ok())
                .ok_or(OrderError::Key)?;
            add_version(state, &host, &name, key)
        }
        Order::RotateSigningKey { forget_old } => {
            let key = SigningKey {
                kid: hex_name(),
                key: Arc::new(RsaKey::generate(2048).map_err(|_| OrderError::Key)?),
            };
            state.change(|world| {
                if forget_old {
                    world.signing_keys.clear();
                }
                world.signing_keys.insert(0, key);
            });
            Ok(Value::Null)
        }
        Order::SetCertificateExpired { host, expired } => {
            state.certificates.set_expired(&host.to_ascii_lowercase(), expired);
            Ok(Value::Null)
        }
        Order::BeginWindow {
            host,
            crypto,
            other,
            held,
        } => {
            let host = find(&mut state.world(), &host)?.host.clone();
            state.throttle.begin(&host, crypto, other, held);
            Ok(Value::Null)
        }
        Order::Later { after_millis, orders } => {
            later(state, Duration::from_millis(after_millis), orders);
            Ok(Value::Null)
        }
        Order::EndPropagation => {
            state.background.hasten();
            state.change(World::end_propagation);
            Ok(Value::Null)
        }
        Order::SetNetwork { host, network } => {
            // Of the connections that are open now each has a lower number.
            let next = state.connections.fetch_add(1, Ordering::Relaxed) + 1;
            state.change(|world| {
                find(world, &host)?.set_network(network, next);
                Ok(Value::Null)
            })
        }
        Order::Fault { mut fault } => {
            fault.host = fault.host.map(|host| host.to_ascii_lowercase());
            fault.check(&state.world())?;
            state.faults.order(fault);
            Ok(Value::Null)
        }
        Order::ClearFaults => {
            state.faults.clear();
            Ok(Value::Null)
        }
        Order::ResetCalls => {
            state.calls.reset();
            Ok(Value::Null)
        }
        order => events(state, order),
    }
}

/// Carries out what concerns Event Grid.
fn events(state: &State, order: Order) -> Result<Value, OrderError> {
    match order {
        Order::SubscribeEvents {
            host,
            name,
            subscription,
        } => {
            let host = find(&mut state.world(), &host)?.host.clone();
            state.events.subscribe(state, host, name, subscription);
        }
        Order::UnsubscribeEvents { host, name } => {
            state.events.unsubscribe(host.to_ascii_lowercase(), name)?;
        }
        Order::DisturbEvents {
            host,
            name,
            disturbance,
        } => {
            state.events.disturb(host.to_ascii_lowercase(), name, disturbance)?;
        }
        Order::TellExpiry {
            host,
            name,
            version,
            expired,
        } => {
            let kind = if expired {
                EventKind::Expired
            } else {
                EventKind::NearExpiry
            };
            let (host, event) = {
                let mut world = state.world();
                let vault = find(&mut world, &host)?;
                let key = vault.keys.get(&name).ok_or(OrderError::Missing("key"))?;
                let version = key.version(&version).ok_or(OrderError::Missing("version"))?;
                (vault.host.clone(), Event::of(kind, vault, &name, version))
            };
            state.events.tell(&host, &event);
        }
        order => return entra(state, order),
    }
    Ok(Value::Null)
}

/// Whoever orders it does not wait for it.
fn later(state: &State, after: Duration, orders: Vec<Order>) {
    let hastened = state.background.hastened();
    state.background.spawn(|state| async move {
        let _ = hastened.run_until_cancelled(tokio::time::sleep(after)).await;
        let carried_out = tokio::task::spawn_blocking(move || {
            orders
                .into_iter()
                .try_for_each(|order| carry_out(&state, order).map(drop))
        });
        if let Ok(Err(error)) = carried_out.await {
            tracing::warn!(%error, "what was ordered for later cannot be carried out");
        }
    });
}

/// Carries out what concerns the resource manager.
fn resources(world: &mut World, order: Order) -> Result<Value, OrderError> {
    match order {
        Order::CreateSubscription {
            subscription,
            directory,
        } => {
            let made = Subscription {
                directory,
                groups: BTreeMap::new(),
            };
            world.resources.subscriptions.entry(subscription).or_insert(made);
        }
        Order::CreateNetwork {
            subscription,
            resource_group,
            virtual_network,
            subnet,
            location,
        } => {
            let id = subnet_id(subscription, &resource_group, &virtual_network, &subnet);
            let group = self::subscription(world, subscription)?.group(&resource_group);
            group.subnets.insert(id.to_ascii_lowercase(), location);
            return Ok(json!({"subnet": id}));
        }
        Order::SetNetworkContributor {
            subscription,
            resource_group,
            principal,
            holds,
        } => {
            let group = self::subscription(world, subscription)?.group(&resource_group);
            if holds {
                group.network_contributors.insert(principal);
            } else {
                group.network_contributors.remove(&principal);
            }
        }
        Order::SetPace { pace } => world.resources.pace = pace,
        Order::SetPendingAddresses { shown } => world.resources.hides_pending_addresses = !shown,
        Order::SetReaderReadsVaults { reads } => world.resources.reader_reads_vaults = reads,
        Order::DecideConnection {
            host,
            connection,
            decision,
            description,
        } => {
            let host = find(world, &host)?.host.clone();
            let decided = world.decide(&host, &connection, decision, &description);
            decided.map_err(|undecided| match undecided {
                Undecided::Missing => OrderError::Missing("connection"),
                Undecided::Final => OrderError::Rejected,
            })?;
        }
        order => return vault(world, order),
    }
    Ok(Value::Null)
}

fn subscription(world: &mut World, id: Uuid) -> Result<&mut Subscription, OrderError> {
    let found = world.resources.subscriptions.get_mut(&id);
    found.ok_or(OrderError::Missing("subscription"))
}

fn entra(state: &State, order: Order) -> Result<Value, OrderError> {
    state.change(|world| {
        match order {
            Order::CreateDirectory { directory } => {
                world.directories.entry(directory).or_insert_with(Directory::default);
            }
            Order::NameDirectory {
                directory,
                display_name,
            } => {
                let directory = world.directories.get_mut(&directory);
                directory.ok_or(OrderError::Missing("directory"))?.display_name = Some(display_name);
            }
            Order::RegisterApplication { client_id, application } => {
                world.applications.insert(client_id, application);
            }
            Order::Consent {
                directory,
                client_id,
                resource,
                roles,
                usable_after_seconds,
            } => {
                let roles: Vec<_> = roles.iter().map(String::as_str).collect();
                let oid = world.consent(directory, client_id, &resource, &roles, usable_after_seconds);
                return Ok(json!({"oid": oid}));
            }
            Order::WithdrawConsent { directory, client_id } => world.withdraw_consent(directory, client_id),
            Order::SetPrincipal {
                directory,
                client_id,
                enabled,
                blocked,
            } => {
                let directory = world
                    .directories
                    .get_mut(&directory)
                    .ok_or(OrderError::Missing("directory"))?;
                let principal: &mut Principal = directory
                    .principals
                    .get_mut(&client_id)
                    .ok_or(OrderError::Missing("principal"))?;
                (principal.enabled, principal.blocked) = (enabled, blocked);
            }
            Order::SetLacksKeyVault { directory, lacks } => {
                world.directories.entry(directory).or_default().lacks_key_vault = lacks;
            }
            Order::SetTokenTimes { directory, times } => {
                let directory = world.directories.get_mut(&directory);
                directory.ok_or(OrderError::Missing("directory"))?.token_times = times;
            }
            Order::SetSecretsExpired { client_id, expired } => {
                let application = world
                    .applications
                    .get_mut(&client_id)
                    .ok_or(OrderError::Missing("application"))?;
                application
                    .secrets
                    .iter_mut()
                    .for_each(|secret| secret.expired = expired);
            }
            Order::CreateVault {
                host,
                directory,
                options,
            } => {
                let host = host.to_ascii_lowercase();
                let vault = Vault::new(&host, directory, options);
                world.vaults.entry(host).or_insert(vault);
            }
            Order::SetPropagation {
                consent_seconds,
                role_seconds,
            } => {
                world.propagation = Propagation {
                    consent_seconds,
                    role_seconds,
                };
            }
            order => return resources(world, order),
        }
        Ok(Value::Null)
    })
}

fn vault(world: &mut World, order: Order) -> Result<Value, OrderError> {
    match order {
        Order::SetVaultDeleted { host, deleted } => find(world, &host)?.deleted = deleted,
        Order::PurgeVault { host } => {
            let host = host.to_ascii_lowercase();
            world.vaults.remove(&host).ok_or(OrderError::Missing("vault"))?;
            world.disconnect(&host);
        }
        Order::MoveVault { host, directory } => find(world, &host)?.directory = directory,
        Order::ProtectVault { host } => find(world, &host)?.options.purge_protection = true,
        Order::SetLingering { host, lingers } => find(world, &host)?.set_lingering(lingers),
        Order::SetAccessPolicies { host, access_policies } => {
            find(world, &host)?.options.access_policies = access_policies;
        }
        Order::SetThrottled { host, throttled } => find(world, &host)?.options.throttled = throttled,
        Order::Assign {
            host,
            assignment,
            works_after_seconds,
        } => find(world, &host)?.assign(assignment, works_after_seconds),
        Order::Unassign { host, assignment } => find(world, &host)?.unassign(&assignment, 0),
        Order::DeleteKey { host, name } => key(find(world, &host)?, &name)?.deleted_at = Some(unix_now()),
        Order::RecoverKey { host, name } => key(find(world, &host)?, &name)?.deleted_at = None,
        Order::SetKey {
            host,
            name,
            version,
            enabled,
            nbf,
            exp,
            key_ops,
        } => {
            let version = key(find(world, &host)?, &name)?
                .version_mut(&version)
                .ok_or(OrderError::Missing("version"))?;
            version.enabled = enabled.unwrap_or(version.enabled);
            version.nbf = nbf.or(version.nbf);
            version.exp = exp.or(version.exp);
            version.key_ops = key_ops.unwrap_or_else(|| version.key_ops.clone());
        }
        // Carried out before.
        Order::CreateDirectory { .. }
        | Order::NameDirectory { .. }
        | Order::RegisterApplication { .. }
        | Order::Consent { .. }
        | Order::WithdrawConsent { .. }
        | Order::SetPrincipal { .. }
        | Order::SetLacksKeyVault { .. }
        | Order::SetTokenTimes { .. }
        | Order::SetSecretsExpired { .. }
        | Order::RotateSigningKey { .. }
        | Order::SetPropagation { .. }
        | Order::EndPropagation
        | Order::CreateVault { .. }
        | Order::SetNetwork { .. }
        | Order::CreateSubscription { .. }
        | Order::CreateNetwork { .. }
        | Order::SetNetworkContributor { .. }
        | Order::SetPace { .. }
        | Order::SetPendingAddresses { .. }
        | Order::SetReaderReadsVaults { .. }
        | Order::DecideConnection { .. }
        | Order::CreateKey { .. }
        | Order::ImportKey { .. }
        | Order::BeginWindow { .. }
        | Order::SetCertificateExpired { .. }
        | Order::SubscribeEvents { .. }
        | Order::UnsubscribeEvents { .. }
        | Order::DisturbEvents { .. }
        | Order::TellExpiry { .. }
        | Order::Later { .. }
        | Order::Fault { .. }
        | Order::ClearFaults
        | Order::ResetCalls => {}
    }
    Ok(Value::Null)
}

fn find<'a>(world: &'a mut World, host: &str) -> Result<&'a mut Vault, OrderError> {
    let host = host.to_ascii_lowercase();
    world.vaults.get_mut(&host).ok_or(OrderError::Missing("vault"))
}

fn key<'a>(vault: &'a mut Vault, name: &str) -> Result<&'a mut KeyBundle, OrderError> {
    vault.keys.get_mut(name).ok_or(OrderError::Missing("key"))
}

fn add_version(state: &State, host: &str, name: &str, key: RsaKey) -> Result<Value, OrderError> {
    if !is_key_name(name) {
        return Err(OrderError::Name);
    }
    let (host, kid, event) = state.change(|world| {
        let vault = find(world, host)?;
        let version = KeyVersion::new(Arc::new(key), vault.is_hsm());
        let kid = version.kid(vault, name);
        let event = Event::of(EventKind::NewVersion, vault, name, &version);
        vault.keys.entry(name.to_owned()).or_default().versions.push(version);
        Ok((vault.host.clone(), kid, event))
    })?;
    state.events.tell(&host, &event);
    Ok(json!({"kid": kid}))
}

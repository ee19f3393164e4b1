//! What people call things: roles as the Azure portal does, scopes and principals.

use serde_json::Value;
use uuid::Uuid;

use crate::world::{Role, Scope, World};

/// Every role that can be assigned, those that a service like ours is given first.
pub(super) const ROLES: [Role; 9] = [
    Role::CryptoUser,
    Role::Reader,
    Role::CryptoServiceEncryptionUser,
    Role::CryptoOfficer,
    Role::Administrator,
    Role::SecretsUser,
    Role::SecretsOfficer,
    Role::VaultContributor,
    Role::AzureReader,
];

/// Azure's name of a role.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::CryptoUser => "Key Vault Crypto User",
        Role::Reader => "Key Vault Reader",
        Role::CryptoServiceEncryptionUser => "Key Vault Crypto Service Encryption User",
        Role::CryptoOfficer => "Key Vault Crypto Officer",
        Role::Administrator => "Key Vault Administrator",
        Role::SecretsUser => "Key Vault Secrets User",
        Role::SecretsOfficer => "Key Vault Secrets Officer",
        Role::VaultContributor => "Key Vault Contributor",
        Role::AzureReader => "Reader",
    }
}

/// A role as orders and forms write it.
pub(super) fn role_value(role: Role) -> String {
    match serde_json::to_value(role) {
        Ok(Value::String(value)) => value,
        _ => String::new(),
    }
}

/// The role that a form names.
pub(super) fn read_role(value: &str) -> Option<Role> {
    ROLES.into_iter().find(|role| role_value(*role) == value)
}

/// Where a role holds, for people.
pub(super) fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Vault => "the whole vault".to_owned(),
        Scope::Key(name) => format!("the key {name}"),
    }
}

/// The same as forms write it.
pub(super) fn scope_value(scope: &Scope) -> String {
    match scope {
        Scope::Vault => "vault".to_owned(),
        Scope::Key(name) => format!("key:{name}"),
    }
}

/// The scope that a form names.
pub(super) fn read_scope(value: &str) -> Option<Scope> {
    match value {
        "vault" => Some(Scope::Vault),
        _ => value.strip_prefix("key:").map(|name| Scope::Key(name.to_owned())),
    }
}

/// What an application is called.
pub(super) fn application(world: &World, client_id: Uuid) -> String {
    let application = world.applications.get(&client_id);
    let named = application.and_then(|application| application.display_name.clone());
    named.unwrap_or_else(|| format!("Application {client_id}"))
}

/// What a directory is called.
pub(super) fn directory(world: &World, id: Uuid) -> String {
    let directory = world.directories.get(&id);
    let named = directory.and_then(|directory| directory.display_name.clone());
    named.unwrap_or_else(|| format!("Directory {id}"))
}

/// What the principal of an object id is called in a directory. One whose consent was withdrawn has no name any more.
pub(super) fn principal(world: &World, directory: Uuid, oid: Uuid) -> String {
    let known = world.directories.get(&directory).and_then(|directory| {
        let mut principals = directory.principals.iter();
        principals.find(|(_, principal)| principal.oid == oid)
    });
    match known {
        Some((client_id, _)) => application(world, *client_id),
        None => format!("Unknown principal {oid}"),
    }
}

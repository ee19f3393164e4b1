//! A directory: its ID, its vaults, and the applications that were let in.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, Query, State as Shared},
};
use http::Response;
use uuid::Uuid;

use super::{
    super::{Portal, notice::Notice, notice::Said},
    Person, found, people,
};
use crate::{
    entra::vault_suffixes,
    portal::name,
    world::{Vault, World},
};

#[derive(Template)]
#[template(path = "portal/directory.html")]
struct Page<'a> {
    token: &'a str,
    notice: Option<Notice>,
    id: Uuid,
    name: String,
    vaults: Vec<VaultLine>,
    let_in: Vec<LetIn>,
    /// The applications that were not.
    others: Vec<(Uuid, String)>,
    suffixes: Vec<&'static str>,
}

struct VaultLine {
    host: String,
    name: String,
    is_deleted: bool,
    keys: usize,
    waiting_connections: usize,
}

struct LetIn {
    person: Person,
    roles: Vec<String>,
}

/// `GET /directories/{directory}`
pub(in crate::portal) async fn show(
    Shared(portal): Shared<Arc<Portal>>,
    Path(id): Path<Uuid>,
    Query(said): Query<Said>,
) -> Response<Body> {
    let world = portal.state.world();
    let is_there = world.directories.contains_key(&id);
    found(is_there.then(|| Page {
        token: portal.state.form_token.as_str(),
        notice: portal.notices.find(&said),
        id,
        name: name::directory(&world, id),
        vaults: vaults(&world, id).map(|vault| line(&world, vault)).collect(),
        let_in: let_in(&world, id),
        others: others(&world, id),
        suffixes: vault_suffixes().collect(),
    }))
}

fn vaults(world: &World, directory: Uuid) -> impl Iterator<Item = &Vault> {
    world.vaults.values().filter(move |vault| vault.directory == directory)
}

fn line(world: &World, vault: &Vault) -> VaultLine {
    let connections = world.connections(&vault.host);
    VaultLine {
        host: vault.host.clone(),
        name: vault.name().to_owned(),
        is_deleted: vault.deleted,
        keys: vault.keys.values().filter(|key| key.deleted_at.is_none()).count(),
        waiting_connections: connections.iter().filter(|connection| connection.is_pending()).count(),
    }
}

fn let_in(world: &World, directory: Uuid) -> Vec<LetIn> {
    let with_roles = |person: Person| LetIn {
        roles: roles(world, directory, person.oid),
        person,
    };
    people(world, directory).into_iter().map(with_roles).collect()
}

/// The roles of a principal on all vaults of its directory.
fn roles(world: &World, directory: Uuid, oid: Uuid) -> Vec<String> {
    let everywhere =
        vaults(world, directory).flat_map(|vault| vault.assignments.iter().map(move |assigned| (vault, assigned)));
    let held = everywhere.filter(|(_, assigned)| assigned.principal == oid);
    let described = held.map(|(vault, assigned)| {
        let (role, scope) = (name::role(assigned.role), name::scope(&assigned.scope));
        format!("{role} on {scope} of {}", vault.name())
    });
    described.collect()
}

fn others(world: &World, directory: Uuid) -> Vec<(Uuid, String)> {
    let principals = world.directories.get(&directory).map(|directory| &directory.principals);
    let is_other = |id: &&Uuid| !principals.is_some_and(|principals| principals.contains_key(*id));
    let named = |id: &Uuid| (*id, name::application(world, *id));
    world.applications.keys().filter(is_other).map(named).collect()
}

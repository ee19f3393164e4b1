//! A vault: what we ask of its owner, and everything that its owner can do to it.

mod view;

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, Query, State as Shared},
};
use http::Response;
use uuid::Uuid;

use self::view::{ConnectionView, KeyView, NetworkView, Policy, RoleView, connection, key, network, policies, roles};
use super::{
    super::{
        Portal, name,
        notice::{Notice, Said},
    },
    Person, found, people,
};

#[derive(Template)]
#[template(path = "portal/vault.html")]
struct Page<'a> {
    token: &'a str,
    notice: Option<Notice>,
    directory: Uuid,
    directory_name: String,
    host: String,
    name: String,
    resource_id: String,
    location: String,
    is_deleted: bool,
    recoverable_days: u32,
    is_protected: bool,
    network: NetworkView,
    keys: Vec<KeyView>,
    people: Vec<Person>,
    role_choices: Vec<(String, &'static str)>,
    roles: Vec<RoleView>,
    /// If it goes by them.
    policies: Option<Vec<Policy>>,
    connections: Vec<ConnectionView>,
}

/// `GET /vaults/{host}`
pub(in crate::portal) async fn show(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Query(said): Query<Said>,
) -> Response<Body> {
    let world = portal.state.world();
    let vault = world.vaults.get(&host.to_ascii_lowercase());
    found(vault.map(|vault| {
        Page {
            token: portal.state.form_token.as_str(),
            notice: portal.notices.find(&said),
            directory: vault.directory,
            directory_name: name::directory(&world, vault.directory),
            host: vault.host.clone(),
            name: vault.name().to_owned(),
            resource_id: vault.resource_id(),
            location: vault.options.location.clone(),
            is_deleted: vault.deleted,
            recoverable_days: vault.options.recoverable_days,
            is_protected: vault.options.purge_protection,
            network: network(&vault.options.network),
            keys: vault
                .keys
                .iter()
                .map(|(name, bundle)| key(vault, name, bundle))
                .collect(),
            people: people(&world, vault.directory),
            role_choices: name::ROLES
                .map(|role| (name::role_value(role), name::role(role)))
                .to_vec(),
            roles: roles(&world, vault),
            policies: policies(&world, vault),
            connections: world.connections(&vault.host).into_iter().map(connection).collect(),
        }
    }))
}

//! What people see.

pub(super) mod directories;
pub(super) mod directory;
pub(super) mod vault;

use askama::Template;
use axum::body::Body;
use http::{Response, StatusCode};
use uuid::Uuid;

use super::name;
use crate::{
    html,
    world::{Principal, World},
};

/// There is nothing at this address.
#[derive(Template)]
#[template(path = "portal/nothing.html")]
struct Nothing;

pub(super) fn nothing() -> Response<Body> {
    html::page(StatusCode::NOT_FOUND, &Nothing, None)
}

fn found(page: Option<impl Template>) -> Response<Body> {
    page.map_or_else(nothing, |page| html::page(StatusCode::OK, &page, None))
}

/// An application's principal in a directory.
struct Person {
    client_id: Uuid,
    oid: Uuid,
    name: String,
    /// What keeps it from signing in, if anything does.
    trouble: Option<&'static str>,
}

fn people(world: &World, directory: Uuid) -> Vec<Person> {
    let principals = world.directories.get(&directory).map(|directory| &directory.principals);
    let person = |(client_id, principal): (&Uuid, &Principal)| Person {
        client_id: *client_id,
        oid: principal.oid,
        name: name::application(world, *client_id),
        trouble: trouble(principal),
    };
    principals.into_iter().flatten().map(person).collect()
}

fn trouble(principal: &Principal) -> Option<&'static str> {
    if !principal.is_usable() {
        Some("Entra does not know it everywhere yet")
    } else if !principal.enabled {
        Some("it is disabled")
    } else if principal.blocked {
        Some("Conditional Access blocks it")
    } else {
        None
    }
}

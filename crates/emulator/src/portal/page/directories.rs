//! All directories, to choose the one that one administers.

use std::sync::Arc;

use askama::Template;
use axum::{body::Body, extract::State as Shared};
use http::Response;
use uuid::Uuid;

use super::{super::Portal, found};
use crate::portal::name;

#[derive(Template)]
#[template(path = "portal/directories.html")]
struct Page {
    directories: Vec<Line>,
}

struct Line {
    id: Uuid,
    name: String,
    vaults: usize,
}

/// `GET /`
pub(in crate::portal) async fn show(Shared(portal): Shared<Arc<Portal>>) -> Response<Body> {
    let world = portal.state.world();
    let line = |id: &Uuid| Line {
        id: *id,
        name: name::directory(&world, *id),
        vaults: world.vaults.values().filter(|vault| vault.directory == *id).count(),
    };
    let directories = world.directories.keys().map(line).collect();
    found(Some(Page { directories }))
}

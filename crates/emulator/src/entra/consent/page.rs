//! The pages: what is asked, and what is wrong with the asking.

use askama::Template;
use axum::body::Body;
use http::Response;
use uuid::Uuid;

use super::{
    super::error::TokenError,
    request::{Asked, Version},
};
use crate::{html, state::State, world::Directory};

/// Which application asks what of which directory.
#[derive(Template)]
#[template(path = "consent/ask.html")]
struct Ask<'a> {
    token: &'a str,
    application: &'a str,
    client_id: Uuid,
    /// The one that was named, or all to choose from.
    directories: Vec<Choice>,
    is_named: bool,
    scopes: Vec<&'a str>,
    is_second: bool,
    sends_back_to: String,
}

struct Choice {
    id: Uuid,
    name: Option<String>,
}

/// An error of Entra, as people see it.
#[derive(Template)]
#[template(path = "consent/trouble.html")]
struct Trouble {
    description: String,
}

/// Asks.
pub(super) fn show(state: &State, asked: &Asked) -> Response<Body> {
    let origin = asked.origin();
    let choice = |(id, directory): (&Uuid, &Directory)| Choice {
        id: *id,
        name: directory.display_name.clone(),
    };
    let directories = state
        .world()
        .directories
        .iter()
        .filter(|(id, _)| asked.directory.is_none_or(|named| named == **id))
        .map(choice)
        .collect();
    let ask = Ask {
        token: state.form_token.as_str(),
        application: &asked.application,
        client_id: asked.client_id,
        directories,
        is_named: asked.directory.is_some(),
        scopes: asked.scope.split_whitespace().collect(),
        is_second: asked.version == Version::Two,
        sends_back_to: origin.clone(),
    };
    html::page(http::StatusCode::OK, &ask, Some(&origin))
}

/// Says what is wrong, and sends nobody anywhere.
pub(super) fn trouble(error: TokenError) -> Response<Body> {
    let (status, description) = (error.status(), error.description());
    html::page(status, &Trouble { description }, None)
}

//! The page where an administrator lets an application into the directory, in both of its forms. Nobody signs in: whoever
//! reads the page is the administrator of the directory it is about.
//! <https://learn.microsoft.com/entra/identity-platform/v2-admin-consent>

mod page;
mod reply;
mod request;

use axum::body::Body;
use http::{Method, Response, StatusCode, request::Parts};
use uuid::Uuid;

use self::request::{Asked, Version};
use super::{error::TokenError, segments};
use crate::{
    form::Form,
    html::{self, plain},
    state::State,
};

/// Answers what belongs to the consent page; `None` if something else was asked for.
pub(crate) fn answer(state: &State, head: &Parts, body: &[u8]) -> Option<Response<Body>> {
    let path = head.uri.path();
    if head.method == Method::GET
        && let Some(asset) = html::asset(path)
    {
        return Some(asset);
    }
    let (tenant, version) = match segments(path).as_slice() {
        [tenant, "adminconsent"] => (*tenant, Version::One),
        [tenant, "v2.0", "adminconsent"] => (*tenant, Version::Two),
        _ => return None,
    };
    let query = head.uri.query().unwrap_or_default();
    let asked = Asked::read(&state.world(), tenant, version, query);
    let answered = asked.and_then(|asked| match head.method {
        Method::GET => Ok(page::show(state, &asked)),
        Method::POST => decide(state, &asked, head, body),
        _ => Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "Consent is asked for with GET.")),
    });
    Some(answered.unwrap_or_else(page::trouble))
}

/// Does what the administrator decided, and sends it back to the application.
fn decide(state: &State, asked: &Asked, head: &Parts, body: &[u8]) -> Result<Response<Body>, TokenError> {
    let Ok(form) = Form::accept(head, body, &state.form_token) else {
        return Ok(plain(StatusCode::FORBIDDEN, "This was not sent from the consent page."));
    };
    if form.text("decision") != "accept" {
        return reply::declined(asked);
    }
    let chosen = form.text("directory");
    let directory = match asked.directory {
        Some(directory) => directory,
        None => chosen
            .parse()
            .map_err(|_: uuid::Error| TokenError::tenant_not_found(chosen))?,
    };
    consent(state, directory, asked.client_id)?;
    reply::accepted(asked, directory)
}

/// The principal may be used after the time that the world's consents take.
fn consent(state: &State, directory: Uuid, client_id: Uuid) -> Result<(), TokenError> {
    state.change(|world| {
        if !world.directories.contains_key(&directory) {
            return Err(TokenError::tenant_not_found(&directory.to_string()));
        }
        let after_seconds = world.propagation.consent_seconds;
        world.consent(directory, client_id, "", &[], after_seconds);
        Ok(())
    })
}

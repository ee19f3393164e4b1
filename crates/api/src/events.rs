//! Events of Azure's Event Grid about customers' keys: that there is a new version, or that one expires.
//!
//! An event is a hint and no more: whoever looks after the key looks at it sooner. What an event says is never believed, so a
//! forged, late, doubled or lost one does no harm; no address that a delivery names is ever called. Nothing tells of a key that
//! is disabled, of a role that is removed or of a consent that is withdrawn, so keys are looked at in any case.

mod document;
mod handshake;
mod intake;
mod key;
mod proof;

use std::collections::HashSet;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keyferry_crypto::id::KeyRef;

pub use self::intake::Events;
use self::{document::Schema, proof::Authentic};
use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// The routes. They are not part of the API's description: they are for Event Grid.
pub(crate) fn router() -> Router<App> {
    Router::new().route(PATH, post(receive).options(handshake::announce))
}

/// Takes a delivery.
async fn receive(
    State(app): State<App>,
    authentic: Authentic,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let _place = authentic.events.enter()?;
    let schema = Schema::of(&headers)?;
    let body = whole(&app, body).await?;
    let events = document::parsed(schema, &body)?;
    if handshake::is_validation(&headers) {
        return handshake::validate(&events);
    }
    let keys = key::named(&events)?;
    let hinted = hint(&app, &authentic.events, &keys).await?;
    tracing::debug!(
        events = events.len(),
        keys = keys.len(),
        hinted,
        "events of Event Grid were taken"
    );
    Ok(StatusCode::OK.into_response())
}

/// Has these keys looked at, but those that were hinted at a moment ago. How many tenants' keys those are.
async fn hint(app: &App, events: &Events, keys: &HashSet<KeyRef>) -> Result<u64, Problem> {
    let _turn = events.turn().await;
    let mut hinted = 0;
    for key in keys.iter().filter(|key| !events.was_hinted_at(key)) {
        let tenants = app.store().hint(key).await?;
        if tenants > 0 {
            events.note_hint(key);
        }
        hinted += tenants;
    }
    Ok(hinted)
}

/// The whole body, if it is not longer than Event Grid makes them and arrives in time.
async fn whole(app: &App, body: Body) -> Result<Bytes, Problem> {
    let reading = Limited::new(body, MAX_DELIVERY).collect();
    match tokio::time::timeout(app.body_limits().timeout(), reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::because(
            Kind::BodyTooLarge,
            format!("A delivery has at most {MAX_DELIVERY} bytes."),
        )),
        Ok(Err(_)) => Err(Problem::new(Kind::BodyIncomplete)),
        Err(_) => Err(Problem::new(Kind::BodyTimeout)),
    }
}

/// Where events are delivered.
pub(crate) const PATH: &str = "/v1/events/azure";
/// In bytes: Event Grid's longest batch and its largest event are 1 MiB each.
/// <https://learn.microsoft.com/azure/event-grid/delivery-and-retry#output-batching>
const MAX_DELIVERY: usize = 2 << 20;

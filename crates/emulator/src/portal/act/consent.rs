//! Letting an application in, and out again.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as Shared},
};
use http::Response;
use uuid::Uuid;

use super::{
    super::{Portal, name, sent::Sent},
    directory_page, id, propagates,
};
use crate::{
    order::{Order, carry_out},
    state::State,
};

/// `POST /directories/{directory}/consent`: `client_id`. It is what `az ad sp create --id` does.
pub(in crate::portal) async fn give(
    Shared(portal): Shared<Arc<Portal>>,
    Path(directory): Path<Uuid>,
    Sent(form): Sent,
) -> Response<Body> {
    let act = move |state: &State| {
        let client_id = id(&form, "client_id")?;
        let (who, seconds) = {
            let world = state.world();
            (name::application(&world, client_id), world.propagation.consent_seconds)
        };
        let consent = Order::Consent {
            directory,
            client_id,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds: seconds,
        };
        carry_out(state, consent)?;
        Ok(format!("{who} was let into the directory.{}", propagates(seconds)))
    };
    portal.act(directory_page(directory), act).await
}

/// `POST /directories/{directory}/withdrawal`: `client_id`.
pub(in crate::portal) async fn withdraw(
    Shared(portal): Shared<Arc<Portal>>,
    Path(directory): Path<Uuid>,
    Sent(form): Sent,
) -> Response<Body> {
    let act = move |state: &State| {
        let client_id = id(&form, "client_id")?;
        let who = name::application(&state.world(), client_id);
        carry_out(state, Order::WithdrawConsent { directory, client_id })?;
        Ok(format!("Consent to {who} was withdrawn."))
    };
    portal.act(directory_page(directory), act).await
}

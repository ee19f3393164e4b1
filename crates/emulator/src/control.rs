//! The control port: plain HTTP on loopback, for tests in any language. `docs/emulator.md` is its reference.

use std::{io, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State as Shared},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    arm, entra,
    order::{Order, carry_out},
    state::State,
};

/// Serves the control port until told to stop.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) -> io::Result<()> {
    let router = Router::new()
        .route("/orders", post(orders))
        .route(
            "/calls",
            get(|Shared(state): Shared<Arc<State>>| async move { Json(state.calls.list()) }),
        )
        .route(
            "/faults",
            get(|Shared(state): Shared<Arc<State>>| async move { Json(state.faults.list()) }),
        )
        .route(
            "/event-subscriptions",
            get(|Shared(state): Shared<Arc<State>>| async move { Json(state.events.list()) }),
        )
        .route("/hosts", get(hosts))
        .route("/ca.pem", get(ca))
        .route("/managed-identity/{directory}/{client_id}", get(managed_identity))
        .with_state(state);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// One order or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Orders {
    Many(Vec<Order>),
    One(Box<Order>),
}

async fn orders(Shared(state): Shared<Arc<State>>, Json(given): Json<Value>) -> Response {
    // Read in two steps, so that the error names the field and not only that neither form fits.
    let given = match given {
        Value::Array(list) => list
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<Vec<_>, _>>()
            .map(Orders::Many),
        one => serde_json::from_value(one).map(Box::new).map(Orders::One),
    };
    let given = match given {
        Ok(given) => given,
        Err(error) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    };
    let done = tokio::task::spawn_blocking(move || match given {
        Orders::One(order) => carry_out(&state, *order),
        Orders::Many(list) => list
            .into_iter()
            .map(|order| carry_out(&state, order))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array),
    });
    match done.await {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(error)) => refuse(StatusCode::CONFLICT, &error.to_string()),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the order was not carried out"),
    }
}

/// The names that Azure's DNS would know: the login hosts' and the resource managers', and every vault's that is not purged.
async fn hosts(Shared(state): Shared<Arc<State>>) -> Json<Vec<String>> {
    let vaults: Vec<_> = state.world().vaults.keys().cloned().collect();
    let fixed = entra::login_hosts().chain(arm::manager_hosts());
    Json(fixed.map(str::to_owned).chain(vaults).collect())
}

async fn ca(Shared(state): Shared<Arc<State>>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/x-pem-file")],
        state.ca_pem().to_owned(),
    )
}

#[derive(Deserialize)]
struct Resource {
    resource: String,
}

/// What `IDENTITY_ENDPOINT` points to on a machine with a managed identity.
async fn managed_identity(
    Shared(state): Shared<Arc<State>>,
    axum::extract::Path((directory, client_id)): axum::extract::Path<(Uuid, Uuid)>,
    Query(Resource { resource }): Query<Resource>,
) -> Response {
    match entra::mint_managed_identity(&state, directory, client_id, &resource) {
        Some(token) => Json(token).into_response(),
        None => refuse(StatusCode::BAD_REQUEST, "there is no such identity"),
    }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}

//! What machines that run Keyferry ask: is it alive, is it ready, what does it count. Needs no token and tells no secret; on
//! an address of its own if `http.ops_listen` says so.

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use serde::Serialize;

use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// The routes.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed))
}

/// Whether requests should come here, and if not, why.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "a list of independent yes and no, as JSON")]
struct Readiness {
    ready: bool,
    /// Whether the service is not on its way out.
    serving: bool,
    /// Whether the tenants have been read once. (With the database down later, known tenants keep working.)
    registry: bool,
    /// Whether every directory's signing keys are there.
    identity_provider: bool,
}

async fn ready(State(app): State<App>) -> impl IntoResponse {
    let (serving, registry, identity_provider) = (
        !app.is_draining(),
        app.registry().stats().loaded,
        app.callers().are_ready(),
    );
    let ready = serving && registry && identity_provider;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(Readiness {
            ready,
            serving,
            registry,
            identity_provider,
        }),
    )
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        app.metrics().scrape(),
    )
}

//! Which path leads where.

use axum::{Router, middleware::from_fn_with_state};

use crate::{
    app::App,
    edge, openapi, ops,
    problem::{Kind, Problem},
};

/// Everything that callers and operators ask for.
pub fn api(app: &App) -> Router {
    let (routes, description) = openapi::described();
    routes
        .merge(openapi::router(&description))
        // Said here, since of two routers without a fallback the one that is merged last gives its own, which has no edge.
        .fallback(async || Problem::new(Kind::RouteNotFound))
        .layer(from_fn_with_state(app.clone(), edge::handle))
        .with_state(app.clone())
}

/// What machines ask for.
pub fn ops(app: &App) -> Router {
    ops::router().with_state(app.clone())
}

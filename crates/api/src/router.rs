//! Which path leads where.

use axum::{Router, middleware::from_fn_with_state};

use crate::{
    app::App,
    edge, events, onboarding, openapi, ops,
    problem::{Kind, Problem},
};

/// Everything that callers and operators ask for.
pub fn api(app: &App) -> Router {
    let (routes, description) = openapi::described();
    let routes = match app.events() {
        Some(_) => routes.merge(events::router()),
        None => routes,
    };
    let api = routes
        .merge(openapi::router(&description))
        // Said here, since of two routers without a fallback the one that is merged last gives its own, which has no edge.
        .fallback(nowhere)
        .layer(from_fn_with_state(app.clone(), edge::handle))
        .with_state(app.clone());
    match app.pages() {
        Some(_) => api.merge(for_browsers(app)),
        None => api,
    }
}

/// The same, and what machines ask for.
pub fn all(app: &App) -> Router {
    api(app).merge(for_machines(ops::router(), app))
}

/// What machines ask for, and nothing else.
pub fn ops(app: &App) -> Router {
    for_machines(ops::router().fallback(nowhere), app)
}

/// What customers' browsers ask for.
fn for_browsers(app: &App) -> Router {
    onboarding::router(app)
        .layer(from_fn_with_state(app.clone(), edge::handle_page))
        .with_state(app.clone())
}

fn for_machines(routes: Router<App>, app: &App) -> Router {
    routes
        .layer(from_fn_with_state(app.clone(), edge::handle_machine))
        .with_state(app.clone())
}

async fn nowhere() -> Problem {
    Problem::new(Kind::RouteNotFound)
}

//! The customer's page: what a customer's administrator is led through, live.
//!
//! Whoever has the link may act on the page, so it is treated as a secret: it stands in the page's own addresses and nowhere
//! else, no page is kept by anybody, and nothing on one comes from or leads to another place without being asked for. Every
//! page is whole without JavaScript; with it, it follows what happens and reads answers as they are typed.
//!
//! What came with a request is never a place to go to: redirects lead to pages of ours and to the sign-in page of the
//! customer's cloud.

mod answers;
mod assets;
mod consent;
mod download;
mod events;
mod failure;
mod fields;
mod form;
mod headers;
mod holder;
mod parse;
mod rates;
mod retry_endpoint;
mod same_origin;
mod show;
mod streams;
mod trouble;
mod under_way;
mod verify;
mod view;

use std::sync::Arc;

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use keyferry_onboarding::{Onboardings, link::LinkToken};
use keyferry_registry::tenant::Slug;

use self::{assets::Assets, rates::Rates, streams::Streams, under_way::UnderWay, view::Frame};
pub(crate) use self::{failure::failed, form::Form};
use crate::{app::App, config::PageConfig, problem::Problem};

/// What customers' pages are made with.
pub(crate) struct Pages {
    onboardings: Arc<Onboardings>,
    assets: Assets,
    rates: Rates,
    streams: Arc<Streams>,
    under_way: UnderWay,
}

impl Pages {
    pub(crate) fn new(onboardings: &Arc<Onboardings>, config: &PageConfig) -> Self {
        Self {
            onboardings: Arc::clone(onboardings),
            assets: Assets::new(config),
            rates: Rates::new(),
            streams: Arc::default(),
            under_way: UnderWay::new(),
        }
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Whether a slug that is no tenant's is that of an onboarding under way.
    pub(crate) async fn is_under_way(&self, slug: &Slug) -> Result<bool, Problem> {
        self.under_way.has(&self.onboardings, slug).await
    }

    /// What all pages have in common.
    fn frame(&self) -> Frame<'_> {
        let config = self.onboardings.config();
        Frame {
            platform: &config.platform_name,
            support: config.support.as_ref().map(url::Url::as_str),
            assets: &self.assets,
        }
    }
}

/// The pages' routes.
pub(crate) fn router(app: &App) -> Router<App> {
    Router::new()
        .route("/onboarding/{token}", get(show::show))
        .route("/onboarding/{token}/answers", post(answers::answer).get(show::again))
        .route("/onboarding/{token}/parse", post(parse::parse))
        .route("/onboarding/{token}/verify", post(verify::verify).get(show::again))
        .route("/onboarding/{token}/consent", post(consent::begin).get(show::again))
        .route(
            "/onboarding/{token}/private-endpoint",
            post(retry_endpoint::retry).get(show::again),
        )
        .route("/onboarding/{token}/events", get(events::events))
        .route("/onboarding/{token}/instructions/{form}", get(download::download))
        .route("/onboarding/consent", get(consent::end))
        .layer(from_fn_with_state(app.clone(), failure::dress))
        .route("/onboarding/assets/{file}", get(assets::serve))
}

/// Sends a browser back to its page, to one of its parts.
fn back(token: &LinkToken, part: &str) -> Response {
    Redirect::to(&format!("/onboarding/{}#{part}", token.expose())).into_response()
}

//! Whoever holds a good link. Holding one of these is the proof.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use http::request::Parts;
use keyferry_onboarding::link::{LinkError, LinkToken};
use keyferry_registry::onboarding::Onboarding;

use super::{Pages, trouble::Trouble};
use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// A good link, and the onboarding that it opens.
pub(super) struct Holder {
    /// The link, for the page's own addresses.
    pub(super) token: LinkToken,
    /// The onboarding, as it was when the request came.
    pub(super) onboarding: Onboarding,
}

impl FromRequestParts<App> for Holder {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Trouble> {
        let pages = pages(app)?;
        let parameters = RawPathParams::from_request_parts(parts, app).await;
        let parameters = parameters.map_err(|_| Trouble::NoSuchLink)?;
        let named = parameters.iter().find(|(name, _)| *name == "token");
        let token = LinkToken::from_path(named.ok_or(Trouble::NoSuchLink)?.1);
        let onboarding = match pages.onboardings.behind(&token).await {
            Ok(onboarding) => onboarding,
            // Guessing costs us little, as nothing is looked up for it; so who guesses is told so, and nobody else is kept out.
            Err(LinkError::Forged) => {
                pages.rates.guess(address(parts))?;
                return Err(Trouble::NoSuchLink);
            }
            Err(LinkError::Expired | LinkError::Closed) => return Err(Trouble::LinkOver),
            Err(LinkError::Registry(error)) => return Err(Trouble::Problem(error.into())),
        };
        pages.rates.look(onboarding.tenant)?;
        tracing::Span::current().record("tenant.id", tracing::field::display(onboarding.tenant));
        Ok(Self { token, onboarding })
    }
}

/// The pages, which are there where there are routes to them.
pub(super) fn pages(app: &App) -> Result<&Pages, Problem> {
    app.pages().ok_or_else(|| Problem::new(Kind::RouteNotFound))
}

/// Who is connected to us: the browser, or what stands before us. It is used only to slow down guessing.
fn address(parts: &Parts) -> Option<IpAddr> {
    let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    connected.map(|ConnectInfo(address)| address.ip())
}

//! The customer's portal: where a person acts as a customer's administrator, with a browser and no script. The consent page
//! answers here, too, since a browser trusts no certificate of the emulator's and finds the real Entra by its name.
//!
//! Plain HTTP on loopback. Whoever reaches it is everyone's administrator, so a browser is kept from being sent here by
//! other sites: the host must be a name of this machine, and what is posted must come from a page of ours.

mod act;
mod guard;
mod name;
mod notice;
mod page;
mod sent;

use std::{io, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State as Shared},
    middleware,
    routing::{get, post},
};
use http::{Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::notice::{Notice, Notices};
use crate::{entra, html, order::OrderError, state::State};

/// The portal, and what it has to tell.
struct Portal {
    state: Arc<State>,
    notices: Notices,
}

/// Why something was not done, as people are told.
#[derive(Debug)]
struct Refused(String);

/// Serves the portal until told to stop.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) -> io::Result<()> {
    let portal = Arc::new(Portal {
        state,
        notices: Notices::default(),
    });
    let router = Router::new()
        .route("/", get(page::directories::show))
        .route("/directories/{directory}", get(page::directory::show))
        .route("/directories/{directory}/vaults", post(act::vaults::create))
        .route("/directories/{directory}/consent", post(act::consent::give))
        .route("/directories/{directory}/withdrawal", post(act::consent::withdraw))
        .route("/vaults/{host}", get(page::vault::show))
        .route("/vaults/{host}/keys", post(act::keys::create))
        .route("/vaults/{host}/keys/{name}/{change}", post(act::keys::change))
        .route("/vaults/{host}/roles", post(act::roles::assign))
        .route("/vaults/{host}/roles/removal", post(act::roles::unassign))
        .route("/vaults/{host}/access", post(act::access::switch))
        .route("/vaults/{host}/policies", post(act::access::set_policy))
        .route("/vaults/{host}/purge-protection", post(act::settings::protect))
        .route("/vaults/{host}/network", post(act::settings::set_network))
        .route(
            "/vaults/{host}/connections/{connection}/{decision}",
            post(act::connections::decide),
        )
        .fallback(consent_or_nothing)
        .layer(middleware::from_fn(guard::only_this_machine))
        .with_state(portal);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// The consent page, at the paths that it has at Entra.
async fn consent_or_nothing(Shared(portal): Shared<Arc<Portal>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, sent::LIMIT).await else {
        return sent::too_long();
    };
    entra::consent::answer(&portal.state, &head, &body).unwrap_or_else(page::nothing)
}

impl Portal {
    /// Does something, which may make a key and so is kept off the async threads, and sends the browser back to a page that
    /// says what came of it.
    async fn act(
        self: Arc<Self>,
        back: String,
        act: impl FnOnce(&State) -> Result<String, Refused> + Send + 'static,
    ) -> Response<Body> {
        let portal = Arc::clone(&self);
        let done = tokio::task::spawn_blocking(move || act(&portal.state)).await;
        let notice = match done {
            Ok(Ok(said)) => Notice::done(said),
            Ok(Err(Refused(why))) => Notice::refused(why),
            Err(_) => Notice::refused("It was not done.".to_owned()),
        };
        let said = self.notices.keep(notice);
        html::redirect(StatusCode::SEE_OTHER, &format!("{back}?said={said}")).unwrap_or_else(page::nothing)
    }
}

impl From<OrderError> for Refused {
    fn from(error: OrderError) -> Self {
        Self(format!("It was not done: {error}."))
    }
}

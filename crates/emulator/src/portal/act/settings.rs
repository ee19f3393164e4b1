//! What a vault's owner sets once: purge protection, and who may connect.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as Shared},
};
use http::Response;

use super::{
    super::{Portal, Refused, sent::Sent},
    vault_page,
};
use crate::{
    order::{Order, carry_out},
    state::State,
    world::Network,
};

/// `POST /vaults/{host}/purge-protection`: turned on, for ever.
pub(in crate::portal) async fn protect(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Sent(_): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let act = move |state: &State| {
        carry_out(state, Order::ProtectVault { host })?;
        Ok("Purge protection was turned on. It cannot be turned off again.".to_owned())
    };
    portal.act(back, act).await
}

/// `POST /vaults/{host}/network`: `network`, `open` or `closed`.
pub(in crate::portal) async fn set_network(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Sent(form): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let act = move |state: &State| {
        let (network, said) = match form.text("network") {
            "open" => (Network::Open, "The vault takes connections from all networks now."),
            "closed" => (Network::Closed, "The vault was closed to public networks."),
            other => return Err(Refused(format!("A network cannot be “{other}”."))),
        };
        carry_out(state, Order::SetNetwork { host, network })?;
        Ok(said.to_owned())
    };
    portal.act(back, act).await
}

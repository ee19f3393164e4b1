//! Private endpoint connections: approved, rejected, removed.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as Shared},
};
use http::Response;

use super::{
    super::{Portal, page, sent::Sent},
    vault_page,
};
use crate::{
    order::{Order, carry_out},
    state::State,
    world::Decision,
};

/// `POST /vaults/{host}/connections/{connection}/{approve|reject|remove}`: `description`, which the other side reads.
pub(in crate::portal) async fn decide(
    Shared(portal): Shared<Arc<Portal>>,
    Path((host, connection, decision)): Path<(String, String, String)>,
    Sent(form): Sent,
) -> Response<Body> {
    let (decision, done) = match decision.as_str() {
        "approve" => (Decision::Approve, "approved"),
        "reject" => (Decision::Reject, "rejected"),
        "remove" => (Decision::Remove, "removed"),
        _ => return page::nothing(),
    };
    let back = vault_page(&host);
    let act = move |state: &State| {
        let decide = Order::DecideConnection {
            host,
            connection,
            decision,
            description: form.text("description").to_owned(),
        };
        carry_out(state, decide)?;
        Ok(format!("The private endpoint connection was {done}."))
    };
    portal.act(back, act).await
}

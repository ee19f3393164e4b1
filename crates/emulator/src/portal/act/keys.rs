//! Keys: made, enabled, disabled, deleted, recovered.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as Shared},
};
use http::Response;

use super::{
    super::{Portal, Refused, page, sent::Sent},
    vault_page,
};
use crate::{
    order::{Order, carry_out},
    state::State,
};

/// `POST /vaults/{host}/keys`: `name`, `bits`. A name that is taken gets a new version.
pub(in crate::portal) async fn create(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Sent(form): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let act = move |state: &State| {
        let (name, bits) = (form.text("name").to_owned(), form.text("bits"));
        let bits = bits
            .parse()
            .map_err(|_| Refused(format!("“{bits}” is no size of a key.")))?;
        if is_deleted(state, &host, &name) {
            return Err(Refused(format!(
                "The key {name} was deleted and can be recovered: its name is not free."
            )));
        }
        let said = format!("The key {name} was created.");
        carry_out(state, Order::CreateKey { host, name, bits })?;
        Ok(said)
    };
    portal.act(back, act).await
}

fn is_deleted(state: &State, host: &str, name: &str) -> bool {
    let world = state.world();
    let key = world.vaults.get(host).and_then(|vault| vault.keys.get(name));
    key.is_some_and(|key| key.deleted_at.is_some())
}

/// `POST /vaults/{host}/keys/{name}/{enable|disable|delete|recover}`; for the first two with the `version`, or the latest.
pub(in crate::portal) async fn change(
    Shared(portal): Shared<Arc<Portal>>,
    Path((host, name, change)): Path<(String, String, String)>,
    Sent(form): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let set = |enabled| Order::SetKey {
        host: host.clone(),
        name: name.clone(),
        version: form.text("version").to_owned(),
        enabled: Some(enabled),
        nbf: None,
        exp: None,
        key_ops: None,
    };
    let (order, done) = match change.as_str() {
        "enable" => (set(true), "enabled"),
        "disable" => (set(false), "disabled"),
        "delete" => (
            Order::DeleteKey {
                host,
                name: name.clone(),
            },
            "deleted",
        ),
        "recover" => (
            Order::RecoverKey {
                host,
                name: name.clone(),
            },
            "recovered",
        ),
        _ => return page::nothing(),
    };
    let act = move |state: &State| {
        carry_out(state, order)?;
        Ok(format!("The key {name} was {done}."))
    };
    portal.act(back, act).await
}

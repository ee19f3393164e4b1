//! Roles or access policies, and the policies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{Path, State as Shared},
};
use http::Response;
use uuid::Uuid;

use super::{
    super::{Portal, Refused, sent::Sent},
    id, principal, vault_page,
};
use crate::{
    order::{Order, OrderError, carry_out},
    state::State,
};

/// `POST /vaults/{host}/access`: `mode`, `roles` or `policies`. Whoever has access by the other one loses it.
pub(in crate::portal) async fn switch(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Sent(form): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let act = move |state: &State| {
        let (access_policies, said) = match form.text("mode") {
            "roles" => (None, "The vault goes by roles now."),
            "policies" => (
                Some(BTreeMap::new()),
                "The vault goes by access policies now, and has none yet.",
            ),
            other => return Err(Refused(format!("A vault does not go by “{other}”."))),
        };
        carry_out(state, Order::SetAccessPolicies { host, access_policies })?;
        Ok(said.to_owned())
    };
    portal.act(back, act).await
}

/// `POST /vaults/{host}/policies`: `principal` and each `permission`. Without any, its policy is taken away.
pub(in crate::portal) async fn set_policy(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Sent(form): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let act = move |state: &State| {
        let oid = id(&form, "principal")?;
        let permissions: BTreeSet<_> = form.all("permission").map(str::to_owned).collect();
        if let Some(unknown) = permissions.iter().find(|given| !PERMISSIONS.contains(&given.as_str())) {
            return Err(Refused(format!("There is no permission “{unknown}”.")));
        }
        let said = describe(state, &host, oid, &permissions);
        let mut access_policies = policies(state, &host)?;
        if permissions.is_empty() {
            access_policies.remove(&oid);
        } else {
            access_policies.insert(oid, permissions);
        }
        let access_policies = Some(access_policies);
        carry_out(state, Order::SetAccessPolicies { host, access_policies })?;
        Ok(said)
    };
    portal.act(back, act).await
}

fn policies(state: &State, host: &str) -> Result<BTreeMap<Uuid, BTreeSet<String>>, Refused> {
    let world = state.world();
    let vault = world.vaults.get(host).ok_or(OrderError::Missing("vault"))?;
    let by_roles = || Refused("The vault goes by roles: switch it to access policies first.".to_owned());
    vault.options.access_policies.clone().ok_or_else(by_roles)
}

fn describe(state: &State, host: &str, oid: Uuid, permissions: &BTreeSet<String>) -> String {
    let who = principal(&state.world(), host, oid);
    if permissions.is_empty() {
        return format!("The access policy of {who} was taken away.");
    }
    let permissions: Vec<_> = permissions.iter().map(String::as_str).collect();
    format!("{who} has a policy with {} now.", permissions.join(", "))
}

/// What an access policy can permit, as Azure writes it; those that concern anything but keys name what they concern.
pub(in crate::portal) const PERMISSIONS: [&str; 19] = [
    "get",
    "list",
    "create",
    "import",
    "update",
    "delete",
    "recover",
    "purge",
    "backup",
    "rotate",
    "getrotationpolicy",
    "setrotationpolicy",
    "encrypt",
    "decrypt",
    "wrapKey",
    "unwrapKey",
    "sign",
    "verify",
    "secrets/list",
];

//! Role assignments: given, and taken away.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State as Shared},
};
use http::Response;

use super::{
    super::{Portal, Refused, name, sent::Sent},
    id, principal, propagates, role_seconds, vault_page,
};
use crate::{
    form::Form,
    order::{Order, OrderError, carry_out},
    state::State,
    world::Assignment,
};

/// `POST /vaults/{host}/roles`: `principal`, `role`, `scope` (`vault` or `key:{name}`).
pub(in crate::portal) async fn assign(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Sent(form): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let act = move |state: &State| {
        let (assignment, seconds) = (assignment(&form)?, role_seconds(state));
        let (what, who) = describe(state, &host, &assignment);
        let assign = Order::Assign {
            host,
            assignment,
            works_after_seconds: seconds,
        };
        carry_out(state, assign)?;
        Ok(format!("{who} was given {what}.{}", propagates(seconds)))
    };
    portal.act(back, act).await
}

/// `POST /vaults/{host}/roles/removal`, with the same fields. What was taken away works on for as long as changes take.
pub(in crate::portal) async fn unassign(
    Shared(portal): Shared<Arc<Portal>>,
    Path(host): Path<String>,
    Sent(form): Sent,
) -> Response<Body> {
    let back = vault_page(&host);
    let act = move |state: &State| {
        let (assignment, seconds) = (assignment(&form)?, role_seconds(state));
        let (what, who) = describe(state, &host, &assignment);
        state.change(|world| {
            let vault = world.vaults.get_mut(&host).ok_or(OrderError::Missing("vault"))?;
            vault.unassign(&assignment, seconds);
            Ok::<_, OrderError>(())
        })?;
        Ok(format!("{what} was taken away from {who}.{}", propagates(seconds)))
    };
    portal.act(back, act).await
}

fn assignment(form: &Form) -> Result<Assignment, Refused> {
    let principal = id(form, "principal")?;
    let (role, scope) = (form.text("role"), form.text("scope"));
    Ok(Assignment {
        principal,
        role: name::read_role(role).ok_or_else(|| Refused(format!("There is no role “{role}”.")))?,
        scope: name::read_scope(scope).ok_or_else(|| Refused(format!("A role cannot hold for “{scope}”.")))?,
    })
}

fn describe(state: &State, host: &str, assignment: &Assignment) -> (String, String) {
    let (role, scope) = (name::role(assignment.role), name::scope(&assignment.scope));
    let who = principal(&state.world(), host, assignment.principal);
    (format!("{role} on {scope}"), who)
}

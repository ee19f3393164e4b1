//! Suspends a tenant.

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    AdministeredSlug, ToChange,
    revision::IfMatch,
    tenant_json::{Refusals, TenantDocument},
};
use crate::{app::App, problem::Problem};

/// Suspends a tenant: nothing is sealed or opened for it until it is resumed.
#[utoipa::path(
    post,
    path = "/v1/admin/tenants/{tenant}/suspend",
    tag = "admin",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("if-match" = String, Header, description = "The tenant's `etag`"),
    ),
    responses((status = 200, description = "Done", body = TenantDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn suspend_tenant(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToChange>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let suspended = super::change(&app, &slug, &if_match, |tenant| {
        tenant.suspend().map_err(|error| {
            let mut refusals = Refusals::default();
            refusals.note(error);
            refusals.into_problem()
        })
    });
    Ok(super::answer(StatusCode::OK, &suspended.await?))
}

//! Deletes a tenant, in time.

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{AdministeredSlug, ToChange, revision::IfMatch, tenant_json::TenantDocument};
use crate::{app::App, problem::Problem};

/// Stops a tenant's use at once, and removes it for good at `purge_at`; until then `resume` takes it back.
#[utoipa::path(
    delete,
    path = "/v1/admin/tenants/{tenant}",
    tag = "admin",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("if-match" = String, Header, description = "The tenant's `etag`"),
    ),
    responses((status = 202, description = "To be removed at `purge_at`", body = TenantDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn delete_tenant(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToChange>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let (now, window) = ((app.clock())(), app.deletion_window());
    let deleted = super::change(&app, &slug, &if_match, |tenant| {
        tenant.delete(now, window);
        Ok(())
    });
    Ok(super::answer(StatusCode::ACCEPTED, &deleted.await?))
}

//! Resumes a tenant.

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{AdministeredSlug, ToChange, revision::IfMatch, tenant_json::TenantDocument};
use crate::{app::App, problem::Problem};

/// Takes a tenant into use again, out of suspension or out of deletion.
#[utoipa::path(
    post,
    path = "/v1/admin/tenants/{tenant}/resume",
    tag = "admin",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("if-match" = String, Header, description = "The tenant's `etag`"),
    ),
    responses((status = 200, description = "Done", body = TenantDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn resume_tenant(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToChange>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let resumed = super::change(&app, &slug, &if_match, |tenant| {
        tenant.resume();
        Ok(())
    });
    Ok(super::answer(StatusCode::OK, &resumed.await?))
}

//! Shows a tenant.

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{AdministeredSlug, ToRead, tenant_json::TenantDocument};
use crate::{app::App, problem::Problem, tenant::unknown};

/// Shows a tenant, fresh from the registry.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants/{tenant}",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 200, description = "The tenant", body = TenantDocument, headers(("etag", description = "The revision")))),
)]
pub(super) async fn get_tenant(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToRead>,
) -> Result<Response, Problem> {
    let tenant = app.registry().find(&slug).await?.ok_or_else(unknown)?;
    Ok(super::answer(StatusCode::OK, &tenant))
}

//! Has a tenant's key looked at.

use axum::{Json, extract::State};
use http::StatusCode;

use super::key_json::KeyHealthDocument;
use crate::{
    admin::{AdministeredSlug, ToChange},
    app::App,
    problem::Problem,
    tenant::unknown,
};

/// Has a tenant's key looked at as soon as may be, and answers how it is until then.
#[utoipa::path(
    post,
    path = "/v1/admin/tenants/{tenant}/key/look",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 202, description = "It will be looked at; this is how it was", body = KeyHealthDocument)),
)]
pub(super) async fn look_at_tenant_key(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToChange>,
) -> Result<(StatusCode, Json<KeyHealthDocument>), Problem> {
    let tenant = super::tenant(&app, &slug).await?;
    if !app.store().look_soon(tenant.keys.tenant).await? {
        return Err(unknown());
    }
    let shown = super::shown(&app, &tenant).await?;
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

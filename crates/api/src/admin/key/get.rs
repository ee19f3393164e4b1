//! Shows how a tenant's key is.

use axum::{Json, extract::State};

use super::key_json::KeyHealthDocument;
use crate::{
    admin::{AdministeredSlug, ToRead},
    app::App,
    problem::Problem,
};

/// Shows how a tenant's key is, as it was last found out, by whichever replica.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants/{tenant}/key",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 200, description = "How the key is", body = KeyHealthDocument)),
)]
pub(super) async fn get_tenant_key(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToRead>,
) -> Result<Json<KeyHealthDocument>, Problem> {
    let tenant = super::tenant(&app, &slug).await?;
    super::shown(&app, &tenant).await.map(Json)
}

//! How tenants' keys are, as it was last found out, and what happened to them: one file per operation.

mod acknowledgements;
mod events;
mod get;
mod key_json;
mod look;

use keyferry_registry::{
    key::{KeyHealth, Replica},
    tenant::{Slug, Tenant},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::key_json::KeyHealthDocument;
use crate::{app::App, problem::Problem, tenant::unknown};

/// The routes.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get::get_tenant_key))
        .routes(routes!(look::look_at_tenant_key))
        .routes(routes!(events::list_tenant_key_events))
        .routes(routes!(acknowledgements::list_tenant_key_acknowledgements))
}

/// A tenant, fresh from the registry.
async fn tenant(app: &App, slug: &Slug) -> Result<Tenant, Problem> {
    app.registry().find(slug).await?.ok_or_else(unknown)
}

/// How a tenant's key is, fresh from the registry.
async fn shown(app: &App, tenant: &Tenant) -> Result<KeyHealthDocument, Problem> {
    let found: Option<KeyHealth> = app.store().key_health(tenant.keys.tenant).await?;
    let health = found.ok_or_else(unknown)?;
    let replicas = match health.owner {
        Some(_) => living(app).await?,
        None => Vec::new(),
    };
    let gauge = app.vaults().and_then(|vaults| vaults.gauge(&tenant.keys.current.vault));
    Ok(KeyHealthDocument::new(&health, &replicas, gauge, app.bound()))
}

/// The replicas that live, as far as is known.
pub(super) async fn living(app: &App) -> Result<Vec<Replica>, Problem> {
    Ok(app.store().replicas(app.alive()).await?)
}

//! Administration of tenants and of their onboardings: one file per operation.
//!
//! A tenant is changed by reading it, changing it and saving it at the revision it was read at. That revision is its `etag`, and
//! every change must name it in `if-match`, so that nobody overwrites a change that they have not seen.

mod create;
mod delete;
mod get;
mod idempotency;
mod key;
mod list;
mod onboarding;
mod page;
mod replicas;
mod resume;
mod revision;
mod suspend;
mod tenant_json;
mod update;

use std::{marker::PhantomData, sync::Arc};

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header, request::Parts};
use keyferry_registry::tenant::{Slug, Tenant};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{revision::IfMatch, tenant_json::TenantDocument};
use crate::{
    app::App,
    caller::{Caller, Role},
    problem::Problem,
    tenant::{slug, unknown},
};

/// Administration's routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_tenant, list::list_tenants))
        .routes(routes!(get::get_tenant, update::update_tenant, delete::delete_tenant))
        .routes(routes!(suspend::suspend_tenant))
        .routes(routes!(resume::resume_tenant))
        .merge(key::router())
        .routes(routes!(replicas::list_replicas))
        .merge(onboarding::router())
}

/// A caller who may administer, or read what administration shows.
pub(crate) struct Administrator<P> {
    caller: Arc<Caller>,
    purpose: PhantomData<P>,
}

/// What an administrator is about to do.
pub(crate) trait Authority: Send {
    /// The roles of which one is needed.
    const ROLES: &[Role];
}

/// To change tenants.
pub(crate) struct ToChange;
/// To read tenants.
pub(crate) struct ToRead;

impl Authority for ToChange {
    const ROLES: &[Role] = &[Role::Operator];
}

impl Authority for ToRead {
    const ROLES: &[Role] = &[Role::Reader, Role::Operator];
}

/// The slug in the path, for an administrator whose tenant it may be.
pub(crate) struct AdministeredSlug<P> {
    slug: Slug,
    purpose: PhantomData<P>,
}

impl<P: Authority> FromRequestParts<App> for Administrator<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Arc::<Caller>::from_request_parts(parts, app).await?;
        caller.require(P::ROLES)?;
        Ok(Self {
            caller,
            purpose: PhantomData,
        })
    }
}

impl<P: Authority> FromRequestParts<App> for AdministeredSlug<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let administrator = Administrator::<P>::from_request_parts(parts, app).await?;
        let slug = slug(parts, app, &administrator.caller).await?;
        Ok(Self {
            slug,
            purpose: PhantomData,
        })
    }
}

/// Reads a tenant, checks that it is as its caller last saw it, changes it and saves it.
async fn change(
    app: &App,
    slug: &Slug,
    if_match: &IfMatch,
    change: impl FnOnce(&mut Tenant) -> Result<(), Problem> + Send,
) -> Result<Tenant, Problem> {
    let mut tenant = app.registry().find(slug).await?.ok_or_else(unknown)?;
    if_match.check(tenant.revision)?;
    let before = tenant.clone();
    change(&mut tenant)?;
    if tenant == before {
        return Ok(tenant);
    }
    tenant.updated_at = (app.clock())();
    Ok(app.registry().save(&tenant).await?)
}

/// A tenant as an answer, with its `etag`.
fn answer(status: StatusCode, tenant: &Tenant) -> Response {
    let etag = [(header::ETAG, revision::etag(tenant.revision))];
    (status, etag, Json(TenantDocument::from(tenant))).into_response()
}

//! The tenant that a request is about: loaded, and usable by this caller for this purpose. Holding one is the proof.

use std::{marker::PhantomData, sync::Arc};

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use keyferry_registry::tenant::{Slug, Tenant, TenantStatus};

use crate::{
    app::App,
    caller::{Caller, Role},
    problem::{Kind, Problem},
};

/// An active tenant, for a caller who has the role that `P` names.
pub(crate) struct ActiveTenant<P> {
    /// The tenant.
    pub(crate) tenant: Arc<Tenant>,
    purpose: PhantomData<P>,
}

/// What a tenant's keys are wanted for.
pub(crate) trait Purpose: Send {
    /// The role that this takes.
    const ROLE: Role;
}

/// To seal.
pub(crate) struct ToSeal;
/// To open.
pub(crate) struct ToOpen;
/// To rewrap.
pub(crate) struct ToRewrap;

impl Purpose for ToSeal {
    const ROLE: Role = Role::Seal;
}

impl Purpose for ToOpen {
    const ROLE: Role = Role::Open;
}

impl Purpose for ToRewrap {
    const ROLE: Role = Role::Rewrap;
}

impl<P: Purpose> FromRequestParts<App> for ActiveTenant<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Arc::<Caller>::from_request_parts(parts, app).await?;
        caller.require(&[P::ROLE])?;
        let slug = slug(parts, app, &caller).await?;
        let Some(tenant) = app.registry().tenant(&slug).await? else {
            return Err(nobody(app, &slug).await?);
        };
        tracing::Span::current().record("tenant.id", tracing::field::display(tenant.keys.tenant));
        match tenant.status {
            TenantStatus::Active => Ok(Self {
                tenant,
                purpose: PhantomData,
            }),
            TenantStatus::Suspended => Err(Problem::new(Kind::TenantSuspended).concerning(tenant.keys.tenant)),
            TenantStatus::Deleting { .. } => Err(Problem::new(Kind::TenantDeleting).concerning(tenant.keys.tenant)),
        }
    }
}

/// The slug in the path, if that tenant may exist for this caller. A slug that cannot be one is as unknown as any other.
pub(crate) async fn slug(parts: &mut Parts, app: &App, caller: &Caller) -> Result<Slug, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|_| unknown())?;
    let named = parameters.iter().find(|(name, _)| *name == "tenant");
    let slug: Slug = named.and_then(|(_, text)| text.parse().ok()).ok_or_else(unknown)?;
    if caller.may_serve(&slug) {
        Ok(slug)
    } else {
        Err(unknown())
    }
}

/// The problem of a slug that is no tenant's, though it may be one's to be.
async fn nobody(app: &App, slug: &Slug) -> Result<Problem, Problem> {
    match app.pages() {
        Some(pages) if pages.is_under_way(slug).await? => Ok(Problem::new(Kind::TenantOnboarding)),
        _ => Ok(unknown()),
    }
}

/// The same for tenants that do not exist and for tenants that are not this caller's.
pub(crate) fn unknown() -> Problem {
    Problem::new(Kind::TenantNotFound)
}

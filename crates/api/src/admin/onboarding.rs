//! Administration of onboardings: customers on their way to being tenants.
//!
//! An onboarding is changed at the revision it was read at, as a tenant is. Its checks change it too, so whoever is refused with
//! 412 reads it again.

mod change;
mod close;
mod get;
mod history;
mod instructions;
mod list;
mod new_link;
mod onboarding_json;
mod open;
mod refusal;
mod retry_endpoint;
mod revoke_link;
mod verify;

use std::{marker::PhantomData, sync::Arc};

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header, request::Parts};
use keyferry_onboarding::Onboardings;
use keyferry_registry::{
    onboarding::Onboarding,
    tenant::{Revision, Slug},
};
use time::OffsetDateTime;
use url::Url;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{onboarding_json::OnboardingDocument, refusal::refused};
use super::{
    Administrator, Authority,
    revision::{self, IfMatch},
};
use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// The routes.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(open::open_onboarding, list::list_onboardings))
        .routes(routes!(
            get::get_onboarding,
            change::change_onboarding,
            close::close_onboarding
        ))
        .routes(routes!(
            new_link::make_onboarding_link,
            revoke_link::revoke_onboarding_link
        ))
        .routes(routes!(verify::verify_onboarding))
        .routes(routes!(retry_endpoint::retry_onboarding_endpoint))
        .routes(routes!(history::list_onboarding_history))
        .routes(routes!(instructions::get_onboarding_instructions))
}

/// The onboarding that the path names, for an administrator whose tenant's it may be. Not loaded yet.
struct AdministeredOnboarding<P> {
    onboardings: Arc<Onboardings>,
    slug: Slug,
    now: OffsetDateTime,
    purpose: PhantomData<P>,
}

impl<P: Authority> FromRequestParts<App> for AdministeredOnboarding<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let administrator = Administrator::<P>::from_request_parts(parts, app).await?;
        let onboardings = configured(app)?;
        let slug = crate::tenant::slug(parts, app, &administrator.caller).await;
        Ok(Self {
            onboardings,
            slug: slug.map_err(|_| unknown())?,
            now: (app.clock())(),
            purpose: PhantomData,
        })
    }
}

impl<P> AdministeredOnboarding<P> {
    /// Loads it.
    async fn load(&self) -> Result<Onboarding, Problem> {
        let found = self.onboardings.find(&self.slug).await.map_err(refused)?;
        found.ok_or_else(unknown)
    }

    /// The revision at which it may be changed; none if any will do.
    async fn revision_in(&self, if_match: &IfMatch) -> Result<Option<Revision>, Problem> {
        if *if_match == IfMatch::Any {
            return Ok(None);
        }
        let revision = self.load().await?.revision;
        if_match.check(revision)?;
        Ok(Some(revision))
    }

    /// An onboarding as an answer, with its `etag`.
    fn answer(&self, status: StatusCode, onboarding: &Onboarding) -> Response {
        answer(status, self.document(onboarding), onboarding)
    }

    /// The same, with the link that was just made.
    fn answer_with_link(&self, status: StatusCode, onboarding: &Onboarding, link: &Url) -> Response {
        answer(status, self.document(onboarding).with_link(link), onboarding)
    }

    fn document(&self, onboarding: &Onboarding) -> OnboardingDocument {
        OnboardingDocument::new(&self.onboardings, onboarding, self.now)
    }
}

fn answer(status: StatusCode, document: OnboardingDocument, onboarding: &Onboarding) -> Response {
    let etag = [(header::ETAG, revision::etag(onboarding.revision))];
    (status, etag, Json(document)).into_response()
}

/// Onboardings, where they are configured.
fn configured(app: &App) -> Result<Arc<Onboardings>, Problem> {
    let none = || {
        Problem::because(
            Kind::RouteNotFound,
            "Onboarding is not configured here: `[onboarding]`.",
        )
    };
    app.onboardings().cloned().ok_or_else(none)
}

/// The same for onboardings that do not exist and for those that are not this caller's.
fn unknown() -> Problem {
    Problem::new(Kind::OnboardingNotFound)
}

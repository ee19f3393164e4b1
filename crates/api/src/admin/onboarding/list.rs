//! Lists onboardings, a page at a time.

use axum::{Json, extract::State};
use http::Uri;
use keyferry_registry::tenant::Slug;
use serde::Serialize;
use utoipa::ToSchema;

use super::{configured, onboarding_json::OnboardingDocument, refused};
use crate::{
    admin::{
        Administrator, ToRead,
        page::{ListQuery, cursor, page},
    },
    app::App,
    problem::Problem,
};

/// A page of onboardings, ordered by slug.
#[derive(Serialize, ToSchema)]
pub(super) struct OnboardingPage {
    /// The onboardings. There may be fewer than asked for; only the absence of `next_cursor` tells the end.
    onboardings: Vec<OnboardingDocument>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Lists onboardings that are not closed, in the order of their slugs.
#[utoipa::path(
    get,
    path = "/v1/admin/onboardings",
    tag = "onboarding",
    params(ListQuery),
    responses((status = 200, description = "A page", body = OnboardingPage)),
)]
pub(super) async fn list_onboardings(
    State(app): State<App>,
    administrator: Administrator<ToRead>,
    uri: Uri,
) -> Result<Json<OnboardingPage>, Problem> {
    let onboardings = configured(&app)?;
    let (after, limit) = page(&uri)?;
    let own: Option<Vec<Slug>> = administrator
        .caller
        .confined_to()
        .map(|own| own.iter().cloned().collect());
    // One more than asked for tells whether there is more.
    let found = onboardings.list(after.as_ref(), own.as_deref(), limit + 1).await;
    let mut found = found.map_err(refused)?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| cursor(&last.slug));
    let now = (app.clock())();
    Ok(Json(OnboardingPage {
        onboardings: found
            .iter()
            .map(|onboarding| OnboardingDocument::new(&onboardings, onboarding, now))
            .collect(),
        next_cursor,
    }))
}

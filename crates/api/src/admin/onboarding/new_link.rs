//! Makes a new link.

use axum::response::Response;
use http::StatusCode;

use super::{AdministeredOnboarding, onboarding_json::OnboardingDocument, refused};
use crate::{admin::ToChange, problem::Problem};

/// Makes a new link to the customer's page. Those before it are void at once.
#[utoipa::path(
    post,
    path = "/v1/admin/onboardings/{tenant}/link",
    tag = "onboarding",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 200, description = "The onboarding, with `link_url`", body = OnboardingDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn make_onboarding_link(asked: AdministeredOnboarding<ToChange>) -> Result<Response, Problem> {
    let (onboarding, link) = asked.onboardings.new_link(&asked.slug).await.map_err(refused)?;
    Ok(asked.answer_with_link(StatusCode::OK, &onboarding, &link))
}

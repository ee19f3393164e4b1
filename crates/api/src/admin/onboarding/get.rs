//! Shows an onboarding.

use axum::response::Response;
use http::StatusCode;

use super::{AdministeredOnboarding, onboarding_json::OnboardingDocument};
use crate::{admin::ToRead, problem::Problem};

/// Shows an onboarding that is not closed: its answers, and what its checks found.
#[utoipa::path(
    get,
    path = "/v1/admin/onboardings/{tenant}",
    tag = "onboarding",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 200, description = "The onboarding", body = OnboardingDocument, headers(("etag", description = "The revision")))),
)]
pub(super) async fn get_onboarding(asked: AdministeredOnboarding<ToRead>) -> Result<Response, Problem> {
    let onboarding = asked.load().await?;
    Ok(asked.answer(StatusCode::OK, &onboarding))
}

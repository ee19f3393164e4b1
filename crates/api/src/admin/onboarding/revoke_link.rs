//! Makes links void.

use axum::response::Response;
use http::StatusCode;

use super::{AdministeredOnboarding, onboarding_json::OnboardingDocument, refused};
use crate::{admin::ToChange, problem::Problem};

/// Makes every link to the customer's page void.
#[utoipa::path(
    delete,
    path = "/v1/admin/onboardings/{tenant}/link",
    tag = "onboarding",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 200, description = "The onboarding", body = OnboardingDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn revoke_onboarding_link(asked: AdministeredOnboarding<ToChange>) -> Result<Response, Problem> {
    let onboarding = asked.onboardings.revoke_link(&asked.slug).await.map_err(refused)?;
    Ok(asked.answer(StatusCode::OK, &onboarding))
}

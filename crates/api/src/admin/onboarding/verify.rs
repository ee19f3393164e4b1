//! Makes the checks.

use axum::response::Response;
use http::StatusCode;

use super::{AdministeredOnboarding, onboarding_json::OnboardingDocument, refused};
use crate::{admin::ToChange, problem::Problem};

/// Makes all checks now, and answers what they found. If all that is needed passes, the tenant is active.
#[utoipa::path(
    post,
    path = "/v1/admin/onboardings/{tenant}/verify",
    tag = "onboarding",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 200, description = "The onboarding", body = OnboardingDocument, headers(("etag", description = "The revision")))),
)]
pub(super) async fn verify_onboarding(asked: AdministeredOnboarding<ToChange>) -> Result<Response, Problem> {
    let tenant = asked.load().await?.tenant;
    let onboarding = asked.onboardings.verify(tenant).await.map_err(refused)?;
    Ok(asked.answer(StatusCode::OK, &onboarding))
}

//! Has a private endpoint made anew.

use axum::response::Response;
use http::StatusCode;
use keyferry_registry::onboarding::Actor;

use super::{AdministeredOnboarding, onboarding_json::OnboardingDocument, refused};
use crate::{admin::ToChange, problem::Problem};

/// Lets a rejected, disconnected or failed private endpoint be made anew.
#[utoipa::path(
    post,
    path = "/v1/admin/onboardings/{tenant}/private-endpoint",
    tag = "onboarding",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    responses((status = 200, description = "The onboarding", body = OnboardingDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn retry_onboarding_endpoint(asked: AdministeredOnboarding<ToChange>) -> Result<Response, Problem> {
    let tenant = asked.load().await?.tenant;
    let onboarding = asked
        .onboardings
        .retry_endpoint(tenant, Actor::Operator)
        .await
        .map_err(refused)?;
    Ok(asked.answer(StatusCode::OK, &onboarding))
}

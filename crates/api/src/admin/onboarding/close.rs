//! Ends an onboarding.

use axum::response::Response;
use http::StatusCode;

use super::{AdministeredOnboarding, IfMatch, onboarding_json::OnboardingDocument, refused};
use crate::{admin::ToChange, problem::Problem};

/// Gives an onboarding up, and removes what was made for it in Azure; its slug is free once that is done. One whose tenant
/// exists ends by itself when the tenant is removed.
#[utoipa::path(
    delete,
    path = "/v1/admin/onboardings/{tenant}",
    tag = "onboarding",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("if-match" = String, Header, description = "The onboarding's `etag`"),
    ),
    responses((status = 202, description = "It is closing, or closed", body = OnboardingDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn close_onboarding(
    asked: AdministeredOnboarding<ToChange>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let at = asked.revision_in(&if_match).await?;
    let closed = asked.onboardings.close(&asked.slug, at).await.map_err(refused)?;
    Ok(asked.answer(StatusCode::ACCEPTED, &closed))
}

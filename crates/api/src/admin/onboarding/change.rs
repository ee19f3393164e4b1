//! Changes an onboarding.

use axum::response::Response;
use http::StatusCode;
use keyferry_onboarding::Change;
use keyferry_registry::tenant::DisplayName;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    AdministeredOnboarding, IfMatch,
    onboarding_json::{AnswersChange, OnboardingDocument, endpoint_policy},
    refused,
};
use crate::{
    admin::{
        ToChange,
        tenant_json::{PolicyChange, Refusals},
    },
    body::JsonPayload,
    problem::Problem,
};

/// What is to change. What is absent stays as it is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChangeOnboardingRequest {
    /// Its name for people.
    display_name: Option<String>,
    /// How long the tenant's keys may be kept and used. Of no effect once the tenant exists: change the tenant.
    policy: Option<PolicyChange>,
    /// Whether there is a private endpoint: `off`, `optional` or `required`.
    endpoint_policy: Option<String>,
    /// Whether the public network may be used while the private endpoint cannot.
    allows_public_path: Option<bool>,
    /// Whether the directory that is answered is this customer's, though it is another tenant's or onboarding's too: an operator's
    /// word for what the customer typed. A directory that an operator answers needs none.
    confirm_directory: bool,
    /// Answers, in the customer's place.
    answers: AnswersChange,
}

/// Changes an onboarding. Its checks are due at once.
#[utoipa::path(
    patch,
    path = "/v1/admin/onboardings/{tenant}",
    tag = "onboarding",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("if-match" = String, Header, description = "The onboarding's `etag`"),
    ),
    request_body = ChangeOnboardingRequest,
    responses((status = 200, description = "Changed", body = OnboardingDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn change_onboarding(
    asked: AdministeredOnboarding<ToChange>,
    if_match: IfMatch,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    let request: ChangeOnboardingRequest = payload.parse()?;
    let before = asked.load().await?;
    if_match.check(before.revision)?;
    let policy = request.policy.as_ref().map(|policy| policy.apply(before.policy));
    let change = request.accept(policy)?;
    let at = (if_match != IfMatch::Any).then_some(before.revision);
    let changed = asked.onboardings.change(&asked.slug, at, change).await;
    Ok(asked.answer(StatusCode::OK, &changed.map_err(refused)?))
}

impl ChangeOnboardingRequest {
    /// Parses every field but the answers, which are read with what they belong to, and tells of all that cannot be parsed.
    fn accept(self, policy: Option<keyferry_crypto::tenant::SealingPolicy>) -> Result<Change, Problem> {
        let mut refusals = Refusals::default();
        let display_name = self.display_name.as_deref();
        let display_name: Option<DisplayName> = display_name.and_then(|text| refusals.parse("display_name", text));
        let named = self.endpoint_policy.as_deref();
        let endpoint_policy = named.and_then(|name| refusals.take("endpoint_policy", endpoint_policy(name)));
        refusals.check()?;
        Ok(Change {
            display_name,
            policy,
            endpoint_policy,
            allows_public_path: self.allows_public_path,
            confirms_directory: self.confirm_directory,
            typed: self.answers.into(),
        })
    }
}

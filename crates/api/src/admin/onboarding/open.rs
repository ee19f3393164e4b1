//! Opens an onboarding.

use axum::{extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use keyferry_crypto::tenant::SealingPolicy;
use keyferry_onboarding::NewOnboarding;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    configured,
    onboarding_json::{AnswersChange, OnboardingDocument, endpoint_policy},
    refused,
};
use crate::{
    admin::{
        Administrator, ToChange,
        idempotency::idempotency,
        tenant_json::{PolicyChange, Refusals, cloud},
    },
    app::App,
    body::JsonPayload,
    problem::{Kind, Problem},
};

/// The onboarding to be opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenOnboardingRequest {
    /// Its name in URLs, which the tenant will have: 1 to 63 of `a-z 0-9 -`, first a letter, last not a hyphen. It never
    /// changes.
    #[schema(example = "acme")]
    slug: String,
    /// Its name for people; the customer reads it on its page.
    #[schema(example = "Acme Corporation")]
    display_name: String,
    /// The cloud its vault is in: `public`, `china` or `us-government`. It never changes.
    #[serde(default = "public")]
    #[schema(default = "public")]
    cloud: String,
    /// How long the tenant's keys may be kept and used.
    #[serde(default)]
    policy: PolicyChange,
    /// Whether there is a private endpoint: `off`, `optional` or `required`.
    #[serde(default = "off")]
    #[schema(default = "off")]
    endpoint_policy: String,
    /// Whether the public network may be used while the private endpoint cannot.
    #[serde(default)]
    allows_public_path: bool,
    /// What is known of the answers already.
    #[serde(default)]
    answers: AnswersChange,
}

/// Opens an onboarding and makes its first link.
///
/// With an `idempotency-key` the same request can be repeated for a day without opening twice; a repetition is answered with
/// 200 instead of 201.
#[utoipa::path(
    post,
    path = "/v1/admin/onboardings",
    tag = "onboarding",
    params(("idempotency-key" = Option<String>, Header, description = "1 to 200 visible ASCII characters")),
    request_body = OpenOnboardingRequest,
    responses(
        (status = 201, description = "Opened, with `link_url`", body = OnboardingDocument, headers(("etag", description = "The revision"), ("location", description = "The onboarding"))),
        (status = 200, description = "Opened before, by the same request", body = OnboardingDocument),
    ),
)]
pub(super) async fn open_onboarding(
    State(app): State<App>,
    administrator: Administrator<ToChange>,
    headers: HeaderMap,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    let onboardings = configured(&app)?;
    let idempotency = idempotency(&headers, &administrator.caller, &payload)?;
    let new = payload.parse::<OpenOnboardingRequest>()?.accept()?;
    if !administrator.caller.may_serve(&new.slug) {
        return Err(Problem::new(Kind::SlugTaken));
    }
    let (opened, link) = onboardings.open(new, idempotency.as_ref()).await.map_err(refused)?;
    let status = if opened.replayed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let onboarding = &opened.onboarding;
    let document = OnboardingDocument::new(&onboardings, onboarding, (app.clock())()).with_link(&link);
    let mut response = super::answer(status, document, onboarding);
    if let Ok(location) = HeaderValue::try_from(format!("/v1/admin/onboardings/{}", onboarding.slug)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

impl OpenOnboardingRequest {
    /// Parses every field but the answers, which are read with what they belong to, and tells of all that cannot be parsed.
    fn accept(self) -> Result<NewOnboarding, Problem> {
        let mut refusals = Refusals::default();
        let slug = refusals.parse("slug", &self.slug);
        let display_name = refusals.parse("display_name", &self.display_name);
        let cloud = refusals.take("cloud", cloud(&self.cloud));
        let endpoint_policy = refusals.take("endpoint_policy", endpoint_policy(&self.endpoint_policy));
        let policy = self.policy.apply(SealingPolicy::default());
        let new = || {
            let (slug, display_name, cloud, endpoint_policy) = (slug?, display_name?, cloud?, endpoint_policy?);
            Some(NewOnboarding {
                slug,
                display_name,
                cloud,
                policy,
                endpoint_policy,
                allows_public_path: self.allows_public_path,
                typed: self.answers.into(),
            })
        };
        new().ok_or_else(|| refusals.into_problem())
    }
}

fn public() -> String {
    "public".to_owned()
}

fn off() -> String {
    "off".to_owned()
}

//! A check in JSON, told to operators.

use std::collections::BTreeMap;

use keyferry_crypto::vault::Evidence;
use keyferry_onboarding::{
    Onboardings,
    finding::{Audience, Told},
};
use keyferry_registry::onboarding::{CheckName, Onboarding};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::tenant_json::rfc3339;

/// One thing that is checked.
#[derive(Serialize, ToSchema)]
#[schema(as = OnboardingCheck)]
pub(super) struct CheckDocument {
    /// Its name: `directory`, `consent`, `vault`, `key`, `wrap`, `read`, `least-privilege`, `protection`, `private-endpoint` or
    /// `verification`.
    #[schema(example = "key")]
    check: &'static str,
    /// How it stands: `pending`, `passed`, `failed`, `waiting` (Azure needs time) or `not-applicable`.
    #[schema(example = "failed")]
    status: &'static str,
    /// What was found, by a name that is stable; `not-checked` if the check was never made.
    #[schema(example = "key-too-short")]
    finding: String,
    /// The same in words.
    text: String,
    /// What to do next, if there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Commands that do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    commands: Option<String>,
    /// The finding's values.
    values: BTreeMap<String, String>,
    /// What the other side answered, for a support case.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceDocument>,
    /// When it was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<String>,
    /// Since when it has stood so.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// How often it was looked at since then.
    attempts: u32,
}

/// What Entra, a vault or the resource manager answered.
#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
struct EvidenceDocument {
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Its error code: `ForbiddenByRbac`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Its id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl CheckDocument {
    /// A check, made or not.
    pub(super) fn new(onboardings: &Onboardings, onboarding: &Onboarding, name: CheckName) -> Self {
        let Told {
            status,
            slug,
            text,
            next,
            commands,
            ..
        } = onboardings.told(onboarding, name, Audience::Operator);
        let check = onboarding.checks.get(&name);
        let observed = check.map(|check| &check.observed);
        Self {
            check: name.slug(),
            status: status.slug(),
            finding: slug,
            text,
            next,
            commands,
            values: observed
                .map(|observed| observed.finding.values.clone())
                .unwrap_or_default(),
            evidence: observed
                .and_then(|observed| observed.evidence.as_ref())
                .map(EvidenceDocument::from),
            checked_at: check.map(|check| rfc3339(check.checked_at)),
            since: check.map(|check| rfc3339(check.since)),
            attempts: check.map_or(0, |check| check.attempts),
        }
    }
}

impl From<&Evidence> for EvidenceDocument {
    fn from(evidence: &Evidence) -> Self {
        Self {
            status: evidence.status,
            code: evidence.code.clone(),
            request_id: evidence.request_id.clone(),
        }
    }
}

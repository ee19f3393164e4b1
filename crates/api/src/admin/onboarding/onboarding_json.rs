//! An onboarding in JSON: how it is shown, and how what operators send becomes one.

mod check_json;

use keyferry_crypto::tenant::VersionPolicy;
use keyferry_onboarding::{Onboardings, Typed, finding::Step};
use keyferry_registry::onboarding::{CheckName, Endpoint, EndpointPolicy, Onboarding, Stage};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;
use utoipa::ToSchema;

use self::check_json::CheckDocument;
use crate::admin::tenant_json::{LATEST, PolicyDocument, cloud_name, rfc3339};

/// An onboarding.
#[derive(Serialize, ToSchema)]
#[schema(as = Onboarding)]
pub(super) struct OnboardingDocument {
    /// The id that the tenant will have, or has.
    id: String,
    /// Its name in URLs, which is also the tenant's.
    #[schema(example = "acme")]
    slug: String,
    /// Its name for people.
    #[schema(example = "Acme Corporation")]
    display_name: String,
    /// The cloud its vault is in: `public`, `china` or `us-government`.
    #[schema(example = "public")]
    cloud: &'static str,
    /// How far it is: `open`, `active`, `closing` or `closed`.
    #[schema(example = "open")]
    stage: &'static str,
    /// Since when it is there.
    stage_since: String,
    /// How long the tenant's keys may be kept and used.
    policy: PolicyDocument,
    /// Whether there is a private endpoint: `off`, `optional` or `required`.
    #[schema(example = "optional")]
    endpoint_policy: &'static str,
    /// Whether the public network may be used while the private endpoint cannot.
    allows_public_path: bool,
    /// What the customer told us, or an operator for it.
    answers: AnswersDocument,
    /// The private endpoint, once it was decided to make one.
    #[serde(skip_serializing_if = "Option::is_none")]
    private_endpoint: Option<EndpointDocument>,
    /// The guide's steps.
    steps: Vec<StepDocument>,
    /// All checks in their order, those that were not made yet included.
    checks: Vec<CheckDocument>,
    /// Which link to the customer's page is good.
    link: LinkDocument,
    /// The link itself: only in the answer that made it, since whoever has it may act for the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_url: Option<String>,
    /// When the checks are made next, if they are to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_check_at: Option<String>,
    /// Which change of the onboarding this is; its `etag`.
    revision: i64,
    /// When it was opened.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

/// What the customer told us.
#[derive(Serialize, ToSchema)]
#[schema(as = OnboardingAnswers)]
struct AnswersDocument {
    /// The customer's Entra directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    directory_id: Option<String>,
    /// The vault's host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<String>,
    /// The key's name in the vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_name: Option<String>,
    /// Which version wraps: `latest`, or one version.
    #[schema(example = "latest")]
    key_version: String,
    /// The vault's resource id.
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_resource_id: Option<String>,
}

/// The private endpoint to the customer's vault.
#[derive(Serialize, ToSchema)]
#[schema(as = PrivateEndpoint)]
struct EndpointDocument {
    /// Its name in our resource group.
    name: String,
    /// Its resource id, which the customer sees beside the pending connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_id: Option<String>,
    /// How it stands: `requested`, `pending`, `approved`, `rejected`, `disconnected`, `failed` or `leaving`.
    #[schema(example = "pending")]
    state: &'static str,
    /// Its address in our network.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What the customer's side wrote beside its decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether traffic was proven to take it.
    is_proven: bool,
    /// Since when it has stood so.
    since: String,
}

/// One of the guide's steps.
#[derive(Serialize, ToSchema)]
#[schema(as = OnboardingStep)]
struct StepDocument {
    /// Its name: `authorize`, `vault-and-key`, `access` or `complete`.
    #[schema(example = "authorize")]
    step: &'static str,
    /// How it stands, as a check does.
    #[schema(example = "pending")]
    status: &'static str,
}

/// Which link to the customer's page is good.
#[derive(Serialize, ToSchema)]
#[schema(as = OnboardingLink)]
struct LinkDocument {
    /// The newest link's number. Those before it are void.
    serial: u32,
    /// Until when it is good.
    expires_at: String,
    /// Whether it opens nothing any more: it was revoked, or is expired.
    is_revoked: bool,
}

/// Answers as they were typed or pasted; they are read as the customer's own. What is absent stays, what is empty is taken back.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AnswersChange {
    /// The customer's Entra directory (Tenant ID).
    #[schema(example = "8b0f6a3e-6b1c-4a50-9c1e-5d3d8f0f9a11")]
    directory_id: Option<String>,
    /// The vault: its URI, its host, its name, or the identifier of a key in it.
    #[schema(example = "https://acme.vault.azure.net/")]
    vault: Option<String>,
    /// The key: its identifier, with a version to stay at or without, or its name.
    #[schema(example = "kek")]
    key: Option<String>,
    /// The vault's resource id.
    vault_resource_id: Option<String>,
}

impl OnboardingDocument {
    /// An onboarding, as it stands at `now`.
    pub(super) fn new(onboardings: &Onboardings, onboarding: &Onboarding, now: OffsetDateTime) -> Self {
        let (stage, stage_since) = stage(onboarding);
        let endpoint = onboarding.endpoint.as_ref();
        Self {
            id: onboarding.tenant.to_string(),
            slug: onboarding.slug.to_string(),
            display_name: onboarding.display_name.to_string(),
            cloud: cloud_name(onboarding.cloud),
            stage,
            stage_since: rfc3339(stage_since),
            policy: PolicyDocument::from(&onboarding.policy),
            endpoint_policy: onboarding.endpoint_policy.slug(),
            allows_public_path: onboarding.allows_public_path,
            answers: AnswersDocument::from(onboarding),
            private_endpoint: endpoint.map(|endpoint| EndpointDocument::new(onboardings, onboarding, endpoint)),
            steps: Step::ALL
                .into_iter()
                .map(|step| StepDocument::new(step, onboarding))
                .collect(),
            checks: CheckName::ALL
                .into_iter()
                .map(|check| CheckDocument::new(onboardings, onboarding, check))
                .collect(),
            link: LinkDocument {
                serial: onboarding.link.serial,
                expires_at: rfc3339(onboarding.link.expires_at),
                is_revoked: onboarding.link.expires_at <= now,
            },
            link_url: None,
            next_check_at: onboarding.schedule.due_at.map(rfc3339),
            revision: onboarding.revision.0,
            created_at: rfc3339(onboarding.created_at),
            updated_at: rfc3339(onboarding.updated_at),
        }
    }

    /// The same, with a link that was just made.
    pub(super) fn with_link(mut self, link: &Url) -> Self {
        self.link_url = Some(link.to_string());
        self
    }
}

impl EndpointDocument {
    fn new(onboardings: &Onboardings, onboarding: &Onboarding, endpoint: &Endpoint) -> Self {
        let facts = onboardings.facts(onboarding);
        let ours = facts.endpoint.and_then(|endpoint| endpoint.ours);
        Self {
            name: endpoint.name.clone(),
            resource_id: ours.map(|ours| ours.to_string()),
            state: endpoint.state.slug(),
            address: endpoint.address.map(|address| address.to_string()),
            description: endpoint.description.clone(),
            is_proven: endpoint.is_proven,
            since: rfc3339(endpoint.since),
        }
    }
}

impl StepDocument {
    fn new(step: Step, onboarding: &Onboarding) -> Self {
        Self {
            step: step.slug(),
            status: step.status(onboarding).slug(),
        }
    }
}

impl From<&Onboarding> for AnswersDocument {
    fn from(onboarding: &Onboarding) -> Self {
        let answers = &onboarding.answers;
        Self {
            directory_id: answers.directory.as_ref().map(ToString::to_string),
            vault: answers.vault.as_ref().map(ToString::to_string),
            key_name: answers.key.as_ref().map(ToString::to_string),
            key_version: match &answers.version {
                VersionPolicy::FollowLatest => LATEST.to_owned(),
                VersionPolicy::Pinned(version) => version.to_string(),
            },
            vault_resource_id: answers.resource.as_ref().map(ToString::to_string),
        }
    }
}

impl From<AnswersChange> for Typed {
    fn from(change: AnswersChange) -> Self {
        Self {
            directory: change.directory_id,
            vault: change.vault,
            key: change.key,
            resource: change.vault_resource_id,
        }
    }
}

/// How far an onboarding is, and since when.
fn stage(onboarding: &Onboarding) -> (&'static str, OffsetDateTime) {
    match onboarding.stage {
        Stage::Open => ("open", onboarding.created_at),
        Stage::Active { since } => ("active", since),
        Stage::Closing { since } => ("closing", since),
        Stage::Closed { at } => ("closed", at),
    }
}

/// The policy of that name.
pub(super) fn endpoint_policy(name: &str) -> Result<EndpointPolicy, &'static str> {
    let known = EndpointPolicy::ALL.into_iter().find(|policy| policy.slug() == name);
    known.ok_or("not a policy: expected off, optional or required")
}

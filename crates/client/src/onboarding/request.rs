//! What operators ask for.

use serde::{Deserialize, Serialize};

use crate::admin::Policy;

/// What opens an onboarding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewOnboarding {
    /// The slug, which the tenant will have: free, and never changed.
    pub slug: String,
    /// Its name for people.
    pub display_name: String,
    /// The cloud its vault is in: `public`, `china`, `us-government`.
    pub cloud: String,
    /// How long the tenant's keys may be kept and used; the service's defaults if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Whether there is a private endpoint: `off` (if absent), `optional`, `required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_policy: Option<String>,
    /// Whether the public network may be used while the private endpoint cannot; not, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allows_public_path: Option<bool>,
    /// What is known of the answers already.
    #[serde(default, skip_serializing_if = "Typed::is_empty")]
    pub answers: Typed,
}

/// Answers as they were typed or pasted; the service reads them as it reads the customer's. What is absent stays as it is, and
/// what is empty is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typed {
    /// The customer's Entra directory (tenant ID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<String>,
    /// The vault: its URI, its host, its name, or the identifier of a key in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The key: its identifier, with a version to stay at or without, or its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The vault's resource id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_resource_id: Option<String>,
}

/// What changes of an onboarding; what is absent stays.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OnboardingChange {
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How long the tenant's keys may be kept and used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Whether there is a private endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_policy: Option<String>,
    /// Whether the public network may be used while the private endpoint cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allows_public_path: Option<bool>,
    /// Whether the directory that the customer answered is its own, though it is another tenant's or onboarding's too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub confirm_directory: bool,
    /// Answers, in the customer's place.
    #[serde(skip_serializing_if = "Typed::is_empty")]
    pub answers: Typed,
}

impl Typed {
    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

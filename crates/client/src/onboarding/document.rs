//! An onboarding, as it is shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{admin::Policy, secret::LinkUrl};

/// A customer on its way to being a tenant; shown also once it is one, for its checks go on being made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onboarding {
    /// The id that the tenant will have, or has.
    pub id: String,
    /// Its name in URLs, which is also the tenant's.
    pub slug: String,
    /// Its name for people.
    pub display_name: String,
    /// The cloud.
    pub cloud: String,
    /// How far it is: `open`, `active`, `closing`, `closed`.
    pub stage: String,
    /// Since when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_since: Option<String>,
    /// How long the tenant's keys may be kept and used.
    pub policy: Policy,
    /// Whether there is a private endpoint: `off`, `optional`, `required`.
    pub endpoint_policy: String,
    /// Whether the public network may be used while the private endpoint cannot.
    pub allows_public_path: bool,
    /// What the customer told, or an operator for it.
    pub answers: Answers,
    /// The private endpoint, once it was decided to make one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_endpoint: Option<PrivateEndpoint>,
    /// The guide's steps.
    pub steps: Vec<Step>,
    /// All checks, in their order.
    pub checks: Vec<Check>,
    /// Which link is good.
    pub link: Link,
    /// When the checks are made next, if they are to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check_at: Option<String>,
    /// Which change of it this is.
    pub revision: i64,
    /// When it was opened.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
}

/// What the customer told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// Its Entra directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<String>,
    /// The vault's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The key's name in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The version that wraps, or `latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_version: Option<String>,
    /// The vault's resource id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_resource_id: Option<String>,
}

/// The private endpoint to the customer's vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateEndpoint {
    /// Its name in our resource group.
    pub name: String,
    /// Its resource id, which the customer sees beside the pending connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// How it stands: `requested`, `pending`, `approved`, `rejected`, `disconnected`, `failed`, `leaving`.
    pub state: String,
    /// Its address in our network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the customer's side wrote beside its decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether traffic was proven to take it.
    pub is_proven: bool,
    /// Since when it has stood so.
    pub since: String,
}

/// One of the guide's steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name: `authorize`, `vault-and-key`, `access`, `complete`.
    pub step: String,
    /// How it stands, as a check does.
    pub status: String,
}

/// One thing that is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name: `directory`, `consent`, `vault` and so on.
    pub check: String,
    /// How it stands: `pending`, `passed`, `failed`, `waiting`, `not-applicable`.
    pub status: String,
    /// The finding's name, which is stable: `key-too-short`.
    pub finding: String,
    /// What was found.
    #[serde(default)]
    pub text: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Commands that do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<String>,
    /// The finding's values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// The answer that showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// When it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    /// Since when it has stood so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How often it was looked at since then.
    #[serde(default)]
    pub attempts: u32,
}

/// What Entra, a vault or the resource manager answered, for a support case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Its error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Which link to the customer's page is good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The newest link's number.
    pub serial: u32,
    /// Until when it is good.
    pub expires_at: String,
    /// Whether it opens nothing any more: it was revoked, or is expired.
    #[serde(default)]
    pub is_revoked: bool,
}

/// An onboarding with a link that was just made. No later answer has the link in it.
#[derive(Clone, Debug, Deserialize)]
pub struct Opened {
    /// The onboarding.
    #[serde(flatten)]
    pub onboarding: Onboarding,
    /// The link to the customer's page.
    pub link_url: LinkUrl,
}

/// A page of onboardings.
#[derive(Clone, Debug, Deserialize)]
pub struct OnboardingPage {
    /// The onboardings, ordered by slug.
    pub onboardings: Vec<Onboarding>,
    /// Where the next page begins, if there is one.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({
            "id": "0199", "slug": "globex", "display_name": "Globex", "cloud": "public", "stage": "open",
            "policy": {"cache_ttl_seconds": 300, "lease_max_age_seconds": 300, "lease_max_messages": 1, "outage_grace_seconds": 0},
            "endpoint_policy": "optional", "allows_public_path": false, "answers": {"key_version": "latest"},
            "steps": [{"step": "authorize", "status": "pending"}],
            "checks": [{"check": "directory", "status": "pending", "finding": "not-checked", "text": "Not checked yet.", "attempts": 0}],
            "link": {"serial": 1, "expires_at": "2026-12-09T19:00:00Z", "is_revoked": false},
            "revision": 1, "created_at": "2026-11-25T19:00:00Z", "updated_at": "2026-11-25T19:00:00Z",
        })
    }

    #[test]
    fn what_a_newer_service_adds_is_no_hindrance() {
        let mut newer = document();
        newer["region"] = json!("westeurope");
        newer["stage"] = json!("paused");
        newer["checks"][0]["status"] = json!("in-doubt");
        newer["checks"][0]["severity"] = json!(3);
        let read: Onboarding = serde_json::from_value(newer).unwrap();
        let check = read.checks.first().unwrap();
        assert_eq!((read.stage.as_str(), check.status.as_str()), ("paused", "in-doubt"));
    }

    #[test]
    fn a_link_is_read_and_never_shown() {
        let mut made = document();
        made["link_url"] = json!("https://keys.example.com/onboarding/AZ-token");
        let opened: Opened = serde_json::from_value(made).unwrap();
        assert_eq!(opened.link_url.expose(), "https://keys.example.com/onboarding/AZ-token");
        assert!(!format!("{opened:?}").contains("AZ-token"));
        let written = serde_json::to_value(&opened.onboarding).unwrap();
        assert_eq!(written, document());
    }
}

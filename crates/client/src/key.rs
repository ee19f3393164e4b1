//! The admin plane: how tenants' keys are, what happened to them, and which replicas have heard of it.
//!
//! States, causes and kinds are text here: a service that is newer than its client may have more of them.

use serde::{Deserialize, Serialize};

/// How a tenant's key is, as it was last found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyHealth {
    /// `unknown`, `healthy`, `degraded` (the vault is asked in vain) or `refused` (the customer took it away).
    pub state: String,
    /// Since when it is so.
    pub since: String,
    /// When the vault was last asked; never if absent.
    #[serde(default)]
    pub checked_at: Option<String>,
    /// When the vault last unwrapped; never if absent.
    #[serde(default)]
    pub served_at: Option<String>,
    /// When it is to be asked next; that is over while it is asked, or if nobody asks. A service of a release before tells none.
    #[serde(default)]
    pub due_at: Option<String>,
    /// What is wrong, where it is degraded or refused.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// The newest version of the key that was seen.
    #[serde(default)]
    pub newest: Option<NewestVersion>,
    /// The versions that are watched, newest first, each as the key's identifier with its version.
    #[serde(default)]
    pub watched: Vec<String>,
    /// Which replica looks after it; none if absent.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// When a replica last said that it holds something of the tenant's; never if absent.
    #[serde(default)]
    pub held_at: Option<String>,
    /// How much of the vault's limit is used by the replica that answered.
    #[serde(default)]
    pub gauge: Option<VaultGauge>,
    /// How soon a withdrawal is obeyed everywhere.
    pub bound: Bound,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Why, by the slug of its problem where it has one: `key-disabled`, `timeout`.
    pub cause: String,
    /// The HTTP status of the vault, or of its directory, if there was an answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// Its own error code: `ForbiddenByRbac`, `AADSTS7000229`.
    #[serde(default)]
    pub code: Option<String>,
    /// Its id of the request, by which the vault's own log knows it.
    #[serde(default)]
    pub request_id: Option<String>,
}

/// The newest version of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewestVersion {
    /// The key's identifier with this version.
    pub key_id: String,
    /// When it was last looked up.
    pub seen_at: String,
}

/// The replica that looks after a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its id.
    pub replica: String,
    /// Its name, if it is known.
    #[serde(default)]
    pub name: Option<String>,
    /// Until when it does, if it does not say so again.
    #[serde(default)]
    pub until: Option<String>,
}

/// How much of a vault's limit one replica uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VaultGauge {
    /// Weighted as Key Vault counts.
    pub used_per_second: f64,
    /// The replica's share of the limit; none is known of a Managed HSM's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_second: Option<f64>,
    /// Whether the circuit to the vault is open: it was asked in vain, and nearly nothing is sent.
    pub open: bool,
}

/// The terms of the bound on a withdrawal, in seconds; without the time that Azure itself takes to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Until somebody has looked at the key, whoever dies meanwhile.
    pub watch_seconds: f64,
    /// Until a replica that does not hear the others ceases to trust them.
    pub hearing_seconds: f64,
    /// For a refusal that may pass to be confirmed.
    pub confirmation_seconds: f64,
    /// For one call to the vault.
    pub try_seconds: f64,
    /// All of them.
    pub total_seconds: f64,
}

/// A page of what happened to a key, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEventPage {
    /// The events.
    pub events: Vec<KeyEvent>,
    /// Where the next page begins, if there is one.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// Something that happened to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEvent {
    /// Its place in the feed that all replicas follow.
    pub revision: i64,
    /// When, by the registry's clock.
    pub at: String,
    /// The id of the replica that found it out.
    pub by: String,
    /// `withdrawn` (what the customer took away is evicted everywhere), `state`, `version`.
    pub kind: String,
    /// What was refused: `wrap` or `unwrap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// With which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// At which version; at whichever is the newest if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The new version, as the key's identifier with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The state that the key came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The HTTP status of the vault, or of its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Its own error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Who has obeyed a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgements {
    /// The replicas that have, in the order of time.
    pub acknowledged: Vec<Acknowledgement>,
    /// Those that have obeyed it without saying so of it alone: they missed what was told, and have evicted everything.
    #[serde(default)]
    pub followed: Vec<Silent>,
    /// Those that live and have not.
    pub missing: Vec<Silent>,
}

/// That a replica has obeyed a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Its id.
    pub replica: String,
    /// Its name.
    pub name: String,
    /// When, by the registry's clock.
    pub at: String,
}

/// A replica that has not said of a withdrawal that it has obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// Its id.
    pub replica: String,
    /// Its name.
    pub name: String,
}

/// A replica of the service, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its id.
    #[serde(rename = "replica")]
    pub id: String,
    /// Where it runs, for people.
    pub name: String,
    /// The release it is of.
    pub release: String,
    /// When it started.
    pub started_at: String,
    /// When it last made itself known.
    pub seen_at: String,
    /// Up to which revision it has followed the feed, and obeyed.
    pub followed: i64,
}

#[derive(Deserialize)]
pub(crate) struct Replicas {
    pub(crate) replicas: Vec<Replica>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_has_looked_at_yet_is_read() {
        let read: KeyHealth = serde_json::from_str(
            r#"{
                "state": "unknown", "since": "2026-11-25T19:00:00Z", "watched": [],
                "bound": {
                    "watch_seconds": 75.0, "hearing_seconds": 10.0, "confirmation_seconds": 3.0, "try_seconds": 15.0,
                    "total_seconds": 103.0
                }
            }"#,
        )
        .unwrap();
        assert_eq!((read.state.as_str(), read.served_at), ("unknown", None));
    }

    #[test]
    fn a_vault_without_a_known_limit_has_a_gauge_all_the_same() {
        let read: VaultGauge = serde_json::from_str(r#"{"used_per_second": 1.5, "open": false}"#).unwrap();
        assert_eq!(read.limit_per_second, None);
    }
}

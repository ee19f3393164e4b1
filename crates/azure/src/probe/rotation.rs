//! A key's rotation policy. Crypto User may not read it, and Reader may: so this also tells whether we have that role.

use keyferry_crypto::{
    id::{DirectoryId, KeyRef},
    tenant::Route,
    vault::{VaultCause, VaultError},
};
use reqwest::Method;
use serde::Deserialize;

use super::{API_VERSION, RotationPolicy};
use crate::{asking::Way, exchange::Answer, failure::Asked, request::Request, vault::AzureKeyVault};

impl AzureKeyVault {
    /// Reads a key's rotation policy. Of the roles that are asked for, only Reader may.
    pub async fn rotation_policy(
        &self,
        directory: DirectoryId,
        key: &KeyRef,
        route: Route,
    ) -> Result<RotationPolicy, VaultError> {
        let way = Way {
            directory,
            vault: key.vault.clone(),
            route,
        };
        let request = Request::new(Method::GET, ["keys", key.name.as_str(), "rotationpolicy"]).query(API_VERSION);
        let judge = |answer: &Answer| (answer.status == 200).then(|| answer.body.clone());
        let body = self.ask_plainly(Asked::Probe, &way, &request, judge).await?;
        read(&body).ok_or_else(|| VaultCause::AnswerInvalid.into())
    }
}

fn read(body: &[u8]) -> Option<RotationPolicy> {
    let told: Told = serde_json::from_slice(body).ok()?;
    let mut rotations = told.actions.into_iter().filter(Action::is_rotation);
    let trigger = rotations.next().map(|rotation| rotation.trigger).unwrap_or_default();
    let policy = RotationPolicy {
        rotates_after: trigger.after,
        rotates_before_expiry: trigger.before,
        expires_after: told.attributes.expiry,
    };
    let times = [
        &policy.rotates_after,
        &policy.rotates_before_expiry,
        &policy.expires_after,
    ];
    let are_times = times.into_iter().flatten().all(|time| is_time(time));
    are_times.then_some(policy)
}

/// `P18M`, `P1Y6M`, `P30D`: what is shown to people is of this form.
fn is_time(text: &str) -> bool {
    let rest = text.strip_prefix('P').unwrap_or_default();
    (1..=30).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "lifetimeActions")]
    actions: Vec<Action>,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    trigger: Trigger,
    action: Kind,
}

#[derive(Default, Deserialize)]
struct Trigger {
    #[serde(rename = "timeAfterCreate")]
    after: Option<String>,
    #[serde(rename = "timeBeforeExpiry")]
    before: Option<String>,
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
}

#[derive(Default, Deserialize)]
struct Attributes {
    #[serde(rename = "expiryTime")]
    expiry: Option<String>,
}

impl Action {
    fn is_rotation(&self) -> bool {
        self.action.r#type.eq_ignore_ascii_case("Rotate")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(after: Option<&str>, before: Option<&str>, expires: Option<&str>) -> RotationPolicy {
        let text = |text: Option<&str>| text.map(str::to_owned);
        RotationPolicy {
            rotates_after: text(after),
            rotates_before_expiry: text(before),
            expires_after: text(expires),
        }
    }

    #[test]
    fn a_policy_tells_when_it_rotates_and_for_how_long_a_version_is_valid() {
        let after = br#"{"id":"https://v/keys/k/rotationpolicy","lifetimeActions":[{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}},{"trigger":{"timeAfterCreate":"P18M"},"action":{"type":"Rotate"}}],"attributes":{"expiryTime":"P2Y","created":1}}"#;
        assert_eq!(read(after), Some(policy(Some("P18M"), None, Some("P2Y"))));
        let before = br#"{"lifetimeActions":[{"trigger":{"timeBeforeExpiry":"P7D"},"action":{"type":"rotate"}}],"attributes":{"expiryTime":"P90D"}}"#;
        assert_eq!(read(before), Some(policy(None, Some("P7D"), Some("P90D"))));
    }

    #[test]
    fn a_key_without_a_policy_of_its_own_does_not_rotate() {
        let unset = br#"{"id":null,"lifetimeActions":[{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}}],"attributes":{"expiryTime":null}}"#;
        assert_eq!(read(unset), Some(policy(None, None, None)));
    }

    #[test]
    fn what_is_no_policy_is_invalid() {
        for body in [
            "",
            "[]",
            "null",
            r#"{"lifetimeActions":[{"action":{}}]}"#,
            "{}",
            r#"{"lifetimeActions":[],"attributes":{"expiryTime":"<script>"}}"#,
            r#"{"lifetimeActions":[],"attributes":{"expiryTime":"P"}}"#,
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }
}

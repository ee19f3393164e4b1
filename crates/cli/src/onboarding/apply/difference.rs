//! What a registration file says and an onboarding does not.
//!
//! An answer may be written in many ways that mean one thing (`intake`), so the file's is read as the service would read it. One
//! that cannot be read is sent as it is, for the service to say what is wrong with it.

use keyferry_client::onboarding::{Answers, Onboarding, OnboardingChange, Typed};
use keyferry_crypto::id::{Cloud, VaultHost};
use keyferry_onboarding::intake::{self, KeyAnswer, VaultAnswer};
use serde_json::Value;
use uuid::Uuid;

use super::file::Registration;
use crate::failure::Failure;

/// What is to change of an onboarding so that it is as the file says.
pub(super) fn between(read: &Onboarding, said: Registration) -> Result<OnboardingChange, Failure> {
    if said.cloud.as_ref().is_some_and(|cloud| *cloud != read.cloud) {
        return Err(Failure::usage(format!(
            "{} is in the cloud {}, which cannot be changed: close it, and open another",
            read.slug, read.cloud
        )));
    }
    let endpoint_policy = said.endpoint_policy.map(|policy| policy.slug().to_owned());
    Ok(OnboardingChange {
        display_name: said.display_name.filter(|name| *name != read.display_name),
        policy: said.policy.over(read.policy),
        endpoint_policy: endpoint_policy.filter(|policy| *policy != read.endpoint_policy),
        allows_public_path: said
            .allows_public_path
            .filter(|allows| *allows != read.allows_public_path),
        confirm_directory: false,
        answers: answers(read, said.answers.typed()),
    })
}

/// The names of what changes.
pub(super) fn names(change: &OnboardingChange) -> Vec<&'static str> {
    let answers = &change.answers;
    let all = [
        ("display_name", change.display_name.is_some()),
        ("policy", change.policy.is_some()),
        ("endpoint_policy", change.endpoint_policy.is_some()),
        ("allows_public_path", change.allows_public_path.is_some()),
        ("answers.directory_id", answers.directory_id.is_some()),
        ("answers.vault", answers.vault.is_some()),
        ("answers.key", answers.key.is_some()),
        ("answers.vault_resource_id", answers.vault_resource_id.is_some()),
    ];
    all.into_iter()
        .filter(|(_, changes)| *changes)
        .map(|(name, _)| name)
        .collect()
}

/// The answers that say something else than is known.
fn answers(read: &Onboarding, said: Typed) -> Typed {
    let known = &read.answers;
    let Ok(cloud) = serde_json::from_value::<Cloud>(Value::from(read.cloud.as_str())) else {
        return said;
    };
    let names_key = said.key.is_some();
    let vault = said.vault.as_deref().and_then(|typed| intake::vault(cloud, typed).ok());
    let host = vault.as_ref().map(|answer| answer.vault().clone());
    let host = host.or_else(|| VaultHost::parse(cloud, known.vault.as_deref()?).ok());
    let is_known_vault = |typed: &str| match intake::vault(cloud, typed) {
        Ok(VaultAnswer::Vault(vault)) => known.vault.as_ref() == Some(&vault.to_string()),
        // Another answer may name another key; then that one holds.
        Ok(VaultAnswer::Key(key)) if names_key => known.vault.as_ref() == Some(&key.key.vault.to_string()),
        Ok(VaultAnswer::Key(key)) => is_known_key(known, &key),
        Err(_) => false,
    };
    let is_known_key = |typed: &str| {
        let key = intake::key(cloud, host.as_ref(), typed);
        key.is_ok_and(|key| is_known_key(known, &key))
    };
    let is_known_directory = |typed: &str| {
        // Our own client id is known to the service alone; what is mistaken for it there is refused there.
        let directory = intake::directory(Uuid::nil(), typed);
        directory.is_ok_and(|directory| known.directory_id.as_ref() == Some(&directory.to_string()))
    };
    let is_known_resource = |typed: &str| {
        let (resource, known) = (intake::vault_resource(None, typed), known.vault_resource_id.as_ref());
        resource.is_ok_and(|resource| known.is_some_and(|known| known.eq_ignore_ascii_case(&resource.to_string())))
    };
    Typed {
        directory_id: unless(said.directory_id, known.directory_id.is_some(), is_known_directory),
        vault: unless(said.vault, known.vault.is_some(), is_known_vault),
        key: unless(said.key, known.key_name.is_some(), is_known_key),
        vault_resource_id: unless(
            said.vault_resource_id,
            known.vault_resource_id.is_some(),
            is_known_resource,
        ),
    }
}

/// What was said, unless it is known. To say nothing is to take back, where there is something.
fn unless(said: Option<String>, is_told: bool, is_known: impl Fn(&str) -> bool) -> Option<String> {
    said.filter(|said| {
        if said.trim().is_empty() {
            is_told
        } else {
            !is_known(said)
        }
    })
}

fn is_known_key(known: &Answers, said: &KeyAnswer) -> bool {
    let version = said
        .version
        .as_ref()
        .map_or_else(|| LATEST.to_owned(), ToString::to_string);
    known.vault.as_ref() == Some(&said.key.vault.to_string())
        && known.key_name.as_ref() == Some(&said.key.name.to_string())
        && known.key_version.as_deref().unwrap_or(LATEST) == version
}

const LATEST: &str = "latest";

#[cfg(test)]
mod tests {
    use super::{super::super::sample::onboarding, *};

    const DIRECTORY: &str = "5f0b4d3e-8d33-4c6a-9f10-3b1f6f1c2a77";
    const RESOURCE: &str = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/globex-keys";

    fn known() -> Onboarding {
        Onboarding {
            answers: Answers {
                directory_id: Some(DIRECTORY.into()),
                vault: Some("globex-keys.vault.azure.net".into()),
                key_name: Some("kek".into()),
                key_version: Some("latest".into()),
                vault_resource_id: Some(RESOURCE.into()),
            },
            ..onboarding("open", &["passed"])
        }
    }

    fn changed(read: &Onboarding, said: &Value) -> Vec<&'static str> {
        let said: Registration = serde_json::from_value(said.clone()).unwrap();
        names(&between(read, said).unwrap())
    }

    fn answered(said: &Value) -> Vec<&'static str> {
        changed(&known(), &serde_json::json!({"slug": "globex", "answers": said}))
    }

    #[test]
    fn what_means_the_same_changes_nothing() {
        let key = "https://globex-keys.vault.azure.net/keys/kek";
        for said in [
            serde_json::json!({}),
            serde_json::json!({"directory_id": DIRECTORY.to_uppercase()}),
            serde_json::json!({"directory_id": format!("{{{DIRECTORY}}}")}),
            serde_json::json!({"vault": "globex-keys"}),
            serde_json::json!({"vault": "https://GLOBEX-keys.vault.azure.net/"}),
            serde_json::json!({"vault": key}),
            serde_json::json!({"vault": key, "key": "kek"}),
            serde_json::json!({"key": key}),
            serde_json::json!({"vault_resource_id": RESOURCE.replace("resourceGroups", "resourcegroups")}),
        ] {
            assert!(answered(&said).is_empty(), "{said}");
        }
        let same = serde_json::json!({
            "slug": "globex", "display_name": "Globex", "cloud": "public", "endpoint_policy": "off",
            "allows_public_path": false, "policy": {"cache_ttl_seconds": 300},
        });
        assert!(changed(&known(), &same).is_empty());
    }

    #[test]
    fn what_means_something_else_is_sent_and_so_is_what_cannot_be_read() {
        let version = "0".repeat(32);
        for (said, expected) in [
            (serde_json::json!({"vault": "initech-keys"}), "answers.vault"),
            (serde_json::json!({"vault": "https://example.com/"}), "answers.vault"),
            (serde_json::json!({"vault": ""}), "answers.vault"),
            (serde_json::json!({"key": "other"}), "answers.key"),
            (
                serde_json::json!({"key": format!("https://globex-keys.vault.azure.net/keys/kek/{version}")}),
                "answers.key",
            ),
            (
                serde_json::json!({"directory_id": "contoso.com"}),
                "answers.directory_id",
            ),
            (
                serde_json::json!({"vault_resource_id": ""}),
                "answers.vault_resource_id",
            ),
        ] {
            assert_eq!(answered(&said), [expected], "{said}");
        }
        let blank = onboarding("open", &["pending"]);
        let nothing = serde_json::json!({"slug": "globex", "answers": {"vault": "", "directory_id": ""}});
        assert!(changed(&blank, &nothing).is_empty());
        let told = serde_json::json!({"slug": "globex", "answers": {"vault": "globex-keys", "key": "kek"}});
        assert_eq!(changed(&blank, &told), ["answers.vault", "answers.key"]);
    }

    #[test]
    fn a_cloud_is_for_good() {
        let said = serde_json::json!({"slug": "globex", "cloud": "china"});
        let said: Registration = serde_json::from_value(said).unwrap();
        assert!(between(&known(), said).unwrap_err().to_string().contains("public"));
    }
}

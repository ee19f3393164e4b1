//! Which keys events are about.

use std::collections::HashSet;

use keyferry_crypto::id::{KeyName, KeyRef, VaultHost, VaultResource};
use serde::Deserialize;
use url::Url;

use super::document::{Event, malformed, read};
use crate::problem::Problem;

/// What an event says of a key, as far as it matters.
/// <https://learn.microsoft.com/azure/event-grid/event-schema-key-vault>
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyData {
    id: String,
    vault_name: String,
    object_type: String,
    object_name: String,
}

/// The keys that these events are about, each once; up to [`MOST_KEYS`], as the others are found out about anyway. An event of a
/// kind that does not matter is passed over, and so is one that does not agree with itself.
pub(super) fn named(events: &[Event<'_>]) -> Result<HashSet<KeyRef>, Problem> {
    let mut keys = HashSet::new();
    for event in events.iter().filter(|event| KINDS.contains(&&*event.kind)) {
        let data = event.data.ok_or_else(malformed)?;
        let data: KeyData = read(data.get().as_bytes())?;
        match data.key(&event.source) {
            Some(key) if keys.len() < MOST_KEYS => _ = keys.insert(key),
            Some(_) => tracing::debug!("an event is one too many of its delivery"),
            None => tracing::debug!("an event does not agree with itself about its vault and key"),
        }
    }
    Ok(keys)
}

impl KeyData {
    /// The key, if the event's source, its identifier and its names all say the same of it.
    fn key(&self, source: &str) -> Option<KeyRef> {
        let key = key_of(&self.id)?;
        let resource: VaultResource = source.parse().ok()?;
        let agrees = resource.is_at(&key.vault)
            && self.vault_name.eq_ignore_ascii_case(key.vault.name())
            && self.object_type.eq_ignore_ascii_case("Key")
            && self.object_name.eq_ignore_ascii_case(key.name.as_str());
        agrees.then_some(key)
    }
}

/// The key that an identifier names, at whichever version. Its host is one of Azure's vaults. Of a key's name Key Vault ignores the
/// case, so that is left out: one key is one, however it is written.
fn key_of(id: &str) -> Option<KeyRef> {
    let url: Url = id.parse().ok()?;
    let is_plain = url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let vault: VaultHost = url.host_str().filter(|_| is_plain)?.parse().ok()?;
    let mut segments = url.path_segments()?;
    let (keys, name) = (segments.next()?, segments.next()?);
    let name: KeyName = name.to_ascii_lowercase().parse().ok()?;
    (keys == "keys").then_some(KeyRef { vault, name })
}

/// The kinds that make a look worth while.
const KINDS: [&str; 3] = [
    "Microsoft.KeyVault.KeyNewVersionCreated",
    "Microsoft.KeyVault.KeyNearExpiry",
    "Microsoft.KeyVault.KeyExpired",
];
/// Of one delivery.
const MOST_KEYS: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOPIC: &str = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/acme";

    fn data(id: &str) -> serde_json::Value {
        json!({"Id": id, "VaultName": "acme", "ObjectType": "Key", "ObjectName": "kek", "Version": "x", "NBF": null})
    }

    fn key(source: &str, data: serde_json::Value) -> Option<String> {
        let data: KeyData = serde_json::from_value(data).unwrap();
        data.key(source).map(|key| key.to_string())
    }

    #[test]
    fn a_key_is_known_by_its_identifier_at_any_version() {
        let (expected, version) = ("https://acme.vault.azure.net/keys/kek", "0".repeat(32));
        for id in [
            expected.to_owned(),
            format!("{expected}/{version}"),
            "https://acme.vault.azure.net/keys/KEK".to_owned(),
            format!("https://ACME.vault.azure.net:443/keys/kek/{version}"),
        ] {
            assert_eq!(key(TOPIC, data(&id)).as_deref(), Some(expected), "{id}");
        }
        let topic = TOPIC.to_ascii_uppercase();
        assert_eq!(key(&topic, data(expected)).as_deref(), Some(expected));
    }

    #[test]
    fn what_does_not_agree_with_itself_names_no_key() {
        let good = data("https://acme.vault.azure.net/keys/kek");
        for (field, value) in [
            ("Id", "https://other.vault.azure.net/keys/kek"),
            ("Id", "https://acme.vault.azure.net/keys/other"),
            ("Id", "https://acme.vault.azure.net/secrets/kek"),
            ("Id", "https://acme.vault.azure.net.evil.example/keys/kek"),
            ("Id", "https://acme.example/keys/kek"),
            ("Id", "https://user@acme.vault.azure.net/keys/kek"),
            ("Id", "https://acme.vault.azure.net:8443/keys/kek"),
            ("Id", "http://acme.vault.azure.net/keys/kek"),
            ("Id", "kek"),
            ("VaultName", "other"),
            ("ObjectType", "Secret"),
            ("ObjectName", "other"),
        ] {
            let mut data = good.clone();
            data[field] = json!(value);
            assert_eq!(key(TOPIC, data), None, "{field}: {value}");
        }
        let other = TOPIC.replace("vaults/acme", "vaults/other");
        for source in [&other, &TOPIC.replace("vaults", "managedHSMs"), "", "acme"] {
            assert_eq!(key(source, good.clone()), None, "{source}");
        }
    }
}

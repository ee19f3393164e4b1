//! A vault as the resource manager knows it.
//!
//! Naming rules: <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use super::{IdError, VaultHost, VaultKind, VaultName};

/// An Azure subscription's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub Uuid);

/// A resource group's name: 1 to 90 letters and digits of any script, `-`, `_`, `.`, `(` and `)`, no `.` at the end.
/// Kept and compared as written, though the resource manager ignores case. In a URL's path it needs percent-encoding.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceGroup(pub(super) Arc<str>);

/// A vault's resource id:
/// `/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}`, or
/// `managedHSMs` in place of `vaults`. Printed in that spelling, whatever was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VaultResource {
    /// The subscription that pays for the vault.
    pub subscription: SubscriptionId,
    /// The resource group that the vault is in.
    pub resource_group: ResourceGroup,
    /// Whether it is a Key Vault or a Managed HSM.
    pub kind: VaultKind,
    /// Its name, the first label of its host.
    pub name: VaultName,
}

impl VaultResource {
    /// Whether the vault is the one that answers at `host`. A name is unique in its cloud only, so it is the caller who
    /// knows that both are meant to be of one cloud.
    #[must_use]
    pub fn is_at(&self, host: &VaultHost) -> bool {
        self.kind == host.kind() && self.name.as_str() == host.name()
    }
}

impl ResourceGroup {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResourceGroup {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        let plain = (1..=90).contains(&name.chars().count())
            && name.chars().all(|c| c.is_alphanumeric() || "-_.()".contains(c))
            && !name.ends_with('.');
        if plain {
            Ok(Self(name.into()))
        } else {
            Err(IdError::ResourceGroup)
        }
    }
}

impl FromStr for VaultResource {
    type Err = IdError;

    /// Parses a resource id. Keywords are taken in any case, as the resource manager takes them; anything before, between
    /// or after them is refused: an address, doubled or encoded slashes, a query, a key below the vault.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let segments: Vec<_> = text.splitn(10, '/').collect();
        let [
            "",
            subscriptions,
            subscription,
            groups,
            group,
            providers,
            provider,
            kind,
            name,
        ] = segments[..]
        else {
            return Err(IdError::VaultResource);
        };
        let keywords = [
            (subscriptions, "subscriptions"),
            (groups, "resourceGroups"),
            (providers, "providers"),
            (provider, "Microsoft.KeyVault"),
        ];
        if keywords
            .iter()
            .any(|(found, keyword)| !found.eq_ignore_ascii_case(keyword))
        {
            return Err(IdError::VaultResource);
        }
        let kinds = [VaultKind::KeyVault, VaultKind::ManagedHsm];
        let kind = kinds
            .into_iter()
            .find(|&known| kind.eq_ignore_ascii_case(collection(known)));
        Ok(Self {
            subscription: subscription.parse()?,
            resource_group: group.parse()?,
            kind: kind.ok_or(IdError::VaultResource)?,
            name: name.parse()?,
        })
    }
}

impl FromStr for SubscriptionId {
    type Err = IdError;

    /// Parses the hyphenated form only, as resource ids have it.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
        let id = Uuid::try_parse(text).ok().filter(|_| hyphenated);
        id.map(Self).ok_or(IdError::Subscription)
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for VaultResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subscription,
            resource_group,
            kind,
            name,
        } = self;
        let collection = collection(*kind);
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.KeyVault/{collection}/{name}"
        )
    }
}

impl Serialize for VaultResource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VaultResource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What the resource manager calls the vaults of a kind.
fn collection(kind: VaultKind) -> &'static str {
    match kind {
        VaultKind::KeyVault => "vaults",
        VaultKind::ManagedHsm => "managedHSMs",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACME: &str = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys_(prod).eu/providers/Microsoft.KeyVault/vaults/acme-kv";

    #[test]
    fn a_resource_id_reads_in_any_case_and_prints_in_one() {
        let shouted = ACME
            .replace("resourceGroups", "RESOURCEGROUPS")
            .replace("Microsoft.KeyVault/vaults/acme-kv", "microsoft.keyvault/Vaults/Acme-KV")
            .replace("5f0b4d3e", "5F0B4D3E");
        let resource: VaultResource = shouted.parse().unwrap();
        assert_eq!(resource.to_string(), ACME);
        assert_eq!(resource.kind, VaultKind::KeyVault);
        let hsm = ACME.replace("/vaults/", "/managedhsms/");
        assert_eq!(
            hsm.parse::<VaultResource>().unwrap().to_string(),
            ACME.replace("/vaults/", "/managedHSMs/")
        );
    }

    #[test]
    fn a_resource_id_is_of_the_vault_of_its_name_and_kind() {
        let resource: VaultResource = ACME.parse().unwrap();
        assert!(resource.is_at(&"acme-kv.vault.azure.net".parse().unwrap()));
        assert!(!resource.is_at(&"acme-kv2.vault.azure.net".parse().unwrap()));
        assert!(!resource.is_at(&"acme-kv.managedhsm.azure.net".parse().unwrap()));
    }

    #[test]
    fn what_is_not_the_id_of_a_vault_is_refused() {
        let refused = [
            String::new(),
            "/".to_owned(),
            ACME.trim_start_matches('/').to_owned(),
            format!("{ACME}/"),
            format!("{ACME}/keys/kek"),
            format!("{ACME}?api-version=2026-02-01"),
            format!("{ACME}#overview"),
            format!(" {ACME}"),
            format!("{ACME}\n"),
            format!("https://management.azure.com{ACME}"),
            ACME.replace("/providers", "//providers"),
            ACME.replace("/vaults/", "%2Fvaults%2F"),
            ACME.replace("/vaults/", "/../vaults/"),
            ACME.replace("Keys_(prod).eu", ".."),
            ACME.replace("Keys_(prod).eu", ""),
            ACME.replace("Keys_(prod).eu", "ends."),
            ACME.replace("Keys_(prod).eu", "two words"),
            ACME.replace("Keys_(prod).eu", "a%2Fb"),
            ACME.replace("Keys_(prod).eu", &"g".repeat(91)),
            ACME.replace("Microsoft.KeyVault", "Microsoft.Storage"),
            ACME.replace("/vaults/", "/storageAccounts/"),
            ACME.replace("acme-kv", "acme--kv"),
            ACME.replace("acme-kv", "acme-kv.evil.example"),
            ACME.replace("acme-kv", "аcme-kv"),
            ACME.replace(
                "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11",
                "5f0b4d3e7a1c4c2f9a0e0d6b4f7c2a11",
            ),
            ACME.replace(
                "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11",
                "{5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11}",
            ),
        ];
        for text in refused {
            assert!(text.parse::<VaultResource>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_resource_id_is_text_in_json() {
        let resource: VaultResource = ACME.parse().unwrap();
        let json = serde_json::to_string(&resource).unwrap();
        assert_eq!(json, format!("\"{ACME}\""));
        assert_eq!(serde_json::from_str::<VaultResource>(&json).unwrap(), resource);
        assert!(serde_json::from_str::<VaultResource>("\"/subscriptions\"").is_err());
    }

    proptest! {
        #[test]
        fn what_prints_reads_again(group in r"[\p{L}\p{Nd}_()-]{1,90}", name in "[a-z][a-z0-9]{2,23}", id in any::<u128>()) {
            let resource = VaultResource {
                subscription: SubscriptionId(Uuid::from_u128(id)),
                resource_group: group.parse().unwrap(),
                kind: VaultKind::KeyVault,
                name: name.parse().unwrap(),
            };
            prop_assert_eq!(resource.to_string().parse(), Ok(resource));
        }
    }
}

//! Names of things, each a type of its own: holding one is the proof that it was parsed.
//!
//! Key Vault's naming rules: <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>.

mod resource;

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::resource::{ResourceGroup, SubscriptionId, VaultResource};

/// A tenant's id, a `UUIDv7`. It never changes and is never used again; every ciphertext is bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub Uuid);

/// An Entra directory's id, what Entra calls the tenant ID: the directory that a customer's vault trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectoryId(pub Uuid);

/// A data key's id: 16 random bytes, the `kid` of an envelope's recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataKeyId(pub [u8; 16]);

/// An Azure cloud. Each has its own vault suffixes, its own Entra and its own resource manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// Azure's public cloud.
    #[default]
    Public,
    /// Azure operated by 21Vianet.
    China,
    /// Azure for the US Government.
    UsGovernment,
}

/// What answers at a vault host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VaultKind {
    /// A Key Vault, standard or premium.
    KeyVault,
    /// A Managed HSM pool.
    ManagedHsm,
}

/// A vault's host name: one label under its cloud's Key Vault or Managed HSM suffix, in lower case; nothing else is
/// ever connected to. `acme.vault.azure.net`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultHost(Arc<str>);

/// A vault's name, the first label of its host: 3 to 24 letters, digits and single hyphens, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultName(Arc<str>);

/// A key's name in its vault: 1 to 127 of `0-9 a-z A-Z -`. Compared as written, though Key Vault ignores case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(Arc<str>);

/// A key's version: 32 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyVersion(Arc<str>);

/// A key in a vault, at no particular version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRef {
    /// The vault that holds the key.
    pub vault: VaultHost,
    /// The key's name there.
    pub name: KeyName,
}

/// The identifier of a key encryption key: a customer's RSA key at one version,
/// `https://{vault}/keys/{name}/{version}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KekId {
    /// The key.
    pub key: KeyRef,
    /// Its version.
    pub version: KeyVersion,
}

/// Why a name was refused. The text is for whoever typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a vault host of that cloud.
    #[error(
        "not a vault host of this cloud: expected one name of 3 to 24 letters, digits and single hyphens under a vault suffix such as vault.azure.net"
    )]
    VaultHost,
    /// Not a vault name.
    #[error("not a vault name: expected 3 to 24 letters, digits and single hyphens")]
    VaultName,
    /// Not a key name.
    #[error("not a key name: expected 1 to 127 letters, digits and hyphens")]
    KeyName,
    /// Not a key version.
    #[error("not a key version: expected 32 lower-case hexadecimal digits")]
    KeyVersion,
    /// Not a subscription's id.
    #[error("not a subscription: expected a UUID with hyphens")]
    Subscription,
    /// Not a resource group's name.
    #[error("not a resource group: expected 1 to 90 letters, digits, hyphens, underscores, dots and parentheses")]
    ResourceGroup,
    /// Not a vault's resource id.
    #[error(
        "not a vault's resource id: expected /subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/…"
    )]
    VaultResource,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Public, Self::China, Self::UsGovernment];

    /// The suffix of Key Vault hosts, without a leading dot.
    #[must_use]
    pub fn vault_suffix(self) -> &'static str {
        match self {
            Self::Public => "vault.azure.net",
            Self::China => "vault.azure.cn",
            Self::UsGovernment => "vault.usgovcloudapi.net",
        }
    }

    /// The suffix of Managed HSM hosts, without a leading dot.
    #[must_use]
    pub fn managed_hsm_suffix(self) -> &'static str {
        match self {
            Self::Public => "managedhsm.azure.net",
            Self::China => "managedhsm.azure.cn",
            Self::UsGovernment => "managedhsm.usgovcloudapi.net",
        }
    }
}

impl VaultHost {
    /// Parses a host of the given cloud. Letters are lowered; anything but one plain label under a known suffix is
    /// refused: ports, user info, trailing dots, sub-labels, IP literals and non-ASCII look-alikes among it.
    pub fn parse(cloud: Cloud, host: &str) -> Result<Self, IdError> {
        let host = host.to_ascii_lowercase();
        let (label, suffix) = host.split_once('.').ok_or(IdError::VaultHost)?;
        let known = suffix == cloud.vault_suffix() || suffix == cloud.managed_hsm_suffix();
        if known && is_vault_label(label) {
            Ok(Self(host.into()))
        } else {
            Err(IdError::VaultHost)
        }
    }

    /// The host name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The vault's name: the label before the suffix.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or("", |(name, _)| name)
    }

    /// Which cloud's suffix the host has.
    #[must_use]
    pub fn cloud(&self) -> Cloud {
        let suffix = self.suffix();
        Cloud::ALL
            .into_iter()
            .find(|cloud| suffix == cloud.vault_suffix() || suffix == cloud.managed_hsm_suffix())
            .unwrap_or_default()
    }

    /// Whether a Key Vault or a Managed HSM answers there.
    #[must_use]
    pub fn kind(&self) -> VaultKind {
        if self.suffix() == self.cloud().vault_suffix() {
            VaultKind::KeyVault
        } else {
            VaultKind::ManagedHsm
        }
    }

    fn suffix(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, suffix)| suffix)
    }
}

impl FromStr for VaultHost {
    type Err = IdError;

    /// Parses a host of any cloud.
    fn from_str(host: &str) -> Result<Self, IdError> {
        Cloud::ALL
            .into_iter()
            .find_map(|cloud| Self::parse(cloud, host).ok())
            .ok_or(IdError::VaultHost)
    }
}

impl VaultName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VaultName {
    type Err = IdError;

    /// Letters are lowered.
    fn from_str(name: &str) -> Result<Self, IdError> {
        let name = name.to_ascii_lowercase();
        if is_vault_label(&name) {
            Ok(Self(name.into()))
        } else {
            Err(IdError::VaultName)
        }
    }
}

fn is_vault_label(label: &str) -> bool {
    (3..=24).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.contains("--")
}

impl KeyName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        let plain = (1..=127).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if plain {
            Ok(Self(name.into()))
        } else {
            Err(IdError::KeyName)
        }
    }
}

impl KeyVersion {
    /// The version.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyVersion {
    type Err = IdError;

    fn from_str(version: &str) -> Result<Self, IdError> {
        let hex = version.len() == 32 && version.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex {
            Ok(Self(version.into()))
        } else {
            Err(IdError::KeyVersion)
        }
    }
}

impl KeyRef {
    /// Reads an untrusted KEK identifier as a version of this very key; `None` if it names anything else.
    #[must_use]
    pub fn kek_named(&self, untrusted: &str) -> Option<KekId> {
        let version = untrusted
            .strip_prefix("https://")?
            .strip_prefix(self.vault.as_str())?
            .strip_prefix("/keys/")?
            .strip_prefix(self.name.as_str())?
            .strip_prefix('/')?;
        Some(KekId {
            key: self.clone(),
            version: version.parse().ok()?,
        })
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/keys/{}", self.vault, self.name)
    }
}

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.key, self.version)
    }
}

impl TenantId {
    /// A new id, ordered by the time of its making.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The 16 bytes that ciphertexts are bound to.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// `Display`, `Debug` and serde for the names that are text.
macro_rules! text {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text!(VaultHost, VaultName, KeyName, KeyVersion, ResourceGroup);

/// `Display` and `FromStr` for the ids that are UUIDs.
macro_rules! uuid {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Ok(Self(text.parse()?))
            }
        }
    )*};
}
uuid!(TenantId, DirectoryId);

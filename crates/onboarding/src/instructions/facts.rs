//! What instructions are written from.

use std::{fmt, str::FromStr, sync::Arc};

use keyferry_crypto::id::{
    Cloud, DirectoryId, KeyName, KeyVersion, ResourceGroup, SubscriptionId, VaultHost, VaultKind, VaultResource,
};
use uuid::Uuid;

use super::role::{Role, Roles};

/// What is known of a customer, and of us. What is `None` becomes a placeholder.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The customer's cloud.
    pub cloud: Cloud,
    /// Our application in that cloud.
    pub application: Application,
    /// The customer's directory.
    pub directory: Option<DirectoryId>,
    /// The customer's vault. A Managed HSM counts as not known.
    pub vault: Option<VaultHost>,
    /// The vault's resource id. It also tells the vault's name, if only that is known.
    pub resource: Option<VaultResource>,
    /// Where the vault is, or shall be.
    pub region: Option<Region>,
    /// The key's name.
    pub key: Option<KeyName>,
    /// The one version that shall wrap, if not the newest. Then the key exists and is not created.
    pub version: Option<KeyVersion>,
    /// The private endpoint, if there shall be one.
    pub endpoint: Option<Endpoint>,
}

/// Our application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its client id.
    pub client_id: Uuid,
    /// What customers know us by. Any text.
    pub display_name: String,
}

/// The private endpoint that we make to the customer's vault.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Whether the vault is used over it only.
    pub required: bool,
    /// It, once it has been requested.
    pub ours: Option<PrivateEndpoint>,
}

/// A private endpoint in our subscription. `Display` is its resource id, which the customer sees beside the pending
/// connection and by which it is told from a stranger's: anybody may request one under any name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateEndpoint {
    /// Our subscription.
    pub subscription: SubscriptionId,
    /// Our resource group.
    pub resource_group: ResourceGroup,
    /// Its name.
    pub name: EndpointName,
}

/// A private endpoint's name: 2 to 64 of `0-9 a-z A-Z - _ .`, first a letter or digit, last a letter, digit or `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointName(Arc<str>);

/// An Azure region: `westeurope`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region(Arc<str>);

/// Not such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name of that kind")]
pub struct NameError;

/// How the customer wants to go about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Choices {
    /// Whether there is a vault already.
    pub vault: VaultChoice,
    /// How access is granted.
    pub access: Access,
    /// The size of a key that is created.
    pub key_size: KeySize,
}

/// Whether there is a vault already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VaultChoice {
    /// There is one.
    #[default]
    Existing,
    /// One is created.
    New,
}

/// How a vault decides who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// By roles.
    Roles(Roles),
    /// By access policies, the older way: roles are ignored there.
    Policy,
}

/// The size of an RSA key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeySize {
    /// 3072 bits.
    #[default]
    Rsa3072,
    /// 4096 bits. A vault unwraps half as many of these a second.
    Rsa4096,
}

impl Facts {
    /// The vault's name.
    pub(super) fn vault_name(&self) -> Option<&str> {
        let host = self.vault.as_ref().filter(|vault| vault.kind() == VaultKind::KeyVault);
        host.map(VaultHost::name)
            .or_else(|| self.resource().map(|resource| resource.name.as_str()))
    }

    pub(super) fn subscription(&self) -> Option<SubscriptionId> {
        self.resource().map(|resource| resource.subscription)
    }

    pub(super) fn resource_group(&self) -> Option<&str> {
        self.resource().map(|resource| resource.resource_group.as_str())
    }

    fn resource(&self) -> Option<&VaultResource> {
        let resource = self.resource.as_ref();
        resource.filter(|resource| resource.kind == VaultKind::KeyVault)
    }
}

impl Access {
    /// The roles to grant; none where policies rule.
    pub(super) fn roles(self) -> &'static [Role] {
        match self {
            Self::Roles(roles) => roles.all(),
            Self::Policy => &[],
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self::Roles(Roles::default())
    }
}

impl KeySize {
    /// In bits.
    #[must_use]
    pub fn bits(self) -> u16 {
        match self {
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }
}

impl Region {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = NameError;

    /// Takes the name for people too: `West Europe`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.replace(' ', "").to_ascii_lowercase();
        let plain =
            (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if plain { Ok(Self(name.into())) } else { Err(NameError) }
    }
}

impl FromStr for EndpointName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let plain = (2..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !name.ends_with(['-', '.']);
        if plain { Ok(Self(name.into())) } else { Err(NameError) }
    }
}

impl fmt::Display for PrivateEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            subscription,
            resource_group,
            name: EndpointName(name),
        } = self;
        write!(
            f,
            "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.Network/privateEndpoints/{name}"
        )
    }
}

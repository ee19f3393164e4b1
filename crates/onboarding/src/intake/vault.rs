//! The vault and the key.

use std::fmt;

use keyferry_crypto::id::{Cloud, KeyName, KeyRef, KeyVersion, VaultHost};
use uuid::Uuid;

use super::{
    Field, Refusal,
    address::{self, Address},
    text,
};

/// What a vault's address tells: the vault, and the key if it was a key's identifier. `Display` is the canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VaultAnswer {
    /// The vault alone.
    Vault(VaultHost),
    /// A key in it.
    Key(KeyAnswer),
}

/// A key, and its version if one was named. `Display` is the canonical identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyAnswer {
    /// The key.
    pub key: KeyRef,
    /// Its version. Without one the newest is meant.
    pub version: Option<KeyVersion>,
}

/// Reads a vault's address: its URI with or without the slash at its end, its host, its name alone, or the identifier of
/// a key in it, with or without version. Whatever comes out is a Key Vault of that cloud.
pub fn vault(cloud: Cloud, typed: &str) -> Result<VaultAnswer, Refusal> {
    let value = text::without_brackets(text::value(typed)?)?;
    refuse_other_fields(value, Field::Vault)?;
    if address::looks_like_one(value) {
        return identifier(address::parse(cloud, value)?);
    }
    let host = format!("{}.{}", text::ascii(value)?, cloud.vault_suffix());
    if value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::IpAddress);
    }
    VaultHost::parse(cloud, &host)
        .map(VaultAnswer::Vault)
        .map_err(|_| Refusal::VaultName)
}

/// Reads a key: its identifier with or without version, or its name alone if the vault is known. An identifier must be of
/// that vault.
pub fn key(cloud: Cloud, vault: Option<&VaultHost>, typed: &str) -> Result<KeyAnswer, Refusal> {
    let value = text::without_brackets(text::value(typed)?)?;
    refuse_other_fields(value, Field::Key)?;
    if !address::looks_like_one(value) {
        return named(vault, text::ascii(value)?);
    }
    match identifier(address::parse(cloud, value)?)? {
        VaultAnswer::Vault(_) => Err(Refusal::NoKeyName),
        VaultAnswer::Key(answer) if vault.is_some_and(|vault| *vault != answer.key.vault) => Err(Refusal::OtherVault),
        VaultAnswer::Key(answer) => Ok(answer),
    }
}

impl VaultAnswer {
    /// The vault.
    #[must_use]
    pub fn vault(&self) -> &VaultHost {
        match self {
            Self::Vault(vault) => vault,
            Self::Key(answer) => &answer.key.vault,
        }
    }
}

fn named(vault: Option<&VaultHost>, name: &str) -> Result<KeyAnswer, Refusal> {
    if name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Refusal::VersionAlone);
    }
    let name = name.parse().map_err(|_| Refusal::KeyName)?;
    let vault = vault.ok_or(Refusal::VaultFirst)?.clone();
    Ok(KeyAnswer {
        key: KeyRef { vault, name },
        version: None,
    })
}

/// Reads the path of a vault's address.
fn identifier(Address { host, path }: Address<'_>) -> Result<VaultAnswer, Refusal> {
    if path.is_empty() {
        return Ok(VaultAnswer::Vault(host));
    }
    let (collection, rest) = path.split_once('/').unwrap_or((path, ""));
    match collection.to_ascii_lowercase().as_str() {
        "keys" if rest.is_empty() => Err(Refusal::NoKeyName),
        "keys" => key_of(host, rest).map(VaultAnswer::Key),
        "secrets" => Err(Refusal::Secret),
        "certificates" => Err(Refusal::Certificate),
        "deletedkeys" => Err(Refusal::DeletedKey),
        _ => Err(Refusal::NotAKey),
    }
}

fn key_of(vault: VaultHost, path: &str) -> Result<KeyAnswer, Refusal> {
    let (name, version) = match path.split_once('/') {
        Some((name, version)) => (name, Some(version)),
        None => (path, None),
    };
    let name: KeyName = name.parse().map_err(|_| Refusal::KeyName)?;
    let version = version.map(version_of).transpose()?;
    Ok(KeyAnswer {
        key: KeyRef { vault, name },
        version,
    })
}

fn version_of(version: &str) -> Result<KeyVersion, Refusal> {
    if version.contains('/') {
        return Err(Refusal::NotAKey);
    }
    version.to_ascii_lowercase().parse().map_err(|_| Refusal::KeyVersion)
}

fn refuse_other_fields(value: &str, wanted: Field) -> Result<(), Refusal> {
    let lower = value.to_ascii_lowercase();
    if lower.starts_with("/subscriptions") || lower.starts_with("subscriptions/") {
        let found = Field::Resource;
        return Err(Refusal::OtherField { found, wanted });
    }
    if wanted == Field::Vault && Uuid::try_parse(value).is_ok() {
        let found = Field::Directory;
        return Err(Refusal::OtherField { found, wanted });
    }
    // In front of a vault's host it is rather a user name in an address, or an attempt to look like one.
    let is_email = value.contains('@') && !value.contains([':', '/']) && !lower.contains("vault.");
    if is_email {
        return Err(Refusal::Email);
    }
    Ok(())
}

impl fmt::Display for VaultAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault(vault) => write!(f, "https://{vault}/"),
            Self::Key(answer) => answer.fmt(f),
        }
    }
}

impl fmt::Display for KeyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)?;
        match &self.version {
            Some(version) => write!(f, "/{version}"),
            None => Ok(()),
        }
    }
}

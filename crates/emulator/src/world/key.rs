//! Keys, their versions, and how they look on the wire.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::vault::Vault;
use crate::{
    encoding::{hex_name, unix_now},
    rsa::RsaKey,
};

/// A key with all its versions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyBundle {
    /// Its versions, oldest first; the last one is the latest.
    pub versions: Vec<KeyVersion>,
    /// Its rotation policy, once one was set.
    pub rotation_policy: Option<RotationPolicy>,
    /// When it was deleted, if it was: seconds since 1970.
    pub deleted_at: Option<i64>,
}

/// A key at one version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyVersion {
    /// 32 hexadecimal digits.
    pub version: String,
    /// `RSA` or `RSA-HSM`.
    pub kty: String,
    /// The key itself.
    pub key: Arc<RsaKey>,
    /// What it may be used for.
    pub key_ops: Vec<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Not before, in seconds since 1970.
    pub nbf: Option<i64>,
    /// Expiry, in seconds since 1970.
    pub exp: Option<i64>,
    /// When it was made.
    pub created: i64,
    /// When it was last changed.
    pub updated: i64,
    /// The customer's tags.
    pub tags: BTreeMap<String, String>,
}

/// A rotation policy as it was put, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotationPolicy {
    /// What was put.
    pub policy: Value,
    /// When it was first put.
    pub created: i64,
    /// When it was last put.
    pub updated: i64,
}

impl KeyVersion {
    /// A new version of a key, enabled, for all operations.
    #[must_use]
    pub fn new(key: Arc<RsaKey>, hsm: bool) -> Self {
        let now = unix_now();
        Self {
            version: hex_name(),
            kty: if hsm { "RSA-HSM" } else { "RSA" }.into(),
            key,
            key_ops: ALL_OPERATIONS.map(str::to_owned).to_vec(),
            enabled: true,
            nbf: None,
            exp: None,
            created: now,
            updated: now,
            tags: BTreeMap::new(),
        }
    }

    /// Whether it is neither expired nor too young.
    pub(crate) fn is_current(&self) -> bool {
        let now = unix_now();
        self.nbf.is_none_or(|nbf| nbf <= now) && self.exp.is_none_or(|exp| now < exp)
    }

    /// The attributes of this version in its vault.
    pub(crate) fn attributes(&self, vault: &Vault) -> Value {
        let mut attributes = Map::new();
        attributes.insert("enabled".into(), self.enabled.into());
        for (name, value) in [("nbf", self.nbf), ("exp", self.exp)] {
            if let Some(value) = value {
                attributes.insert(name.into(), value.into());
            }
        }
        attributes.insert("created".into(), self.created.into());
        attributes.insert("updated".into(), self.updated.into());
        attributes.insert("recoveryLevel".into(), vault.recovery_level().into());
        attributes.insert("recoverableDays".into(), vault.options.recoverable_days.into());
        attributes.insert("exportable".into(), false.into());
        attributes.insert("hsmPlatform".into(), if self.kty == "RSA" { "0" } else { "2" }.into());
        Value::Object(attributes)
    }

    /// The key bundle of Key Vault's answers.
    pub(crate) fn bundle(&self, vault: &Vault, name: &str) -> Value {
        let (n, e) = self.key.modulus_and_exponent();
        json!({
            "key": {"kid": self.kid(vault, name), "kty": self.kty, "key_ops": self.key_ops, "n": n, "e": e},
            "attributes": self.attributes(vault),
            "tags": self.tags,
        })
    }

    /// The key's identifier at this version.
    pub(crate) fn kid(&self, vault: &Vault, name: &str) -> String {
        format!("https://{}/keys/{name}/{}", vault.host, self.version)
    }
}

impl KeyBundle {
    /// The version that is named, or the latest if none is.
    pub(crate) fn version(&self, version: &str) -> Option<&KeyVersion> {
        if version.is_empty() {
            self.versions.last()
        } else {
            self.versions.iter().find(|v| v.version == version)
        }
    }

    /// The same, to be changed.
    pub(crate) fn version_mut(&mut self, version: &str) -> Option<&mut KeyVersion> {
        if version.is_empty() {
            self.versions.last_mut()
        } else {
            self.versions.iter_mut().find(|v| v.version == version)
        }
    }

    /// What Key Vault answers of a deleted key.
    pub(crate) fn deleted(&self, vault: &Vault, name: &str) -> Option<Value> {
        let deleted_at = self.deleted_at?;
        let mut bundle = self.versions.last()?.bundle(vault, name);
        bundle["recoveryId"] = format!("https://{}/deletedkeys/{name}", vault.host).into();
        bundle["deletedDate"] = deleted_at.into();
        bundle["scheduledPurgeDate"] = (deleted_at + i64::from(vault.options.recoverable_days) * 86_400).into();
        Some(bundle)
    }
}

/// Whether a key can have that name: 1 to 127 letters, digits and hyphens.
pub(crate) fn is_key_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What an RSA key may be used for.
pub(crate) const ALL_OPERATIONS: [&str; 6] = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"];

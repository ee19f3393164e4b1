//! What a vault says of a key.

use azure_security_keyvault_keys::models::{Key, KeyType};
use keyferry_crypto::{
    id::{KekId, KeyRef, KeyVersion},
    vault::{VaultCause, VaultError},
};
use time::OffsetDateTime;

use crate::answer::kek_in;

/// A key at one version, as its vault describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// Which version this is of.
    pub kek: KekId,
    /// The modulus' length in bits, if this is an RSA key.
    pub rsa_bits: Option<usize>,
    /// Whether its private half is in hardware.
    pub is_in_hsm: bool,
    /// Whether it is enabled.
    pub is_enabled: bool,
    /// From when it may wrap.
    pub not_before: Option<OffsetDateTime>,
    /// Until when it may wrap.
    pub expires: Option<OffsetDateTime>,
    /// What may be done with it: `wrapKey`, `unwrapKey` and others.
    pub operations: Vec<String>,
    /// How deleted keys fare in this vault: `Recoverable+Purgeable` and others.
    pub recovery_level: Option<String>,
}

impl KeyDescription {
    /// Reads an answer about `key`, which must be about the version that was asked for.
    pub(crate) fn of(key: &KeyRef, version: Option<&KeyVersion>, answer: Key) -> Result<Self, VaultError> {
        let (attributes, key_material) = (answer.attributes.unwrap_or_default(), answer.key.unwrap_or_default());
        let kek = key_material.kid.as_deref().and_then(|kid| kek_in(key, kid));
        let kek = kek.filter(|kek| version.is_none_or(|version| *version == kek.version));
        let is_rsa = matches!(key_material.kty, Some(KeyType::Rsa | KeyType::RsaHsm));
        Ok(Self {
            kek: kek.ok_or(VaultCause::AnswerInvalid)?,
            rsa_bits: key_material.n.filter(|_| is_rsa).map(|modulus| bits(&modulus)),
            is_in_hsm: matches!(
                key_material.kty,
                Some(KeyType::RsaHsm | KeyType::EcHsm | KeyType::OctHsm)
            ),
            is_enabled: attributes.enabled.unwrap_or(false),
            not_before: attributes.not_before,
            expires: attributes.expires,
            operations: key_material.key_ops.unwrap_or_default(),
            recovery_level: attributes.recovery_level.map(|level| level.to_string()),
        })
    }
}

/// The length of a number in bits, without leading zeros.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number
        .get(zeros)
        .map_or(0, |first| (number.len() - zeros) * 8 - first.leading_zeros() as usize)
}

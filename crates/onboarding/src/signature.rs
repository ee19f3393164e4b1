//! What makes links and consent states ours: HMAC-SHA-256 (RFC 2104, FIPS 180-4) under one key of the platform's.

use std::{fs, path::Path};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config::ConfigError;

/// A tag's length in bytes.
pub(crate) const TAG_LEN: usize = 32;
/// A key shorter than this is refused: HMAC-SHA-256 is no stronger than its key.
const MIN_KEY_LEN: usize = 32;
/// Nobody means a file longer than this for a key.
const MAX_KEY_LEN: usize = 4096;

/// What a tag is for. A tag for one purpose is none for another, whatever was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The link to a customer's page.
    Link,
    /// The state that Entra brings back.
    ConsentState,
}

/// The key that signs. Wiped when dropped, never shown.
pub(crate) struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// Reads a key from its file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = Zeroizing::new(fs::read(path).map_err(ConfigError::SigningKey)?);
        if bytes.len() < MIN_KEY_LEN {
            return Err(ConfigError::Field("signing_key_file", "at least 32 random bytes"));
        }
        if bytes.len() > MAX_KEY_LEN {
            return Err(ConfigError::Field("signing_key_file", "at most 4096 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The tag of a message: `HMAC-SHA-256(key, label ‖ 0x00 ‖ message)`. No label contains a zero, so none is the
    /// beginning of another's message.
    pub(crate) fn tag(&self, purpose: Purpose, message: &[u8]) -> [u8; TAG_LEN] {
        self.mac(purpose, message)
            .map_or([0; TAG_LEN], |mac| mac.finalize().into_bytes().into())
    }

    /// Whether a tag is that of a message, found out in constant time.
    pub(crate) fn is_tag(&self, purpose: Purpose, message: &[u8], tag: &[u8; TAG_LEN]) -> bool {
        self.mac(purpose, message)
            .is_some_and(|mac| mac.verify(tag.into()).is_ok())
    }

    /// `None` never comes: HMAC takes keys of every length.
    fn mac(&self, purpose: Purpose, message: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(purpose.label());
        mac.update(&[0]);
        mac.update(message);
        Some(mac)
    }
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Link => b"keyferry onboarding link v1",
            Self::ConsentState => b"keyferry onboarding consent state v1",
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
impl SigningKey {
    /// A key for tests.
    pub(crate) fn of(byte: u8) -> Self {
        Self(Zeroizing::new(vec![byte; MIN_KEY_LEN]))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_tag_holds_for_its_key_its_purpose_and_its_message_only() {
        let key = SigningKey::of(1);
        let tag = key.tag(Purpose::Link, b"acme");
        assert!(key.is_tag(Purpose::Link, b"acme", &tag));
        assert!(!key.is_tag(Purpose::ConsentState, b"acme", &tag));
        assert!(!key.is_tag(Purpose::Link, b"acne", &tag));
        assert!(!SigningKey::of(2).is_tag(Purpose::Link, b"acme", &tag));
        for bit in 0..TAG_LEN * 8 {
            let mut forged = tag;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.is_tag(Purpose::Link, b"acme", &forged), "bit {bit}");
        }
    }

    #[test]
    fn a_key_that_is_too_short_or_not_there_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[7; MIN_KEY_LEN - 1]).unwrap();
        assert!(matches!(
            SigningKey::read(file.path()),
            Err(ConfigError::Field("signing_key_file", _))
        ));
        file.write_all(&[7]).unwrap();
        assert!(SigningKey::read(file.path()).is_ok());
        let nowhere = file.path().with_extension("gone");
        assert!(matches!(SigningKey::read(&nowhere), Err(ConfigError::SigningKey(_))));
    }
}

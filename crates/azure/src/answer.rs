//! Answers of wrap and unwrap, read where they lie: what they hold may be a data key, so nothing of it is copied but into
//! memory that is wiped.

use std::borrow::Cow;

use base64_simd::{AsOut, URL_SAFE_NO_PAD};
use keyferry_crypto::{
    id::{KekId, KeyRef},
    vault::{VaultCause, VaultError},
};
use serde::Deserialize;
use zeroize::Zeroizing;

/// `{"kid":"https://…/keys/{name}/{version}","value":"…"}`
#[derive(Deserialize)]
pub(crate) struct KeyAnswer<'a> {
    #[serde(borrow)]
    kid: Cow<'a, str>,
    /// Base64url has nothing to escape, so this is always borrowed; what is escaped all the same is refused.
    value: &'a str,
}

impl<'a> KeyAnswer<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, VaultError> {
        serde_json::from_slice(body).map_err(|_| VaultCause::AnswerInvalid.into())
    }

    /// Which version of `key` answered.
    pub(crate) fn kek(&self, key: &KeyRef) -> Result<KekId, VaultError> {
        kek_in(key, &self.kid).ok_or_else(|| VaultCause::AnswerInvalid.into())
    }

    /// The bytes, decoded straight into memory that is wiped.
    pub(crate) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let invalid = |_| VaultError::from(VaultCause::AnswerInvalid);
        let value = self.value.as_bytes();
        let length = URL_SAFE_NO_PAD.decoded_length(value).map_err(invalid)?;
        let mut bytes = Zeroizing::new(vec![0; length]);
        URL_SAFE_NO_PAD
            .decode(value, bytes.as_mut_slice().as_out())
            .map_err(invalid)?;
        Ok(bytes)
    }
}

/// Reads the `kid` of an answer: it must be a version of the key that was asked. Key Vault ignores case in names and may
/// write them otherwise than we did; the tenant's own spelling is kept.
pub(crate) fn kek_in(key: &KeyRef, kid: &str) -> Option<KekId> {
    let (named, version) = kid.rsplit_once('/')?;
    let is_asked = named.eq_ignore_ascii_case(&key.to_string());
    let version = version.to_ascii_lowercase().parse().ok()?;
    is_asked.then(|| KekId {
        key: key.clone(),
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyRef {
        KeyRef {
            vault: "acme.vault.azure.net".parse().unwrap(),
            name: "kek".parse().unwrap(),
        }
    }

    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn an_answer_is_read() {
        let body = format!(r#"{{"kid":"https:\/\/acme.vault.azure.net/keys/kek/{VERSION}","value":"-_v7","more":1}}"#);
        let answer = KeyAnswer::read(body.as_bytes()).unwrap();
        assert_eq!(answer.kek(&key()).unwrap().version.as_str(), VERSION);
        assert_eq!(*answer.bytes().unwrap(), [0xfb; 3]);
    }

    #[test]
    fn what_is_no_answer_is_invalid() {
        let invalid = |body: &str| {
            let read = KeyAnswer::read(body.as_bytes()).and_then(|answer| answer.bytes());
            assert_eq!(read.unwrap_err().cause(), VaultCause::AnswerInvalid, "{body}");
        };
        invalid("");
        invalid(r#"{"nonsense":true}"#);
        invalid(r#"{"kid":"k","value":"-_v7""#);
        invalid(r#"{"kid":"k","value":"+/v7"}"#);
        invalid(r#"{"kid":"k","value":"-_v7="}"#);
        invalid(r#"{"kid":"k","value":"a"}"#);
        invalid(r#"{"kid":"k","value":"-\u005fv7"}"#);
    }

    #[test]
    fn a_kid_of_the_key_that_was_asked_is_read_whatever_its_case() {
        for kid in [
            "https://acme.vault.azure.net/keys/kek",
            "https://Acme.vault.azure.net/keys/KEK",
        ] {
            let kek = kek_in(&key(), &format!("{kid}/{VERSION}")).unwrap();
            assert_eq!(
                kek.to_string(),
                format!("https://acme.vault.azure.net/keys/kek/{VERSION}")
            );
        }
    }

    #[test]
    fn a_kid_of_anything_else_is_refused() {
        for kid in [
            format!("https://other.vault.azure.net/keys/kek/{VERSION}"),
            format!("https://acme.vault.azure.net/keys/other/{VERSION}"),
            format!("http://acme.vault.azure.net/keys/kek/{VERSION}"),
            "https://acme.vault.azure.net/keys/kek".into(),
            "https://acme.vault.azure.net/keys/kek/../secrets".into(),
            String::new(),
        ] {
            assert_eq!(kek_in(&key(), &kid), None, "{kid}");
        }
    }
}

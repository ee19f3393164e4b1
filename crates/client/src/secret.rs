//! Bytes and text that must not be seen.

use std::fmt;

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

/// A key or a plaintext. On the wire it is base64url without padding.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes, for the one call that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode_to_string(self.expose())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text.as_bytes());
        bytes
            .map(Self::from)
            .map_err(|_| serde::de::Error::custom("not base64url without padding"))
    }
}

/// A bearer token.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The token, for the header that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(Zeroizing::new(token))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = String::deserialize(deserializer)?;
        let token = Self::from(text.clone());
        text.zeroize();
        Ok(token)
    }
}

/// A link to a customer's page. Whoever has it may act for the customer there.
#[derive(Clone)]
pub struct LinkUrl(Zeroizing<String>);

impl LinkUrl {
    /// The link, for whoever is to be given it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkUrl(…)")
    }
}

impl<'de> Deserialize<'de> for LinkUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Zeroizing::new(String::deserialize(deserializer)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_keys_nor_tokens_are_shown() {
        let shown = format!(
            "{:?} {:?}",
            Secret::from(b"payroll".to_vec()),
            Token::from("eyJhbGciOi".to_owned())
        );
        assert_eq!(shown, "Secret(7 bytes) Token(…)");
    }

    #[test]
    fn bytes_travel_as_base64url_without_padding_and_as_nothing_else() {
        assert_eq!(
            serde_json::to_string(&Secret::from(vec![0xfb, 0xff])).unwrap(),
            r#""-_8""#
        );
        for refused in [r#""-_8=""#, r#""+/8""#, r#""-""#, "7"] {
            let read = serde_json::from_str::<Secret>(refused);
            assert!(read.is_err(), "{refused}");
        }
    }
}

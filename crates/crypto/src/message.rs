//! One message, given its data key: no vault, no cache, no clock.

use crate::{
    aead::{self, IV_LEN, NotAuthentic, TooLong},
    binding::Place,
    envelope::{self, Envelope, Wrapping},
    kdf::{ContentKey, SALT_LEN},
    random::{self, NoRandomness},
    secret::DataKey,
};

/// What is random in each message.
pub(crate) struct Fresh {
    pub(crate) iv: [u8; IV_LEN],
    pub(crate) salt: [u8; SALT_LEN],
}

impl Fresh {
    /// Draws both at once: asking the operating system costs more than sealing a kilobyte.
    pub(crate) fn draw() -> Result<Self, NoRandomness> {
        let bytes = random::array::<{ IV_LEN + SALT_LEN }>()?;
        let mut fresh = Self {
            iv: [0; IV_LEN],
            salt: [0; SALT_LEN],
        };
        let (iv, salt) = bytes.split_at(IV_LEN);
        fresh.iv.copy_from_slice(iv);
        fresh.salt.copy_from_slice(salt);
        Ok(fresh)
    }
}

/// The envelope of `plaintext`.
pub(crate) fn seal(
    place: &Place<'_>,
    data_key: &DataKey,
    wrapping: &Wrapping<'_>,
    fresh: &Fresh,
    plaintext: &[u8],
) -> Result<Vec<u8>, TooLong> {
    let content_key = ContentKey::derive(data_key, &fresh.salt);
    let mut writer = envelope::begin(place.content, &fresh.iv, plaintext.len(), wrapping);
    aead::seal(
        &content_key,
        &fresh.iv,
        &place.enc_structure(),
        plaintext,
        writer.buffer(),
    )?;
    Ok(envelope::finish(writer, &fresh.salt, wrapping))
}

/// The plaintext of `envelope`, if it was sealed for this place with this data key.
pub(crate) fn open(place: &Place<'_>, data_key: &DataKey, envelope: &Envelope<'_>) -> Result<Vec<u8>, NotAuthentic> {
    let content_key = ContentKey::derive(data_key, envelope.salt);
    aead::open(&content_key, envelope.iv, &place.enc_structure(), envelope.sealed)
}

//! Key commitment: an envelope opens under one data key only, for one tenant and one key encryption key.
//!
//! AES-GCM does not commit to its key: whoever knows two keys can make one ciphertext that opens under both. So each
//! envelope carries `HKDF-SHA-256(salt = '', data key, info)`, where `info` is deterministic CBOR of the label, the
//! tenant's id, the data key's id, the wrapping algorithm and the KEK's identifier. That also authenticates these
//! fields, which COSE leaves unprotected. Finding two data keys with one commitment is finding a collision of SHA-256.

use subtle::ConstantTimeEq;

use crate::{
    cbor::Writer,
    envelope::{RSA_OAEP_256, Wrapping},
    id::{DataKeyId, TenantId},
    kdf::hkdf_sha256,
    secret::DataKey,
};

/// The length of a commitment.
pub(crate) const COMMITMENT_LEN: usize = 32;

/// A commitment to a data key and to what the envelope says about it. Not a secret, but compared in constant time.
#[derive(Clone)]
pub(crate) struct Commitment([u8; COMMITMENT_LEN]);

impl Commitment {
    /// Commits `tenant`'s envelopes to `data_key`, known as `kid` and wrapped under `kek`.
    pub(crate) fn to(data_key: &DataKey, tenant: TenantId, kid: DataKeyId, kek: &str) -> Self {
        let mut info = Writer::with_capacity(64 + LABEL.len() + kek.len());
        info.array(5)
            .text(LABEL)
            .bytes(tenant.as_bytes())
            .bytes(&kid.0)
            .int(RSA_OAEP_256)
            .text(kek);
        Self(*hkdf_sha256(&[], data_key.expose(), &info.finish()))
    }

    /// The bytes, for an envelope.
    pub(crate) fn as_bytes(&self) -> &[u8; COMMITMENT_LEN] {
        &self.0
    }

    /// Whether an envelope carries this commitment.
    pub(crate) fn is_in(&self, wrapping: &Wrapping<'_>) -> bool {
        self.0.ct_eq(wrapping.commitment).into()
    }
}

const LABEL: &str = "keyferry key commitment v1";

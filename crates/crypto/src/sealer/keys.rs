//! Data keys at hand: what sealing and opening need of the vault is done, and what is left is the cipher's work.

use std::{fmt, sync::Arc};

use super::{Opened, Sealed, Sealer, SealerError};
use crate::{
    binding::Place,
    context::EncryptionContext,
    envelope::{Content, Envelope},
    held::HeldKey,
    id::{KekId, TenantId},
    lease::Lease,
    message::{self, Fresh},
    secret::{DataKey, SecretBytes},
};

/// A data key for one message of a tenant's: see [`Sealer::key_to_seal`].
#[must_use = "a message of the tenant's lease was taken for it"]
pub struct SealingKey {
    tenant: TenantId,
    lease: Arc<Lease>,
}

/// The data key of an envelope of a tenant's: see [`Sealer::key_to_open`].
pub struct OpeningKey {
    tenant: TenantId,
    held: Arc<HeldKey>,
    kek: KekId,
}

impl SealingKey {
    pub(super) fn new(tenant: TenantId, lease: Arc<Lease>) -> Self {
        Self { tenant, lease }
    }

    /// Seals `plaintext`, the one message that the key was taken for. Keeps a processor busy, for about a millisecond per
    /// megabyte, and waits for nothing.
    pub fn seal(self, content: Content, context: &EncryptionContext, plaintext: &[u8]) -> Result<Sealed, SealerError> {
        if plaintext.len() > Sealer::MAX_PLAINTEXT {
            return Err(SealerError::TooLarge);
        }
        let place = place(self.tenant, content, context);
        let (data_key, wrapping) = (self.lease.data_key(), self.lease.wrapping());
        let envelope = message::seal(&place, data_key, &wrapping, &Fresh::draw()?, plaintext)?;
        Ok(Sealed {
            envelope,
            kek: self.lease.kek().clone(),
        })
    }
}

impl OpeningKey {
    pub(super) fn new(tenant: TenantId, held: Arc<HeldKey>, kek: KekId) -> Self {
        Self { tenant, held, kek }
    }

    /// Opens the envelope that the key was asked for; another, which carries another data key, is not authentic. Keeps a
    /// processor busy, for about a millisecond per megabyte, and waits for nothing.
    pub fn open(self, content: Content, context: &EncryptionContext, envelope: &[u8]) -> Result<Opened, SealerError> {
        let envelope = parsed(content, envelope)?;
        if self.kek.key.kek_named(envelope.wrapping.kek).as_ref() != Some(&self.kek) {
            return Err(SealerError::NotAuthentic);
        }
        self.held.prove(self.tenant, &envelope.wrapping)?;
        self.open_parsed(context, &envelope)
    }

    /// Opens an envelope whose data key is known to be this one.
    pub(super) fn open_parsed(
        self,
        context: &EncryptionContext,
        envelope: &Envelope<'_>,
    ) -> Result<Opened, SealerError> {
        let place = place(self.tenant, envelope.content, context);
        let plaintext = message::open(&place, self.data_key(), envelope)?;
        Ok(Opened {
            plaintext: SecretBytes::new(plaintext),
            kek: self.kek,
        })
    }

    pub(super) fn data_key(&self) -> &DataKey {
        self.held.data_key()
    }

    /// The key encryption key that wraps it.
    pub(super) fn kek(&self) -> &KekId {
        &self.kek
    }

    /// The data key as it is held.
    pub(super) fn held(&self) -> &Arc<HeldKey> {
        &self.held
    }
}

/// Reads an envelope that must hold `content`.
pub(super) fn parsed(content: Content, envelope: &[u8]) -> Result<Envelope<'_>, SealerError> {
    let envelope = Envelope::parse(envelope)?;
    if envelope.content == content {
        Ok(envelope)
    } else {
        Err(SealerError::WrongContent {
            found: envelope.content,
        })
    }
}

fn place(tenant: TenantId, content: Content, context: &EncryptionContext) -> Place<'_> {
    Place {
        tenant,
        content,
        context,
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(…)")
    }
}

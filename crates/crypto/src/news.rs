//! What a sealer learns of customers' keys from the calls that it makes: for whoever tells other replicas.

use crate::{
    id::{KekId, KeyRef, KeyVersion, TenantId},
    vault::{Call, Evidence, VaultCause, VaultError},
};

/// Something that was learnt, once, and not again while it stays so.
#[derive(Clone, Debug)]
pub struct News {
    /// Whose key it is about.
    pub tenant: TenantId,
    /// What was learnt.
    pub learnt: Learnt,
}

/// What was learnt.
#[derive(Clone, Debug)]
pub enum Learnt {
    /// The customer refuses. It is confirmed, and obeyed here already.
    Refused(Refusal),
    /// The vault, or its directory, is asked in vain.
    Unavailable(VaultError),
    /// A vault that refused or was asked in vain does as asked again.
    Serves,
    /// A wrap that named no version was done under this one, and the one before, if there was one, under another.
    Wrapped(KekId),
}

/// A customer's definite refusal, as it goes from one replica to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was refused.
    pub call: Call,
    /// With which key.
    pub key: KeyRef,
    /// At which version; at whichever is the newest if absent.
    pub version: Option<KeyVersion>,
    /// Why.
    pub cause: VaultCause,
    /// What the vault said.
    pub evidence: Evidence,
}

//! Requests, and what became of them.

use std::sync::{Arc, Mutex, PoisonError};

use keyferry_crypto::{
    context::EncryptionContext,
    sealer::{Content, Sealed, Sealer, SealerError},
    vault::VaultCause,
};
use keyferry_registry::Tenant;
use tokio::time::Instant;

use crate::{customer, replica::Replica, trace};

/// What is asked of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Seal,
    Open,
}

#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The number of the replica.
    pub(crate) by: usize,
    pub(crate) asked: Asked,
    /// Under which version it was sealed or to be opened; none if it was not sealed.
    pub(crate) version: Option<u8>,
    /// When the replica got it: if it was paused when it was sent, later than that.
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// Why it was not done, if it was not.
    pub(crate) failure: Option<VaultCause>,
}

/// An envelope that is to be opened.
#[derive(Clone)]
struct Kept {
    version: u8,
    envelope: Vec<u8>,
}

pub(crate) struct Requests {
    tenant: Arc<Tenant>,
    envelopes: Arc<Mutex<Vec<Kept>>>,
    answered: Arc<Mutex<Vec<Answered>>>,
    sent: usize,
}

impl Requests {
    pub(crate) fn new(tenant: &Arc<Tenant>) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            envelopes: Arc::default(),
            answered: Arc::default(),
            sent: 0,
        }
    }

    /// Seals what all are to open.
    pub(crate) async fn seal_first(&self, sealer: &Sealer) {
        let context = EncryptionContext::default();
        let sealed = sealer
            .seal(&self.tenant.keys, Content::Data, &context, b"a salary")
            .await;
        lock(&self.envelopes).push(Kept::from(sealed.expect("sealed")));
    }

    pub(crate) fn send(&mut self, to: &Replica, asked: Asked) {
        self.sent += 1;
        let (sealer, gate, by) = (Arc::clone(&to.sealer), Arc::clone(&to.gate), to.number);
        let (tenant, envelopes) = (Arc::clone(&self.tenant), Arc::clone(&self.envelopes));
        let (answered, sent) = (Arc::clone(&self.answered), self.sent);
        tokio::spawn(async move {
            gate.passes().await;
            let began = Instant::now();
            let (outcome, version) = match asked {
                Asked::Seal => {
                    let sealed = match sealer.key_to_seal(&tenant.keys).await {
                        Ok(key) => key.seal(Content::Data, &EncryptionContext::default(), b"another"),
                        Err(error) => Err(error),
                    };
                    let sealed = sealed.map(Kept::from);
                    let version = sealed.as_ref().ok().map(|sealed| sealed.version);
                    (sealed.map(|sealed| keep(&envelopes, sealed, sent)), version)
                }
                Asked::Open => {
                    let Kept { version, envelope } = chosen(&envelopes, by, sent);
                    // What an envelope needs of the customer's key; the cipher's work is left out.
                    let opened = sealer.key_to_open(&tenant.keys, Content::Data, &envelope).await;
                    (opened.map(drop), Some(version))
                }
            };
            let failure = match outcome {
                Ok(()) => None,
                Err(SealerError::Vault(error)) => Some(error.cause()),
                Err(error) => panic!("a request fails as none may: {error}"),
            };
            gate.passes().await;
            trace::note(format_args!("replica {by}: {asked:?}: {failure:?}"));
            lock(&answered).push(Answered {
                by,
                asked,
                version,
                began,
                ended: Instant::now(),
                failure,
            });
        });
    }

    pub(crate) fn answered(&self) -> Vec<Answered> {
        lock(&self.answered).clone()
    }
}

impl From<Sealed> for Kept {
    fn from(sealed: Sealed) -> Self {
        Self {
            version: customer::number(&sealed.kek),
            envelope: sealed.envelope,
        }
    }
}

/// Keeps an envelope, if there is none of its version yet, or few at all.
fn keep(envelopes: &Mutex<Vec<Kept>>, sealed: Kept, sent: usize) {
    let mut envelopes = lock(envelopes);
    let is_first = envelopes.iter().all(|kept| kept.version != sealed.version);
    if is_first || (envelopes.len() < HOT && sent.is_multiple_of(KEPT_OF)) {
        envelopes.push(sealed);
    }
}

/// Mostly one of the first, so that it is in use all along; and now and then any.
fn chosen(envelopes: &Mutex<Vec<Kept>>, by: usize, sent: usize) -> Kept {
    let envelopes = lock(envelopes);
    let place = if sent.is_multiple_of(3) {
        sent / 3 % envelopes.len()
    } else {
        by % envelopes.len().min(HOT)
    };
    envelopes[place].clone()
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One in so many envelopes is kept, to be opened.
const KEPT_OF: usize = 16;
/// How many are opened again and again.
const HOT: usize = 2;

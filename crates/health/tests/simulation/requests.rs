//! Requests, and what became of them.

use std::sync::{Arc, Mutex, PoisonError};

use keyferry_crypto::{
    context::EncryptionContext,
    sealer::{Content, Sealer, SealerError},
    vault::VaultCause,
};
use keyferry_registry::Tenant;
use tokio::time::Instant;

use crate::{replica::Replica, trace};

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
    /// When the replica got it: if it was paused when it was sent, later than that.
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// Why it was not done, if it was not.
    pub(crate) failure: Option<VaultCause>,
}

pub(crate) struct Requests {
    tenant: Arc<Tenant>,
    envelopes: Arc<Mutex<Vec<Vec<u8>>>>,
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
        lock(&self.envelopes).push(sealed.expect("sealed").envelope);
    }

    pub(crate) fn send(&mut self, to: &Replica, asked: Asked) {
        self.sent += 1;
        let (sealer, gate, by) = (Arc::clone(&to.sealer), Arc::clone(&to.gate), to.number);
        let (tenant, envelopes) = (Arc::clone(&self.tenant), Arc::clone(&self.envelopes));
        let (answered, is_kept) = (Arc::clone(&self.answered), self.sent.is_multiple_of(KEPT_OF));
        tokio::spawn(async move {
            gate.passes().await;
            let began = Instant::now();
            // What an envelope needs of the customer's key; of the cipher's work, little.
            let outcome = match asked {
                Asked::Seal => match sealer.key_to_seal(&tenant.keys).await {
                    Ok(key) if is_kept => key
                        .seal(Content::Data, &EncryptionContext::default(), b"another")
                        .map(|sealed| lock(&envelopes).push(sealed.envelope)),
                    sealed => sealed.map(drop),
                },
                Asked::Open => {
                    let envelope = {
                        let envelopes = lock(&envelopes);
                        envelopes[by % envelopes.len().min(2)].clone()
                    };
                    let opened = sealer.key_to_open(&tenant.keys, Content::Data, &envelope);
                    opened.await.map(drop)
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

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One in so many envelopes is kept, to be opened.
const KEPT_OF: usize = 16;

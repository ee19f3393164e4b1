//! One round at a time for each onboarding in this process: whoever asks while it goes on waits for its end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyferry_crypto::id::TenantId;
use tokio::sync::watch;

/// Who is at work.
#[derive(Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<TenantId, watch::Receiver<()>>>>);

/// Whose turn it is.
pub(super) enum Turn {
    /// One's own, until this is dropped.
    Ours(Held),
    /// Another's. The receiver's sender is gone when it ends.
    Theirs(watch::Receiver<()>),
}

/// A turn that is held.
pub(super) struct Held {
    turns: Turns,
    tenant: TenantId,
    _end: watch::Sender<()>,
}

impl Turns {
    /// Takes the turn, or says who has it.
    pub(super) fn take(&self, tenant: TenantId) -> Turn {
        let mut held = self.held();
        if let Some(theirs) = held.get(&tenant) {
            return Turn::Theirs(theirs.clone());
        }
        let (end, ended) = watch::channel(());
        held.insert(tenant, ended);
        Turn::Ours(Held {
            turns: Self(Arc::clone(&self.0)),
            tenant,
            _end: end,
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, watch::Receiver<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.turns.held().remove(&self.tenant);
    }
}

//! What a customer may just have taken away, for as long as that is being found out.
//!
//! A refusal that may pass (see [`VaultCause::is_doubtful`](crate::vault::VaultCause::is_doubtful)) puts all that it would
//! withdraw in question: nobody uses it, and whoever would waits for the verdict. One question at a time is open of the same
//! calls to the same vault of a tenant, or with the same key if it is about that alone: whoever is refused meanwhile is one more
//! who waits.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    arrival::Arrival,
    id::{KeyName, TenantId, VaultHost},
    standing::Standing,
    vault::{Call, Reach, VaultCause},
};

/// The questions that are open.
#[derive(Default)]
pub(crate) struct Questions(Mutex<HashMap<Scope, Arc<Question>>>);

/// Whether the customer has taken something away.
pub(crate) struct Question {
    scope: Scope,
    verdict: Arrival<Verdict>,
}

/// Whose calls, of which kind, to which vault; and with which key, if it is about that alone.
type Scope = (TenantId, Call, VaultHost, Option<KeyName>);

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it was.
    Granted,
    /// It is taken away.
    Refused,
}

/// A question that was raised.
pub(crate) enum Raised {
    /// By the caller, who finds out.
    Ours(Arc<Question>),
    /// By another before.
    Theirs(Arc<Question>),
}

impl Questions {
    /// Raises a question about a call under this standing that was refused so.
    pub(crate) fn raise(&self, refused: &Standing, cause: VaultCause) -> Raised {
        let subject = refused.subject();
        let is_of_key = cause.reach() == Some(Reach::Key);
        let key = is_of_key.then(|| subject.key.name.clone());
        let scope = (refused.tenant(), subject.call, subject.key.vault.clone(), key);
        match self.lock().entry(scope) {
            Entry::Occupied(open) => Raised::Theirs(Arc::clone(open.get())),
            Entry::Vacant(vacant) => {
                let question = Arc::new(Question {
                    scope: vacant.key().clone(),
                    verdict: Arrival::awaited(),
                });
                Raised::Ours(Arc::clone(vacant.insert(question)))
            }
        }
    }

    /// Closes a question: all who wait for it learn the verdict.
    pub(crate) fn close(&self, question: &Question, verdict: Verdict) {
        self.lock().remove(&question.scope);
        question.verdict.comes(verdict);
    }

    /// The table is never left half-changed, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Arc<Question>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    /// Waits for the verdict.
    pub(crate) async fn verdict(&self) -> Verdict {
        *self.verdict.wait().await
    }
}

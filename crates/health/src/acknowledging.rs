//! That this replica has obeyed is said in the registry, for whoever measures a withdrawal.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_registry::Revision;
use tokio::sync::Notify;

use crate::{
    patience::{Asked, in_time},
    watch::KeyWatch,
};

/// The withdrawals that were obeyed and are not acknowledged yet.
#[derive(Default)]
pub(crate) struct Acknowledgements {
    owed: Mutex<BTreeSet<Revision>>,
    more: Notify,
}

impl KeyWatch {
    /// Acknowledges what is obeyed, as soon as it is.
    pub(crate) async fn acknowledge(&self) {
        let mut saying = Asked::but("withdrawals that were obeyed cannot be acknowledged");
        loop {
            let owed = self.acknowledgements.some();
            if owed.is_empty() {
                self.acknowledgements.more.notified().await;
                continue;
            }
            let said = in_time(self.parts.store.acknowledge(self.me.id, &owed)).await;
            if saying.note(said).is_some() {
                self.acknowledgements.are_said(&owed);
            } else {
                tokio::time::sleep(saying.pause(RETRY)).await;
            }
        }
    }
}

impl Acknowledgements {
    /// One more is obeyed. If too many are owed the oldest are forgotten: nobody measures them any more.
    pub(crate) fn owe(&self, revision: Revision) {
        let mut owed = self.owed();
        owed.insert(revision);
        if owed.len() > MOST {
            owed.pop_first();
        }
        self.more.notify_one();
    }

    /// Some of what is owed, oldest first.
    pub(crate) fn some(&self) -> Vec<Revision> {
        self.owed().iter().take(AT_ONCE).copied().collect()
    }

    fn are_said(&self, said: &[Revision]) {
        let mut owed = self.owed();
        for revision in said {
            owed.remove(revision);
        }
    }

    fn owed(&self) -> MutexGuard<'_, BTreeSet<Revision>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const RETRY: Duration = Duration::from_millis(100);
const AT_ONCE: usize = 500;
const MOST: usize = 10_000;

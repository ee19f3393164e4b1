//! The edge of a process: what it asks, what it is answered and what it is asked passes here. While it is paused nothing does, and
//! time goes on; once it is dead nothing ever does.
//!
//! So a paused replica is seen to do nothing, and what reaches it meanwhile it takes in when it goes on, with all that it knew being
//! as old as it is.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Gate {
    life: Mutex<Life>,
    goes_on: Notify,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Runs,
    Paused,
    Dead,
}

impl Gate {
    pub(crate) async fn passes(&self) {
        loop {
            // Nothing else runs between here and the wait: there is one thread.
            if self.life() == Life::Runs {
                return;
            }
            self.goes_on.notified().await;
        }
    }

    pub(crate) fn pauses(&self) {
        self.turns(Life::Paused);
    }

    pub(crate) fn goes_on(&self) {
        self.turns(Life::Runs);
        self.goes_on.notify_waiters();
    }

    pub(crate) fn dies(&self) {
        self.turns(Life::Dead);
    }

    pub(crate) fn runs(&self) -> bool {
        self.life() == Life::Runs
    }

    fn turns(&self, to: Life) {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        if *life != Life::Dead {
            *life = to;
        }
    }

    fn life(&self) -> Life {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

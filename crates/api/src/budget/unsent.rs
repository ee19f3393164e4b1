//! Answers that are charged and on their way. A caller that does not read its answer has its connection closed in the end,
//! or it would keep the memory of it as long as it likes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum_server::ConnectionShutdown;
use slab::Slab;
use tokio::time::{Instant, sleep};

/// All answers on their way. Looked over now and then: a timer for each would cost every large request.
pub(crate) struct AllUnsent {
    answers: Mutex<Slab<Overdue>>,
    timeout: Duration,
}

/// When an answer must be sent, and what is closed if it is not.
struct Overdue {
    at: Instant,
    connection: ConnectionShutdown,
}

/// An answer on its way. It is sent when this is dropped.
pub(crate) struct Unsent {
    all: Arc<AllUnsent>,
    place: usize,
}

impl AllUnsent {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            answers: Mutex::default(),
            timeout,
        }
    }

    /// An answer begins its way over `connection`.
    pub(super) fn begin(self: &Arc<Self>, connection: ConnectionShutdown) -> Unsent {
        let at = Instant::now() + self.timeout;
        let place = self.answers().insert(Overdue { at, connection });
        Unsent {
            all: Arc::clone(self),
            place,
        }
    }

    /// Closes connections whose answers are not sent in time, or up to a quarter later. Runs until cancelled.
    ///
    /// An HTTP/2 connection's other requests end with it: nothing tells apart the stream that is not read.
    pub(crate) async fn watch(&self) {
        loop {
            sleep((self.timeout / 4).max(SHORTEST_PAUSE)).await;
            let now = Instant::now();
            for (_, overdue) in self.answers().iter().filter(|(_, answer)| answer.at <= now) {
                tracing::debug!("an answer was not read in time: its connection is closed");
                overdue.connection.shutdown();
            }
        }
    }

    /// The table is never left half-changed, so a panic elsewhere does not spoil it.
    fn answers(&self) -> MutexGuard<'_, Slab<Overdue>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.all.answers().try_remove(self.place);
    }
}

/// Between two looks, however short the timeout is.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

//! What goes on beside the requests: deliveries, and what was ordered for later.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::state::State;

/// Where such work is given to. It goes nowhere until the emulator is started.
#[derive(Debug, Default)]
pub(crate) struct Background {
    running: OnceLock<Running>,
    /// Cancelled, and replaced, when all waiting ends.
    hastened: Mutex<CancellationToken>,
}

#[derive(Debug)]
struct Running {
    state: Weak<State>,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// Has work done in the runtime that this is called in, until `stop` is cancelled.
    pub(crate) fn start(&self, state: &Arc<State>, tasks: &TaskTracker, stop: &CancellationToken) {
        let _ = self.running.set(Running {
            state: Arc::downgrade(state),
            runtime: Handle::current(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
    }

    /// Has something done, and whoever orders it not wait for it.
    pub(crate) fn spawn<W>(&self, work: impl FnOnce(Arc<State>) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let Some(running) = self.running.get() else { return };
        let Some(state) = running.state.upgrade() else { return };
        let (work, stop) = (work(state), running.stop.clone());
        let until_stopped = async move {
            let _ = stop.run_until_cancelled_owned(work).await;
        };
        running.tasks.spawn_on(until_stopped, &running.runtime);
    }

    /// What is cancelled when all waiting ends that has begun until then.
    pub(crate) fn hastened(&self) -> CancellationToken {
        self.token().clone()
    }

    /// Ends all waiting.
    pub(crate) fn hasten(&self) {
        std::mem::take(&mut *self.token()).cancel();
    }

    fn token(&self) -> MutexGuard<'_, CancellationToken> {
        self.hastened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

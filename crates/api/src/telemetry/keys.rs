//! How customers' keys are, as metrics tell it: counted in the registry now and then, as a scrape waits for nobody.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_registry::{Changed, Registry, RegistryError, Store};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, MissedTickBehavior},
};

/// Counts, and listens.
pub(crate) struct KeyCounts {
    store: Arc<dyn Store>,
    alive: Duration,
    counted: Mutex<Option<Counted>>,
    heard: Mutex<Option<Instant>>,
}

/// What was counted.
#[derive(Clone)]
pub(super) struct Counted {
    /// How many active tenants' keys are in each state, by its name.
    pub(super) states: BTreeMap<String, u64>,
    /// How many replicas live.
    pub(super) replicas: u64,
}

impl KeyCounts {
    /// Counts in `store`, where a replica lives that was seen within `alive`.
    pub(crate) fn new(store: Arc<dyn Store>, alive: Duration) -> Self {
        Self {
            store,
            alive,
            counted: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// What was counted last; nothing if that was too long ago, or never.
    pub(super) fn counted(&self) -> Option<Counted> {
        locked(&self.counted).clone()
    }

    /// How long ago all was heard that others learnt; nothing if it never was.
    pub(super) fn since_heard(&self) -> Option<Duration> {
        locked(&self.heard).map(|at| at.elapsed())
    }

    /// Runs until cancelled (dropped).
    pub(crate) async fn run(&self, registry: &Registry) {
        tokio::join!(self.keep_counting(), self.listen(registry.changes()));
    }

    async fn keep_counting(&self) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // What cannot be counted is not told as it was: that the registry is away has a metric, and a line in the log.
            let counted = self.count().await.ok();
            *locked(&self.counted) = counted;
        }
    }

    async fn count(&self) -> Result<Counted, RegistryError> {
        let states = self.store.key_states().await?;
        let replicas = self.store.replicas(self.alive).await?.len() as u64;
        Ok(Counted { states, replicas })
    }

    async fn listen(&self, mut changes: Receiver<Changed>) {
        loop {
            match changes.recv().await {
                Ok(Changed::Heard(at, _)) => *locked(&self.heard) = Some(at),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often it is counted.
const PERIOD: Duration = Duration::from_secs(15);

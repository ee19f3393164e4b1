//! How many customers' keys are in which state, for metrics: counted in the registry now and then, as a scrape waits for nobody.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_registry::Store;
use tokio::time::MissedTickBehavior;

/// Counts.
pub(crate) struct KeyCounts {
    store: Arc<dyn Store>,
    counted: Mutex<Option<BTreeMap<String, u64>>>,
}

impl KeyCounts {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            counted: Mutex::default(),
        }
    }

    /// How many active tenants' keys are in each state, by its name, as counted last; nothing if it could not be.
    pub(super) fn counted(&self) -> Option<BTreeMap<String, u64>> {
        self.locked().clone()
    }

    /// Counts, until cancelled (dropped).
    pub(crate) async fn run(&self) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // What cannot be counted is not told as it was: that the registry is away has a metric, and a line in the log.
            let counted = self.store.key_states().await.ok();
            *self.locked() = counted;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Option<BTreeMap<String, u64>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often it is counted.
const PERIOD: Duration = Duration::from_secs(15);

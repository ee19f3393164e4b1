//! Event Grid: who has subscribed to a vault's events, and what became of each delivery.
//! <https://learn.microsoft.com/azure/key-vault/general/event-grid-overview>

mod delivery;
mod event;
mod subscription;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(crate) use self::event::{Event, EventKind};
pub use self::{
    delivery::EVENT_GRID,
    subscription::{Disturbance, EventBearer, EventSchema, EventSubscription, SubscriptionState, Validation},
};
use self::{delivery::attend, subscription::Line};
use crate::{order::OrderError, state::State};

/// All subscriptions, by the vault's host and their own names.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<BTreeMap<(String, String), Arc<Line>>>);

impl Events {
    /// Subscribes, in place of whoever had that name.
    pub(crate) fn subscribe(&self, state: &State, host: String, name: String, wanted: EventSubscription) {
        let line = Arc::new(Line::new(host.clone(), name.clone(), wanted));
        let former = self.lines().insert((host, name), Arc::clone(&line));
        if let Some(former) = former {
            former.close();
        }
        state.background.spawn(|state| attend(state, line));
    }

    /// Ends a subscription; what it still waits for is not delivered.
    pub(crate) fn unsubscribe(&self, host: String, name: String) -> Result<(), OrderError> {
        let line = self.lines().remove(&(host, name));
        line.ok_or(OrderError::Missing("subscription"))?.close();
        Ok(())
    }

    /// Says how a subscription's events are delivered from now on, and has those delivered at once that wait for another try.
    pub(crate) fn disturb(&self, host: String, name: String, disturbance: Disturbance) -> Result<(), OrderError> {
        let lines = self.lines();
        let line = lines.get(&(host, name)).ok_or(OrderError::Missing("subscription"))?;
        line.disturb(disturbance);
        Ok(())
    }

    /// Tells everyone who has subscribed to this vault's events.
    pub(crate) fn tell(&self, host: &str, event: &Event) {
        let lines = self.lines();
        let subscribed = lines.values().filter(|line| line.host == host);
        subscribed.for_each(|line| line.tell(event.clone()));
    }

    /// How each subscription fares.
    pub(crate) fn list(&self) -> Vec<SubscriptionState> {
        self.lines().values().map(|line| line.shown()).collect()
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

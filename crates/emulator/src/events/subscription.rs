//! A subscription: where events go and how, and those that wait.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::Event;

/// Where a vault's events are sent, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSubscription {
    /// The webhook.
    pub endpoint: Url,
    /// How events are written.
    pub schema: EventSchema,
    /// Headers of every request, with which a delivery may prove itself.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whose token every request brings, if any.
    #[serde(default)]
    pub bearer: Option<EventBearer>,
    /// The most events of one delivery.
    #[serde(default = "one")]
    pub max_batch: usize,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventSchema {
    /// Event Grid's own.
    EventGrid,
    /// `CloudEvents` 1.0.
    CloudEvents,
}

/// A token that Event Grid's own principal gets in a directory ([`EVENT_GRID`](super::EVENT_GRID): consent makes it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventBearer {
    /// The webhook's directory.
    pub directory: Uuid,
    /// The identifier URI of the webhook's application.
    pub resource: String,
}

/// What goes wrong with deliveries, short of their being refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disturbance {
    /// How often each event is delivered.
    pub copies: u32,
    /// Whether events wait until another order lets them go.
    pub held: bool,
    /// Whether the newest event that waits goes first.
    pub reversed: bool,
}

/// How far a subscription has come. No event is delivered before the webhook has agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// The webhook is asked whether it wants events.
    UnderWay,
    /// It does.
    Done,
    /// It did not say so; this is what it said.
    Failed(String),
}

/// How a subscription fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// The vault.
    pub host: String,
    /// The subscription.
    pub name: String,
    /// Whether the webhook agreed.
    pub validation: Validation,
    /// Events that were not taken yet, each counted as often as it is to be delivered.
    pub waiting: usize,
    /// Events that were taken.
    pub delivered: u64,
    /// Events that were refused for good, or too often.
    pub dropped: u64,
    /// The status of the last delivery's answer, if there was one.
    pub last_status: Option<u16>,
}

/// A subscription at work.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) host: String,
    pub(super) name: String,
    pub(super) wanted: EventSubscription,
    pub(super) closed: CancellationToken,
    /// Told whenever there may be something to deliver.
    pub(super) woken: Notify,
    standing: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    validation: Validation,
    waiting: VecDeque<Event>,
    disturbance: Disturbance,
    delivered: u64,
    dropped: u64,
    last_status: Option<u16>,
}

impl Default for Disturbance {
    fn default() -> Self {
        Self {
            copies: 1,
            held: false,
            reversed: false,
        }
    }
}

impl Line {
    pub(super) fn new(host: String, name: String, wanted: EventSubscription) -> Self {
        Self {
            host,
            name,
            wanted,
            closed: CancellationToken::new(),
            woken: Notify::new(),
            standing: Mutex::new(Standing {
                validation: Validation::UnderWay,
                waiting: VecDeque::new(),
                disturbance: Disturbance::default(),
                delivered: 0,
                dropped: 0,
                last_status: None,
            }),
        }
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    pub(super) fn disturb(&self, disturbance: Disturbance) {
        self.standing().disturbance = disturbance;
        self.woken.notify_one();
    }

    pub(super) fn tell(&self, event: Event) {
        let mut standing = self.standing();
        let copies = usize::try_from(standing.disturbance.copies).unwrap_or(usize::MAX);
        standing.waiting.extend(std::iter::repeat_n(event, copies));
        drop(standing);
        self.woken.notify_one();
    }

    /// The events of the next delivery; none if nothing is to be delivered just now.
    pub(super) fn next(&self) -> Vec<Event> {
        let mut standing = self.standing();
        if standing.disturbance.held {
            return Vec::new();
        }
        let reversed = standing.disturbance.reversed;
        let batch = self.wanted.max_batch.max(1).min(standing.waiting.len());
        let waiting = &mut standing.waiting;
        let taken = (0..batch).filter_map(|_| {
            if reversed {
                waiting.pop_back()
            } else {
                waiting.pop_front()
            }
        });
        taken.collect()
    }

    /// Puts back what was not taken, to be the next again.
    pub(super) fn put_back(&self, events: Vec<Event>) {
        let mut standing = self.standing();
        for event in events.into_iter().rev() {
            if standing.disturbance.reversed {
                standing.waiting.push_back(event);
            } else {
                standing.waiting.push_front(event);
            }
        }
    }

    pub(super) fn validated(&self, validation: Validation) {
        self.standing().validation = validation;
    }

    pub(super) fn answered(&self, status: Option<u16>) {
        self.standing().last_status = status;
    }

    pub(super) fn delivered(&self, events: usize) {
        self.standing().delivered += events as u64;
    }

    pub(super) fn dropped(&self, events: usize) {
        self.standing().dropped += events as u64;
    }

    pub(super) fn shown(&self) -> SubscriptionState {
        let standing = self.standing();
        SubscriptionState {
            host: self.host.clone(),
            name: self.name.clone(),
            validation: standing.validation.clone(),
            waiting: standing.waiting.len(),
            delivered: standing.delivered,
            dropped: standing.dropped,
            last_status: standing.last_status,
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn one() -> usize {
    1
}

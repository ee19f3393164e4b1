//! Bad neighbours: tenants whose vaults hang, throttle or flap, and one that asks for very much; and callers who want something
//! of them all the time.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, stream};
use keyferry_client::{Client, Context, OpenedKey, Policy, TenantClient};
use keyferry_emulator::{Fault, FaultOrder, Flapping, Operation, Order};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{COLD_KEY, Caller, Customer, Fleet, World, cold_keys, eventually, load::outcome_of};

/// What is bad about a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Its vault answers nothing.
    Hangs,
    /// Its vault throttles every call.
    Throttled,
    /// Its vault breaks connections off, and serves, by turns.
    Flaps,
    /// It has very much to seal and to open.
    Huge,
}

/// A tenant in trouble, with cold keys to be opened.
pub struct Neighbour {
    /// What is bad about it.
    pub trouble: Trouble,
    /// The customer.
    pub customer: Customer,
    cold: Vec<String>,
}

/// Callers who ask for a neighbour, until this is dropped.
pub struct Crowd {
    outcomes: Arc<Mutex<BTreeMap<Cow<'static, str>, u64>>>,
    _callers: JoinSet<()>,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hangs, Self::Throttled, Self::Flaps, Self::Huge];

    /// Its name, and the slug of the tenant that has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hangs => "hangs",
            Self::Throttled => "throttled",
            Self::Flaps => "flaps",
            Self::Huge => "huge",
        }
    }

    fn fault(self) -> Option<Fault> {
        match self {
            Self::Hangs => Some(Fault::Hang),
            Self::Throttled => Some(Fault::Throttle { retry_after: None }),
            Self::Flaps => Some(Fault::Reset),
            Self::Huge => None,
        }
    }
}

impl Neighbour {
    /// A tenant that is well as yet, and known to all replicas.
    pub async fn prepare(world: &World, fleet: &Fleet, trouble: Trouble) -> Self {
        let (first, slug) = (fleet.replica(0).process(), trouble.name());
        let customer = world.tenant(first, slug, Some(KEEPS_NOTHING)).await;
        let tenant = world.admin(first).get(slug).await.unwrap();
        let mut key_id = String::new();
        for client in fleet.clients() {
            let client = client.tenant(slug);
            eventually("the tenant is served", async || {
                let made = client.generate_data_key(&Context::new()).await;
                made.map(|made| key_id = made.key_id).is_ok()
            })
            .await;
        }
        Self {
            trouble,
            customer,
            cold: cold_keys(&tenant, &key_id, World::customers_key(), CALLERS as usize).await,
        }
    }

    /// The trouble begins, and lasts until faults are cleared.
    pub fn begins(&self, world: &World) {
        let Some(fault) = self.trouble.fault() else { return };
        let flapping = (self.trouble == Trouble::Flaps).then_some(Flapping {
            fails_millis: 700,
            serves_millis: 300,
        });
        for operation in [Operation::WrapKey, Operation::UnwrapKey, Operation::Get] {
            let fault = FaultOrder {
                flapping,
                ..FaultOrder::always(&self.customer.vault, Some(operation), fault.clone())
            };
            world.order(Order::Fault { fault });
        }
    }

    /// Whether one of its keys is opened there.
    pub async fn is_served(&self, client: &Client) -> bool {
        let opened = client
            .tenant(self.trouble.name())
            .unwrap(&self.cold[0], &Context::new())
            .await;
        opened.is_ok_and(|opened| opened.key.expose() == COLD_KEY)
    }

    /// More callers at each replica than it may have calls under way for one tenant. They begin one after the other within `pause`,
    /// and come back when they are told to, but after that pause at the earliest: they are many, and on the machine that serves.
    #[must_use]
    pub fn crowd(&self, replicas: &[Client], pause: Duration) -> Crowd {
        let outcomes = Arc::default();
        let mut callers = JoinSet::new();
        for client in replicas {
            let client = client.tenant(self.trouble.name());
            if self.trouble == Trouble::Huge {
                let items: Arc<[Value]> = self.cold.iter().map(|key| json!({"wrapped_key": key})).collect();
                for number in 0..HUGE_CALLERS {
                    let pacing = Pacing::of(number, HUGE_CALLERS, pause);
                    let (client, items, outcomes) = (client.clone(), Arc::clone(&items), Arc::clone(&outcomes));
                    callers.spawn(ask_for_much(client, items, outcomes, pacing));
                }
                continue;
            }
            for (number, key) in (0..).zip(&self.cold) {
                let pacing = Pacing::of(number, CALLERS, pause);
                callers.spawn(ask_for_one(client.clone(), key.clone(), Arc::clone(&outcomes), pacing));
            }
        }
        Crowd {
            outcomes,
            _callers: callers,
        }
    }
}

impl Crowd {
    /// How often which outcome was met; `ok` if it was done.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Cow<'static, str>, u64> {
        self.outcomes.lock().unwrap().clone()
    }
}

/// Tenants that are well, and known to all replicas; each with something to open.
pub async fn well_neighbours(world: &World, fleet: &Fleet, count: usize) -> Vec<Caller> {
    let made = stream::iter(0..count).map(|number| async move {
        let slug = format!("well-{number}");
        world.tenant(fleet.replica(0).process(), &slug, None).await;
        let mut caller = None;
        for replica in fleet.replicas() {
            eventually("the tenant is known", async || {
                caller = Caller::of(replica.client(), &slug).await.ok();
                caller.is_some()
            })
            .await;
        }
        caller.unwrap()
    });
    made.buffered(8).collect().await
}

type Outcomes = Arc<Mutex<BTreeMap<Cow<'static, str>, u64>>>;

fn note(outcomes: &Outcomes, outcome: impl Into<Cow<'static, str>>) {
    *outcomes.lock().unwrap().entry(outcome.into()).or_default() += 1;
}

/// When a caller comes for the first time, and how long it stays away at least.
#[derive(Clone, Copy)]
struct Pacing {
    begins: Duration,
    pause: Duration,
}

impl Pacing {
    fn of(number: u32, callers: u32, pause: Duration) -> Self {
        Self {
            begins: pause * number / callers,
            pause,
        }
    }
}

async fn ask_for_one(client: TenantClient, key: String, outcomes: Outcomes, pacing: Pacing) {
    tokio::time::sleep(pacing.begins).await;
    loop {
        let pause = match client.unwrap(&key, &Context::new()).await {
            Ok(opened) => {
                assert_eq!(opened.key.expose(), COLD_KEY);
                note(&outcomes, "ok");
                None
            }
            Err(error) => {
                note(&outcomes, outcome_of(&error));
                error.problem().and_then(keyferry_client::Problem::retry_after)
            }
        };
        tokio::time::sleep(pause.unwrap_or_default().max(pacing.pause)).await;
    }
}

/// Items whose data keys are all to be had of the vault, and then bytes.
async fn ask_for_much(client: TenantClient, items: Arc<[Value]>, outcomes: Outcomes, pacing: Pacing) {
    tokio::time::sleep(pacing.begins).await;
    loop {
        match client.batch::<OpenedKey>("unwrap", &items).await {
            Ok(items) => {
                for item in items {
                    let outcome = item.into_result().map_err(|problem| problem.slug().to_owned());
                    note(&outcomes, outcome.map_or_else(Cow::from, |_| "ok".into()));
                }
            }
            Err(error) => note(&outcomes, outcome_of(&error)),
        }
        match client.encrypt_bytes(vec![7; HUGE], &Context::new()).await {
            Ok(_) => note(&outcomes, "ok"),
            Err(error) => note(&outcomes, outcome_of(&error)),
        }
        tokio::time::sleep(pacing.pause).await;
    }
}

/// Every open asks the vault.
const KEEPS_NOTHING: Policy = Policy {
    cache_ttl_seconds: 0,
    lease_max_age_seconds: 3_600,
    lease_max_messages: 1_000_000,
    outage_grace_seconds: 0,
};

/// At each replica: half more than it may have calls under way for one tenant.
const CALLERS: u32 = 96;
const HUGE_CALLERS: u32 = 2;
const HUGE: usize = 4 << 20;

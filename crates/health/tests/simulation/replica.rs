//! A replica: the real sealer, the real watch and the real view of the registry, behind a gate.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use keyferry_crypto::sealer::{Sealer, SealerLimits};
use keyferry_health::{KeyWatch, Parts};
use keyferry_registry::{Changed, Registry, RegistryLimits, key::ReplicaId};
use tokio::{sync::broadcast::Receiver, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clocks,
    customer::Customer,
    gate::Gate,
    registry::{Database, Way},
    terms::Terms,
};

pub(crate) struct Replica {
    /// Counted from the first on.
    pub(crate) number: usize,
    pub(crate) id: ReplicaId,
    pub(crate) machine: usize,
    pub(crate) gate: Arc<Gate>,
    pub(crate) sealer: Arc<Sealer>,
    heard: Receiver<Changed>,
    tasks: Vec<JoinHandle<()>>,
}

impl Replica {
    pub(crate) fn start(
        number: usize,
        machine: usize,
        terms: &Terms,
        customer: &Arc<Customer>,
        database: &Arc<Database>,
    ) -> Self {
        let id = ReplicaId(Uuid::from_u128(1_000 + number as u128));
        let gate = Arc::new(Gate::default());
        let limits = SealerLimits {
            assurance: Some(terms.health().assurance()),
            confirmation: terms.confirmation,
            ..SealerLimits::default()
        };
        let sealer = Arc::new(Sealer::new(customer.reached_by(number, machine, &gate), limits));
        let way = Arc::new(Way {
            database: Arc::clone(database),
            replica: number,
            id,
            machine,
            gate: Arc::clone(&gate),
        });
        let few = RegistryLimits {
            tenants: 16,
            poll: terms.poll(),
        };
        let registry = Registry::new(way.clone(), few);
        let heard = registry.changes();
        let parts = Parts {
            store: way,
            registry: registry.clone(),
            sealer: sealer.clone(),
            share_among: Box::new(|_| ()),
            doubt_endpoint: Box::new(|_| ()),
            try_timeout: terms.try_limit,
            confirmation: terms.confirmation,
            clock: clocks::of_machine(machine),
        };
        let watch = KeyWatch::by(id, parts, terms.health(), "replica", "1.0.0");
        let tasks = vec![
            tokio::spawn(watch.run(CancellationToken::new())),
            tokio::spawn(async move { registry.run(CancellationToken::new()).await }),
            tokio::spawn(maintained(Arc::clone(&sealer))),
        ];
        Self {
            number,
            id,
            machine,
            gate,
            sealer,
            heard,
            tasks,
        }
    }

    /// Dies without a word.
    pub(crate) fn dies(&self) {
        self.gate.dies();
        for task in &self.tasks {
            task.abort();
        }
    }

    /// Whether nothing that runs all the time has broken off.
    pub(crate) fn is_whole(&self) -> bool {
        self.tasks.iter().all(|task| !task.is_finished())
    }

    /// When each of the readings of the feed began that it heard of.
    pub(crate) fn hearings(&mut self) -> Vec<Instant> {
        let all = std::iter::from_fn(|| self.heard.try_recv().ok());
        all.filter_map(|changed| match changed {
            Changed::Heard(at, _) => Some(at),
            Changed::Tenant(_) | Changed::Key(_) | Changed::Everything => None,
        })
        .collect()
    }
}

async fn maintained(sealer: Arc<Sealer>) {
    let began = Instant::now();
    sealer
        .maintain_by(|| SystemTime::UNIX_EPOCH + YEARS + began.elapsed())
        .await;
}

const YEARS: Duration = Duration::from_hours(24 * 365 * 50);

//! Replicas on one registry and one vault.

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef, TenantId},
    sealer::{Sealer, SealerLimits},
    tenant::{SealingPolicy, VersionPolicy},
};
use keyferry_health::{HealthConfig, KeyWatch, Keys, Parts};
use keyferry_registry::{NewTenant, Tenant, key::ReplicaId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::{self, clock},
    keys::FakeKeys,
    store::FakeStore,
    vault::FakeVault,
    view::FakeView,
};

/// What `HealthConfig` has if left out.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);
pub(crate) const LEASE: Duration = Duration::from_secs(10);
pub(crate) const TRY: Duration = Duration::from_secs(8);
pub(crate) const CONFIRMATION: Duration = Duration::from_secs(3);
pub(crate) const HEARING: Duration = Duration::from_secs(10);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct World {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) vault: Arc<FakeVault>,
    nodes: Mutex<Vec<Arc<Node>>>,
    tenants: Mutex<u128>,
}

/// A replica that runs.
pub(crate) struct Node {
    pub(crate) id: ReplicaId,
    pub(crate) watch: Arc<KeyWatch>,
    pub(crate) view: Arc<FakeView>,
    /// How many replicas vaults' limits were last divided among.
    pub(crate) shared_among: Arc<Mutex<u32>>,
    /// Whose private endpoints were doubted.
    pub(crate) doubted: Arc<Mutex<Vec<TenantId>>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A replica whose sealer writes down what it is told.
pub(crate) struct Runs {
    node: Arc<Node>,
    pub(crate) keys: Arc<FakeKeys>,
}

/// A replica that seals and opens.
pub(crate) struct Seals {
    node: Arc<Node>,
    pub(crate) sealer: Arc<Sealer>,
}

impl World {
    pub(crate) fn new() -> Self {
        clock::begin();
        Self {
            store: Arc::default(),
            vault: FakeVault::new(),
            nodes: Mutex::default(),
            tenants: Mutex::new(0),
        }
    }

    /// Registers a tenant with a key of its own.
    pub(crate) fn tenant(&self) -> Arc<Tenant> {
        self.tenant_that(|_| {})
    }

    pub(crate) fn tenant_that(&self, is: impl FnOnce(&mut Tenant)) -> Arc<Tenant> {
        let mut number = self.tenants.lock().expect("unpoisoned");
        *number += 1;
        let new = NewTenant {
            slug: format!("tenant-{number}").parse().expect("a slug"),
            display_name: "Acme".parse().expect("a name"),
            directory: DirectoryId(Uuid::from_u128(*number)),
            cloud: Cloud::Public,
            key: KeyRef {
                vault: "acme.vault.azure.net".parse().expect("a host"),
                name: format!("kek-{number}").parse().expect("a name"),
            },
            version: VersionPolicy::FollowLatest,
            policy: SealingPolicy::default(),
        };
        let mut tenant = Tenant::new(new, clock()).expect("a tenant");
        tenant.keys.tenant = TenantId(Uuid::from_u128(*number));
        is(&mut tenant);
        let tenant = Arc::new(tenant);
        self.store.register(&tenant);
        tenant
    }

    /// Starts a replica whose sealer writes down what it is told.
    pub(crate) fn replica(&self) -> Runs {
        let id = self.next_id();
        let keys = FakeKeys::new(id, &self.vault);
        let node = self.start(id, keys.clone());
        Runs { node, keys }
    }

    /// Starts a replica that seals and opens.
    pub(crate) fn sealing_replica(&self) -> Seals {
        let id = self.next_id();
        let limits = SealerLimits {
            assurance: Some(HealthConfig::default().assurance()),
            confirmation: CONFIRMATION,
            ..SealerLimits::default()
        };
        let sealer = Arc::new(Sealer::new(self.vault.reached_by(id), limits));
        let node = self.start(id, sealer.clone());
        Seals { node, sealer }
    }

    fn next_id(&self) -> ReplicaId {
        let nodes = self.nodes.lock().expect("unpoisoned").len();
        ReplicaId(Uuid::from_u128(1_000 + nodes as u128))
    }

    fn start(&self, id: ReplicaId, sealer: Arc<dyn Keys>) -> Arc<Node> {
        let view = FakeView::new(id, &self.store);
        let (shared_among, doubted) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (shares, doubts) = (Arc::clone(&shared_among), Arc::clone(&doubted));
        let parts = Parts {
            store: self.store.reached_by(id),
            registry: view.clone(),
            sealer,
            share_among: Box::new(move |replicas| *shares.lock().expect("unpoisoned") = replicas),
            doubt_endpoint: Box::new(move |tenant| doubts.lock().expect("unpoisoned").push(tenant)),
            try_timeout: TRY,
            confirmation: CONFIRMATION,
            clock,
        };
        let watch = KeyWatch::by(id, parts, HealthConfig::default(), "replica", "1.0.0");
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&watch).run(stop.clone()));
        let node = Arc::new(Node {
            id,
            watch,
            view,
            shared_among,
            doubted,
            stop,
            task: Mutex::new(Some(task)),
        });
        self.nodes.lock().expect("unpoisoned").push(Arc::clone(&node));
        node
    }

    /// Lets time pass, in which every replica that reaches the registry reads the feed each second.
    pub(crate) async fn passes(&self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            let left = end - tokio::time::Instant::now();
            tokio::time::sleep(left.min(SECOND)).await;
            for node in self
                .nodes
                .lock()
                .expect("unpoisoned")
                .iter()
                .filter(|node| node.lives())
            {
                node.view.reads();
            }
        }
        // What was read is taken in before the test goes on.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Who looked at a tenant's key, since so many looks.
    pub(crate) fn looks_at(&self, tenant: &Tenant, since: usize) -> Vec<ReplicaId> {
        let looks = self.store.looks();
        let looks = looks
            .into_iter()
            .skip(since)
            .filter(|(_, of)| *of == tenant.keys.tenant);
        looks.map(|(by, _)| by).collect()
    }
}

impl Deref for Runs {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Deref for Seals {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Node {
    pub(crate) fn lives(&self) -> bool {
        self.task
            .lock()
            .expect("unpoisoned")
            .as_ref()
            .is_some_and(|task| !task.is_finished())
    }

    /// Dies without a word.
    pub(crate) fn dies(&self) {
        if let Some(task) = self.task.lock().expect("unpoisoned").take() {
            task.abort();
        }
    }

    /// Ends as it should.
    pub(crate) async fn ends(&self) {
        self.stop.cancel();
        let task = self.task.lock().expect("unpoisoned").take();
        task.expect("it runs").await.expect("it ends");
    }
}

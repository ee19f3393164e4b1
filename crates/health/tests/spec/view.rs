//! One replica's view of the registry: it reads the feed when it is told to.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keyferry_crypto::id::TenantId;
use keyferry_health::Tenants;
use keyferry_registry::{Changed, RegistryError, Revision, Tenant, key::ReplicaId};
use tokio::{sync::broadcast, time::Instant};

use crate::store::FakeStore;

pub(crate) struct FakeView {
    me: ReplicaId,
    store: Arc<FakeStore>,
    changes: broadcast::Sender<Changed>,
    followed: Mutex<Revision>,
}

impl FakeView {
    pub(crate) fn new(me: ReplicaId, store: &Arc<FakeStore>) -> Arc<Self> {
        Arc::new(Self {
            me,
            store: Arc::clone(store),
            changes: broadcast::channel(256).0,
            followed: Mutex::new(store.feed(Revision(0)).1),
        })
    }

    /// Reads the feed once, if the store is there, and tells of all that is new.
    pub(crate) fn reads(&self) {
        if !self.store.hears(self.me) {
            return;
        }
        let at = Instant::now();
        let mut followed = self.followed.lock().expect("unpoisoned");
        let (events, newest) = self.store.feed(*followed);
        *followed = newest;
        for event in events {
            self.tells(Changed::Key(event));
        }
        self.tells(Changed::Heard(at, newest));
    }

    pub(crate) fn tells(&self, changed: Changed) {
        self.changes.send(changed).expect("the watch listens");
    }
}

#[async_trait]
impl Tenants for FakeView {
    fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    fn held(&self, tenant: TenantId) -> Option<Arc<Tenant>> {
        self.store.tenant(tenant)
    }

    async fn tenant(&self, tenant: TenantId) -> Result<Option<Arc<Tenant>>, RegistryError> {
        Ok(self.store.tenant(tenant))
    }
}

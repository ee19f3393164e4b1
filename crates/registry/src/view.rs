//! The view in memory, and how it follows the store.
//!
//! Others' changes come into memory in one way: by the change feed, read from the revision last seen. At the start that is
//! zero, so that loading is following. A notification only says "look now"; a poll looks anyway, so that lost notifications
//! cost time and nothing else. What this process writes it takes in by itself, whether or not the feed answers. The store is
//! asked directly only for slugs that the view does not hold.

mod by_id;
mod following;
mod position;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use moka::sync::Cache;
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

use self::position::Position;
use crate::{
    error::RegistryError,
    key::KeyEvent,
    onboarding::{Event, Onboarding, OnboardingStore},
    store::{Created, Idempotency, TenantStore},
    tenant::{Revision, Slug, Tenant},
};

/// Bounds of the view.
#[derive(Clone, Copy, Debug)]
pub struct RegistryLimits {
    /// The most tenants kept in memory; beyond it the least used give way, and are read again when asked for.
    pub tenants: u64,
    /// How often changes are looked for without being told.
    pub poll: Duration,
}

/// Tenants, as this process knows them.
pub struct Registry {
    store: Arc<dyn TenantStore>,
    limits: RegistryLimits,
    /// Bounded, with nothing that expires: so the cheapest look-up of the two caches, on every request.
    tenants: quick_cache::sync::Cache<Slug, Arc<Tenant>>,
    /// The slugs of those in memory, by their ids.
    slugs: quick_cache::sync::Cache<TenantId, Slug>,
    /// Slugs that the store did not know a moment ago, so that guessing names does not become asking the database.
    unknown: Cache<Slug, ()>,
    /// How far the view has followed. Held while the view changes.
    position: Mutex<Position>,
    changes: broadcast::Sender<Changed>,
    wake: Arc<Notify>,
    loaded: AtomicBool,
    last_contact: Mutex<Option<Instant>>,
    store_reads: AtomicU64,
}

/// Whom a change in the view is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// One tenant.
    Tenant(TenantId),
    /// Something happened to a tenant's key. Told of what happens from the start of the view on, and from each beginning anew.
    Key(Arc<KeyEvent>),
    /// All changes that were there at that time have been told, up to that revision: the feed was read to its end, and began to be
    /// then. Told after each such read; never of an earlier time than before.
    Heard(Instant, Revision),
    /// Any of them: the view has begun anew.
    Everything,
}

/// What the registry holds and how well it follows.
#[derive(Clone, Copy, Debug)]
pub struct RegistryStats {
    /// Tenants in memory.
    pub tenants: u64,
    /// Whether all tenants were read once: before that a service is not ready.
    pub loaded: bool,
    /// How long ago the store last answered the poll.
    pub since_contact: Option<Duration>,
    /// How often the store was asked for a single tenant.
    pub store_reads: u64,
}

impl Registry {
    /// A view over `store`, empty until [`Registry::run`] has followed it.
    #[must_use]
    pub fn new(store: Arc<dyn TenantStore>, limits: RegistryLimits) -> Arc<Self> {
        Arc::new(Self {
            store,
            limits,
            tenants: quick_cache::sync::Cache::new(usize::try_from(limits.tenants).unwrap_or(usize::MAX)),
            slugs: quick_cache::sync::Cache::new(usize::try_from(limits.tenants).unwrap_or(usize::MAX)),
            unknown: Cache::builder()
                .max_capacity(UNKNOWN_SLUGS)
                .time_to_live(UNKNOWN_FOR)
                .build(),
            position: Mutex::default(),
            changes: broadcast::channel(CHANGES_KEPT).0,
            wake: Arc::new(Notify::new()),
            loaded: AtomicBool::new(false),
            last_contact: Mutex::new(None),
            store_reads: AtomicU64::new(0),
        })
    }

    /// The tenant of that name, whatever its status; from memory if it is there.
    pub async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, RegistryError> {
        if let Some(tenant) = self.tenants.get(slug) {
            return Ok(Some(tenant));
        }
        if self.unknown.contains_key(slug) {
            return Ok(None);
        }
        let before = self.position().moves;
        self.store_reads.fetch_add(1, Ordering::Relaxed);
        let found = self.store.find(slug).await?.map(Arc::new);
        let position = self.position();
        // If the view moved meanwhile, what was read may be older than what it took in: answer, but do not keep it.
        if position.moves == before {
            match &found {
                Some(tenant) => self.keep(Arc::clone(tenant)),
                None => self.unknown.insert(slug.clone(), ()),
            }
        }
        Ok(found)
    }

    /// The tenant of that name, fresh from the store: for whoever is about to change it.
    pub async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError> {
        self.store.find(slug).await
    }

    /// Up to `limit` tenants in the order of their slugs, from the one after `after`.
    pub async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        self.store.list(after, limit).await
    }

    /// Those of these names that are tenants' in the order of their slugs, up to `limit`.
    pub async fn list_among(&self, slugs: &[Slug], limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        self.store.list_among(slugs, limit).await
    }

    /// Registers a tenant. It can be used here once this returns, even if the feed does not answer, and on other replicas a
    /// moment later.
    pub async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError> {
        let created = self.store.create(tenant, idempotency).await?;
        self.hold(&created.tenant);
        self.follow_soon().await;
        Ok(created)
    }

    /// Saves an onboarding that is active now, and registers its tenant, in `store`, which keeps both. The tenant can be used here
    /// once this returns, and on other replicas a moment later.
    pub async fn activate(
        &self,
        store: &dyn OnboardingStore,
        onboarding: &Onboarding,
        tenant: &Tenant,
        events: &[Event],
    ) -> Result<(Onboarding, Tenant), RegistryError> {
        let (onboarding, tenant) = store.activate(onboarding, tenant, events).await?;
        self.hold(&tenant);
        self.follow_soon().await;
        Ok((onboarding, tenant))
    }

    /// Saves a tenant that was read at `tenant.revision`. The change holds here once this returns, even if the feed does not
    /// answer, and on other replicas a moment later.
    pub async fn save(&self, tenant: &Tenant) -> Result<Tenant, RegistryError> {
        let saved = self.store.save(tenant).await?;
        self.hold(&saved);
        self.follow_soon().await;
        Ok(saved)
    }

    /// Tells which tenants changed, from now on; one change may be told more than once. Whoever lags behind is told so, and
    /// must then take it that all have.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// What the registry holds and how well it follows.
    #[must_use]
    pub fn stats(&self) -> RegistryStats {
        let last_contact = *self.last_contact.lock().unwrap_or_else(PoisonError::into_inner);
        RegistryStats {
            tenants: self.tenants.len() as u64,
            loaded: self.loaded.load(Ordering::Relaxed),
            since_contact: last_contact.map(|at| at.elapsed()),
            store_reads: self.store_reads.load(Ordering::Relaxed),
        }
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({:?})", self.stats())
    }
}

impl Default for RegistryLimits {
    /// 200,000 tenants, polled every two seconds.
    fn default() -> Self {
        Self {
            tenants: 200_000,
            poll: Duration::from_secs(2),
        }
    }
}

const CHANGES_KEPT: usize = 4_096;
const UNKNOWN_SLUGS: u64 = 10_000;
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

//! The view in memory, and how it follows the store.
//!
//! There is one way in which tenants come into memory: the change feed, read from the revision last seen. At the start
//! that is zero, so that loading is following. A notification only says "look now"; a poll looks anyway, so that lost
//! notifications cost time and nothing else. The store is asked directly only for slugs that the view does not hold.

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
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::RegistryError,
    store::{Change, Created, Idempotency, TenantStore},
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
    /// Slugs that the store did not know a moment ago, so that guessing names does not become asking the database.
    unknown: Cache<Slug, ()>,
    /// The revision up to which the view has followed. Held while the view changes.
    position: Mutex<Revision>,
    changes: broadcast::Sender<TenantId>,
    wake: Arc<Notify>,
    loaded: AtomicBool,
    last_contact: Mutex<Option<Instant>>,
    store_reads: AtomicU64,
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
            unknown: Cache::builder()
                .max_capacity(UNKNOWN_SLUGS)
                .time_to_live(UNKNOWN_FOR)
                .build(),
            position: Mutex::new(Revision(0)),
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
        let before = *self.position();
        self.store_reads.fetch_add(1, Ordering::Relaxed);
        let found = self.store.find(slug).await?.map(Arc::new);
        let position = self.position();
        // If the feed moved meanwhile, what was read may be older than what it told: answer, but do not keep it.
        if *position == before {
            match &found {
                Some(tenant) => self.tenants.insert(slug.clone(), Arc::clone(tenant)),
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

    /// Registers a tenant. It can be used here once this returns, and on other replicas a moment later.
    pub async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError> {
        let created = self.store.create(tenant, idempotency).await?;
        self.follow_soon().await;
        Ok(created)
    }

    /// Saves a tenant that was read at `tenant.revision`. The change holds here once this returns.
    pub async fn save(&self, tenant: &Tenant) -> Result<Tenant, RegistryError> {
        let saved = self.store.save(tenant).await?;
        self.follow_soon().await;
        Ok(saved)
    }

    /// Tells which tenants changed, from now on. Whoever lags behind is told so, and must then take it that all have.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<TenantId> {
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

    /// Follows the store and purges what is due, until cancelled.
    pub async fn run(&self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.store.listen(Arc::clone(&self.wake)) => {}
            () = self.follow_forever() => {}
            () = self.purge_forever() => {}
        }
    }

    async fn follow_forever(&self) {
        let mut poll = tokio::time::interval(self.limits.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = poll.tick() => {}
                () = self.wake.notified() => {}
            }
            if let Err(error) = self.follow().await {
                tracing::warn!(%error, cause = cause(&error), "the tenant registry's changes cannot be read");
            }
        }
    }

    async fn purge_forever(&self) {
        let mut ticks = tokio::time::interval(PURGE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match in_time(self.store.purge()).await {
                Ok(0) => {}
                Ok(purged) => tracing::info!(purged, "tenants past their safety window were purged"),
                Err(error) => {
                    tracing::warn!(%error, cause = cause(&error), "tenants past their safety window cannot be purged");
                }
            }
        }
    }

    /// Brings the view up to the store's newest revision.
    pub async fn follow(&self) -> Result<(), RegistryError> {
        loop {
            let after = *self.position();
            let changes = in_time(self.store.changes(after, PAGE)).await?;
            *self.last_contact.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            let last_page = changes.len() < PAGE as usize;
            self.apply(changes);
            if last_page {
                self.loaded.store(true, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// Follows for a change just made; if that fails the poll will do it.
    async fn follow_soon(&self) {
        if self.follow().await.is_err() {
            self.wake.notify_one();
        }
    }

    fn apply(&self, changes: Vec<Change>) {
        let mut position = self.position();
        for change in changes {
            if change.revision <= *position {
                continue; // Another task applied it meanwhile.
            }
            *position = change.revision;
            self.unknown.invalidate(&change.slug);
            match change.tenant {
                Some(tenant) => self.tenants.insert(change.slug, Arc::new(tenant)),
                // The slug may be another tenant's by now.
                None if self
                    .tenants
                    .get(&change.slug)
                    .is_some_and(|held| held.keys.tenant == change.id) =>
                {
                    self.tenants.remove(&change.slug);
                }
                None => {}
            }
            // Nobody may be listening.
            let _ = self.changes.send(change.id);
        }
    }

    fn position(&self) -> MutexGuard<'_, Revision> {
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

/// Bounds what the database bounds only while it is there: a connection whose other end went away without a word would keep
/// the feed waiting for as long as TCP does, and nobody would hear of a suspension.
async fn in_time<T>(answer: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
    let late = |_| RegistryError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(PATIENCE, answer).await.map_err(late)?
}

/// More than a connection and a statement may take together.
const PATIENCE: Duration = Duration::from_secs(10);
const PAGE: u32 = 1_000;
const CHANGES_KEPT: usize = 4_096;
const UNKNOWN_SLUGS: u64 = 10_000;
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
const PURGE_EVERY: Duration = Duration::from_mins(1);

/// The database's own words, which an error's `Display` leaves out.
fn cause(error: &RegistryError) -> Option<tracing::field::DisplayValue<&dyn std::error::Error>> {
    std::error::Error::source(error).map(tracing::field::display)
}

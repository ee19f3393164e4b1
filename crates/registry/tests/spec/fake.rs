//! Stores that do as a test orders.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use async_trait::async_trait;
use keyferry_crypto::id::TenantId;
use keyferry_registry::{
    Change, Created, Idempotency, Mark, RegistryError, Revision, Since, Slug, Tenant, TenantStore,
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

/// A store whose feed can fail and whose answers can come late.
pub struct Ordered {
    pub store: Arc<dyn TenantStore>,
    /// Whether the feed fails.
    pub feed_is_down: AtomicBool,
    held: Mutex<Vec<Held>>,
}

/// What a view asks its store.
#[derive(Clone, Copy, PartialEq)]
pub enum Question {
    Tenant,
    Page,
    Memory,
}

/// An answer that comes late.
pub struct Late {
    /// Told when the store has read it.
    pub was_read: oneshot::Receiver<()>,
    /// Lets it come.
    pub release: oneshot::Sender<()>,
}

/// The store's side of it.
struct Held {
    question: Question,
    tell: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl Ordered {
    pub fn over(store: &Arc<dyn TenantStore>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            feed_is_down: AtomicBool::new(false),
            held: Mutex::default(),
        })
    }

    /// Has the next answer to such a question come late.
    pub fn holds_back(&self, question: Question) -> Late {
        let ((tell, was_read), (release, released)) = (oneshot::channel(), oneshot::channel());
        self.held.lock().expect("unpoisoned").push(Held {
            question,
            tell,
            released,
        });
        Late { was_read, release }
    }

    async fn answers(&self, question: Question) {
        let held = {
            let mut held = self.held.lock().expect("unpoisoned");
            let place = held.iter().position(|held| held.question == question);
            place.map(|place| held.remove(place))
        };
        if let Some(held) = held {
            let _ = held.tell.send(());
            let _ = held.released.await;
        }
    }
}

#[async_trait]
impl TenantStore for Ordered {
    async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError> {
        self.store.create(tenant, idempotency).await
    }

    async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError> {
        let found = self.store.find(slug).await;
        self.answers(Question::Tenant).await;
        found
    }

    async fn find_by_id(&self, id: TenantId) -> Result<Option<Tenant>, RegistryError> {
        let found = self.store.find_by_id(id).await;
        self.answers(Question::Tenant).await;
        found
    }

    async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        self.store.list(after, limit).await
    }

    async fn list_among(&self, slugs: &[Slug], limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        self.store.list_among(slugs, limit).await
    }

    async fn save(&self, tenant: &Tenant) -> Result<Tenant, RegistryError> {
        self.store.save(tenant).await
    }

    async fn changes(&self, since: Since, limit: u32) -> Result<Vec<Change>, RegistryError> {
        if self.feed_is_down.load(SeqCst) {
            return Err(RegistryError::Unavailable(sqlx::Error::PoolTimedOut));
        }
        let changes = self.store.changes(since, limit).await;
        self.answers(Question::Page).await;
        changes
    }

    async fn newest(&self) -> Result<Revision, RegistryError> {
        if self.feed_is_down.load(SeqCst) {
            return Err(RegistryError::Unavailable(sqlx::Error::PoolTimedOut));
        }
        self.store.newest().await
    }

    async fn remembers(&self, seen: &Mark) -> Result<bool, RegistryError> {
        let remembered = self.store.remembers(seen).await;
        self.answers(Question::Memory).await;
        remembered
    }

    async fn purge(&self) -> Result<u64, RegistryError> {
        self.store.purge().await
    }

    async fn listen(&self, wake: Arc<Notify>) {
        self.store.listen(wake).await;
    }
}

/// A store without tenants, which answers at once and keeps when it was asked to purge.
#[derive(Default)]
pub struct Empty {
    pub purges: Mutex<Vec<Instant>>,
}

#[async_trait]
impl TenantStore for Empty {
    async fn create(&self, _: &Tenant, _: Option<&Idempotency>) -> Result<Created, RegistryError> {
        Err(RegistryError::Unavailable(sqlx::Error::PoolClosed))
    }

    async fn find(&self, _: &Slug) -> Result<Option<Tenant>, RegistryError> {
        Ok(None)
    }

    async fn find_by_id(&self, _: TenantId) -> Result<Option<Tenant>, RegistryError> {
        Ok(None)
    }

    async fn list(&self, _: Option<&Slug>, _: u32) -> Result<Vec<Tenant>, RegistryError> {
        Ok(Vec::new())
    }

    async fn list_among(&self, _: &[Slug], _: u32) -> Result<Vec<Tenant>, RegistryError> {
        Ok(Vec::new())
    }

    async fn save(&self, _: &Tenant) -> Result<Tenant, RegistryError> {
        Err(RegistryError::Conflict)
    }

    async fn changes(&self, _: Since, _: u32) -> Result<Vec<Change>, RegistryError> {
        Ok(Vec::new())
    }

    async fn newest(&self) -> Result<Revision, RegistryError> {
        Ok(Revision(0))
    }

    async fn remembers(&self, _: &Mark) -> Result<bool, RegistryError> {
        Ok(false)
    }

    async fn purge(&self) -> Result<u64, RegistryError> {
        self.purges.lock().expect("unpoisoned").push(Instant::now());
        Ok(0)
    }

    async fn listen(&self, _: Arc<Notify>) {
        std::future::pending::<()>().await;
    }
}

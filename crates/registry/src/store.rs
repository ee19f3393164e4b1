//! What a database must do for the registry.

use std::sync::Arc;

use async_trait::async_trait;
use keyferry_crypto::id::TenantId;
use time::Duration;
use tokio::sync::Notify;

use crate::{
    error::RegistryError,
    tenant::{Revision, Slug, Tenant},
};

/// Keeps tenants. Each method is one transaction: it happened whole or not at all.
#[async_trait]
pub trait TenantStore: Send + Sync + 'static {
    /// Registers a tenant, or answers the one that the same request registered before.
    async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError>;

    /// The tenant of that name, unless it was purged.
    async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError>;

    /// Up to `limit` tenants in the order of their slugs, from the one after `after`.
    async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError>;

    /// Saves a tenant that was read at `tenant.revision`; `Conflict` if it was changed since. Answers it at its new revision.
    async fn save(&self, tenant: &Tenant) -> Result<Tenant, RegistryError>;

    /// Up to `limit` changes after `after`, in their order: the newest state of each tenant that changed.
    async fn changes(&self, after: Revision, limit: u32) -> Result<Vec<Change>, RegistryError>;

    /// Purges tenants whose safety window is over, and forgets old idempotency keys. Answers how many were purged.
    async fn purge(&self) -> Result<u64, RegistryError>;

    /// Notifies `wake` whenever there may be changes, until dropped. A notification may be lost: whoever relies on changes
    /// also polls.
    async fn listen(&self, wake: Arc<Notify>);
}

/// A tenant's newest state, as the change feed tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which tenant.
    pub id: TenantId,
    /// Its slug.
    pub slug: Slug,
    /// When, in the order of changes.
    pub revision: Revision,
    /// The tenant, or nothing once it was purged.
    pub tenant: Option<Tenant>,
}

/// The outcome of registering a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The tenant.
    pub tenant: Tenant,
    /// Whether it was there before, by the same idempotency key.
    pub replayed: bool,
}

/// A caller's idempotency key with what it was used for.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The key.
    pub key: IdempotencyKey,
    /// SHA-256 of the request and of who made it.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// How long a key is remembered.
    pub const KEPT: Duration = Duration::DAY;
}

/// An `Idempotency-Key`: 1 to 200 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Takes a header's value; `None` if it is not such a key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

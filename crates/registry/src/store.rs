//! What a database must do for the registry.

use std::sync::Arc;

use async_trait::async_trait;
use keyferry_crypto::id::TenantId;
use time::{Duration, OffsetDateTime};
use tokio::sync::{Notify, broadcast};

use crate::{
    error::RegistryError,
    key::{KeyEvent, KeyStore},
    onboarding::OnboardingStore,
    tenant::{Revision, Slug, Tenant},
};

/// Keeps tenants. Each method is one transaction: it happened whole or not at all.
#[async_trait]
pub trait TenantStore: Send + Sync + 'static {
    /// Registers a tenant, or answers the one that the same request registered before. `SlugTaken` if a tenant or an
    /// onboarding that is not closed has its slug.
    async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError>;

    /// The tenant of that name, unless it was purged.
    async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError>;

    /// The tenant with that id, unless it was purged.
    async fn find_by_id(&self, id: TenantId) -> Result<Option<Tenant>, RegistryError>;

    /// Up to `limit` tenants in the order of their slugs, from the one after `after`.
    async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError>;

    /// Those of these names that are tenants' in the order of their slugs, up to `limit`.
    async fn list_among(&self, slugs: &[Slug], limit: u32) -> Result<Vec<Tenant>, RegistryError>;

    /// Saves a tenant that was read at `tenant.revision`; `Conflict` if it was changed since. Answers it at its new revision.
    async fn save(&self, tenant: &Tenant) -> Result<Tenant, RegistryError>;

    /// Up to `limit` changes since then, in their order: the newest state of each tenant that changed, and each thing that
    /// happened to a key. Fewer than `limit` say that there is no more; a row that cannot be read is a change like any other.
    async fn changes(&self, since: Since, limit: u32) -> Result<Vec<Change>, RegistryError>;

    /// The revision of the newest change; zero if there was none.
    async fn newest(&self) -> Result<Revision, RegistryError>;

    /// Whether a change that was seen once still happened: its tenant is as that change left it, or was changed after it; what
    /// happened to a key is there, or too old to be kept. If not, the store lost acknowledged changes, and gives their revisions to others.
    async fn remembers(&self, seen: &Mark) -> Result<bool, RegistryError>;

    /// Purges tenants whose safety window is over, makes their onboardings due, and forgets old idempotency keys. Answers how
    /// many tenants were purged. What happened to keys is forgotten when it is old.
    async fn purge(&self) -> Result<u64, RegistryError>;

    /// Notifies `wake` whenever there may be changes, until dropped. A notification may be lost: whoever relies on changes
    /// also polls.
    async fn listen(&self, wake: Arc<Notify>);
}

/// What a database does for the whole of the registry.
pub trait Store: TenantStore + OnboardingStore + KeyStore {
    /// Tells which onboardings changed, here or on another replica, from now on: for whoever shows one. It is told while
    /// [`TenantStore::listen`] is. A change may be told more than once, or be lost: whoever relies on it also polls.
    fn onboarding_changes(&self) -> broadcast::Receiver<TenantId>;
}

/// How many onboardings' changes are kept for whoever is slow to take them.
pub(crate) const ONBOARDING_CHANGES_KEPT: usize = 1_024;

/// From where on the change feed is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// What changed after this.
    pub followed: Revision,
    /// Of keys only what happened after this, too: of what was before, whoever held nothing yet need not hear.
    pub keys: Revision,
}

impl From<Revision> for Since {
    /// All changes after that one.
    fn from(revision: Revision) -> Self {
        Self {
            followed: revision,
            keys: revision,
        }
    }
}

impl Since {
    /// After which revision what happened to keys is told.
    pub(crate) fn keys_after(self) -> Revision {
        self.followed.max(self.keys)
    }
}

/// A change, as the change feed tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A tenant changed.
    Tenant(TenantChange),
    /// Something happened to a tenant's key.
    Key(KeyChange),
}

impl Change {
    /// Which change it is.
    #[must_use]
    pub fn mark(&self) -> Mark {
        match self {
            Self::Tenant(change) => change.mark,
            Self::Key(change) => change.mark,
        }
    }

    /// A page of the feed, of the pages of either kind.
    pub(crate) fn merge(tenants: Vec<TenantChange>, keys: Vec<KeyChange>, limit: u32) -> Vec<Self> {
        let mut changes: Vec<_> = tenants
            .into_iter()
            .map(Self::Tenant)
            .chain(keys.into_iter().map(Self::Key))
            .collect();
        changes.sort_by_key(|change| change.mark().revision);
        changes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        changes
    }
}

/// Something that happened to a tenant's key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyChange {
    /// Which change it is.
    pub mark: Mark,
    /// What happened, or nothing if the row cannot be read.
    pub event: Option<KeyEvent>,
}

/// A tenant's newest state.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantChange {
    /// Which change it is.
    pub mark: Mark,
    /// The tenant's slug, or nothing if what the row has cannot be one.
    pub slug: Option<Slug>,
    /// The tenant, or nothing once it was purged, or if the row cannot be one.
    pub tenant: Option<Tenant>,
}

/// One change among all that ever were. Its revision alone names it only as long as the store loses none: a revision that was
/// lost is given again, to another change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What changed.
    pub subject: Subject,
    /// Of which tenant.
    pub tenant: TenantId,
    /// When, in the order of changes.
    pub revision: Revision,
    /// When, by the clock of whoever changed it.
    pub at: OffsetDateTime,
}

/// What a change is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The tenant itself.
    Tenant,
    /// Its key.
    Key,
}

impl From<&Tenant> for Mark {
    /// The change that made the tenant what it is.
    fn from(tenant: &Tenant) -> Self {
        Self {
            subject: Subject::Tenant,
            tenant: tenant.keys.tenant,
            revision: tenant.revision,
            at: tenant.updated_at,
        }
    }
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

/// What an idempotency key was used for. There is one space of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To register a tenant.
    Tenant,
    /// To open an onboarding.
    Onboarding,
}

impl Purpose {
    /// Its name in the store.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Onboarding => "onboarding",
        }
    }
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

//! What the watch asks of the sealer.

use std::collections::HashMap;

use async_trait::async_trait;
use keyferry_crypto::{
    canary::Canary,
    id::{KekId, TenantId},
    news::{News, Refusal},
    sealer::{Sealer, SealerError},
    tenant::TenantKeys,
    vault::VaultError,
};
use tokio::{sync::broadcast, time::Instant};

/// What holds customers' keys and asks their vaults: a [`Sealer`], whose methods these are.
#[async_trait]
pub trait Keys: Send + Sync + 'static {
    /// [`Sealer::evict`].
    fn evict(&self, tenant: TenantId);

    /// [`Sealer::evict_all`].
    fn evict_all(&self);

    /// [`Sealer::obey`].
    fn obey(&self, tenant: &TenantKeys, refusal: &Refusal);

    /// [`Sealer::obey_late`].
    fn obey_late(&self, tenant: &TenantKeys, refusal: &Refusal);

    /// [`Sealer::follow`].
    fn follow(&self, tenant: &TenantKeys, newest: &KekId);

    /// [`Sealer::heard`].
    fn heard(&self, at: Instant);

    /// [`Sealer::mistrust`].
    fn mistrust(&self, tenants: HashMap<TenantId, Instant>);

    /// [`Sealer::holding`].
    fn holding(&self) -> Vec<TenantId>;

    /// [`Sealer::holding_unwatched`].
    fn holding_unwatched(&self) -> Vec<TenantId>;

    /// [`Sealer::watch_versions`].
    fn watch_versions(&self, tenant: TenantId, versions: &[KekId]);

    /// [`Sealer::news`].
    fn news(&self) -> broadcast::Receiver<News>;

    /// [`Sealer::plant`].
    async fn plant(&self, tenant: &TenantKeys) -> Result<Canary, SealerError>;

    /// [`Sealer::probe`].
    async fn probe(&self, tenant: &TenantKeys, canary: &Canary) -> Result<(), VaultError>;

    /// [`Sealer::newest`].
    async fn newest(&self, tenant: &TenantKeys) -> Result<KekId, VaultError>;
}

#[async_trait]
impl Keys for Sealer {
    fn evict(&self, tenant: TenantId) {
        self.evict(tenant);
    }

    fn evict_all(&self) {
        self.evict_all();
    }

    fn obey(&self, tenant: &TenantKeys, refusal: &Refusal) {
        self.obey(tenant, refusal);
    }

    fn obey_late(&self, tenant: &TenantKeys, refusal: &Refusal) {
        self.obey_late(tenant, refusal);
    }

    fn follow(&self, tenant: &TenantKeys, newest: &KekId) {
        self.follow(tenant, newest);
    }

    fn heard(&self, at: Instant) {
        self.heard(at);
    }

    fn mistrust(&self, tenants: HashMap<TenantId, Instant>) {
        self.mistrust(tenants);
    }

    fn holding(&self) -> Vec<TenantId> {
        self.holding()
    }

    fn holding_unwatched(&self) -> Vec<TenantId> {
        self.holding_unwatched()
    }

    fn watch_versions(&self, tenant: TenantId, versions: &[KekId]) {
        self.watch_versions(tenant, versions);
    }

    fn news(&self) -> broadcast::Receiver<News> {
        self.news()
    }

    async fn plant(&self, tenant: &TenantKeys) -> Result<Canary, SealerError> {
        self.plant(tenant).await
    }

    async fn probe(&self, tenant: &TenantKeys, canary: &Canary) -> Result<(), VaultError> {
        self.probe(tenant, canary).await
    }

    async fn newest(&self, tenant: &TenantKeys) -> Result<KekId, VaultError> {
        self.newest(tenant).await
    }
}

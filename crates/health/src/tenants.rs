//! What the watch asks of the registry's view.

use std::sync::Arc;

use async_trait::async_trait;
use keyferry_crypto::id::TenantId;
use keyferry_registry::{Changed, Registry, RegistryError, Tenant};
use tokio::sync::broadcast;

/// What knows the tenants and follows what happens: a [`Registry`], whose methods these are.
#[async_trait]
pub trait Tenants: Send + Sync + 'static {
    /// [`Registry::changes`].
    fn changes(&self) -> broadcast::Receiver<Changed>;

    /// [`Registry::held`].
    fn held(&self, tenant: TenantId) -> Option<Arc<Tenant>>;

    /// [`Registry::tenant_by_id`].
    async fn tenant(&self, tenant: TenantId) -> Result<Option<Arc<Tenant>>, RegistryError>;
}

#[async_trait]
impl Tenants for Registry {
    fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes()
    }

    fn held(&self, tenant: TenantId) -> Option<Arc<Tenant>> {
        self.held(tenant)
    }

    async fn tenant(&self, tenant: TenantId) -> Result<Option<Arc<Tenant>>, RegistryError> {
        self.tenant_by_id(tenant).await
    }
}

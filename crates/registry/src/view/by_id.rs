//! Tenants by their ids: for what happens to a key, which names its tenant so.

use std::sync::{Arc, atomic::Ordering};

use keyferry_crypto::id::TenantId;

use super::Registry;
use crate::{error::RegistryError, tenant::Tenant};

impl Registry {
    /// The tenant with that id, whatever its status, if it is in memory.
    #[must_use]
    pub fn held(&self, id: TenantId) -> Option<Arc<Tenant>> {
        let tenant = self.tenants.get(&self.slugs.get(&id)?)?;
        // The slug may be another tenant's by now.
        (tenant.keys.tenant == id).then_some(tenant)
    }

    /// The tenant with that id, whatever its status; from memory if it is there.
    pub async fn tenant_by_id(&self, id: TenantId) -> Result<Option<Arc<Tenant>>, RegistryError> {
        if let Some(tenant) = self.held(id) {
            return Ok(Some(tenant));
        }
        let before = self.position().moves;
        self.store_reads.fetch_add(1, Ordering::Relaxed);
        let found = self.store.find_by_id(id).await?.map(Arc::new);
        let position = self.position();
        // As for a slug: what was read may be older than what the view took in meanwhile.
        if let Some(tenant) = &found
            && position.moves == before
        {
            self.keep(Arc::clone(tenant));
        }
        Ok(found)
    }

    /// Keeps a tenant in memory, to be found by its slug and by its id.
    pub(super) fn keep(&self, tenant: Arc<Tenant>) {
        self.slugs.insert(tenant.keys.tenant, tenant.slug.clone());
        self.tenants.insert(tenant.slug.clone(), tenant);
    }
}

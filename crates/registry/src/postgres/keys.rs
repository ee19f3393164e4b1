//! Keys' health in Postgres.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use keyferry_crypto::id::{KeyRef, TenantId};

use super::PostgresStore;
use crate::{
    error::RegistryError,
    key::{Acknowledgement, Claimed, KeyEvent, KeyHealth, KeyNews, KeyStore, Looked, Replica, ReplicaId},
    tenant::Revision,
};

#[async_trait]
impl KeyStore for PostgresStore {
    async fn beat(&self, replica: &Replica, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        let _ = (replica, alive);
        todo!("registry")
    }

    async fn leave(&self, replica: ReplicaId) -> Result<(), RegistryError> {
        let _ = (replica,);
        todo!("registry")
    }

    async fn claim_keys(
        &self,
        replica: ReplicaId,
        lease: Duration,
        held: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, RegistryError> {
        let _ = (replica, lease, held, limit);
        todo!("registry")
    }

    async fn save_looks(
        &self,
        replica: ReplicaId,
        looks: &[Looked],
        lease: Duration,
    ) -> Result<Vec<Revision>, RegistryError> {
        let _ = (replica, looks, lease);
        todo!("registry")
    }

    async fn tell_key_news(
        &self,
        replica: ReplicaId,
        tenant: TenantId,
        news: &KeyNews,
        pause: Duration,
    ) -> Result<Option<Revision>, RegistryError> {
        let _ = (replica, tenant, news, pause);
        todo!("registry")
    }

    async fn note_held(&self, tenants: &[TenantId], within: Duration) -> Result<(), RegistryError> {
        let _ = (tenants, within);
        todo!("registry")
    }

    async fn overdue(&self, held: Duration, longer: Duration) -> Result<Vec<TenantId>, RegistryError> {
        let _ = (held, longer);
        todo!("registry")
    }

    async fn hint(&self, key: &KeyRef) -> Result<u64, RegistryError> {
        let _ = (key,);
        todo!("registry")
    }

    async fn look_soon(&self, tenant: TenantId) -> Result<bool, RegistryError> {
        let _ = (tenant,);
        todo!("registry")
    }

    async fn key_health(&self, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError> {
        let _ = (tenant,);
        todo!("registry")
    }

    async fn key_states(&self) -> Result<BTreeMap<String, u64>, RegistryError> {
        todo!("registry")
    }

    async fn key_events(
        &self,
        tenant: TenantId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeyEvent>, RegistryError> {
        let _ = (tenant, before, limit);
        todo!("registry")
    }

    async fn acknowledge(&self, replica: ReplicaId, revisions: &[Revision]) -> Result<(), RegistryError> {
        let _ = (replica, revisions);
        todo!("registry")
    }

    async fn acknowledgements(&self, revision: Revision) -> Result<Vec<Acknowledgement>, RegistryError> {
        let _ = (revision,);
        todo!("registry")
    }

    async fn replicas(&self, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        let _ = (alive,);
        todo!("registry")
    }
}

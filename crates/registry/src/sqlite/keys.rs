//! Keys' health in SQLite. There is one process, and one writer at a time; times are its clock's.

mod claiming;
mod history;
mod replicas;
mod saving;
mod telling;
mod wanting;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use keyferry_crypto::id::{KeyRef, TenantId};

use super::SqliteStore;
use crate::{
    error::RegistryError,
    key::{Acknowledgement, Claimed, KeyEvent, KeyHealth, KeyNews, KeyStore, Looked, Replica, ReplicaId},
    tenant::Revision,
};

#[async_trait]
impl KeyStore for SqliteStore {
    async fn beat(&self, replica: &Replica, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        replicas::beat(self, replica, alive).await
    }

    async fn leave(&self, replica: ReplicaId) -> Result<(), RegistryError> {
        replicas::leave(self, replica).await
    }

    async fn claim_keys(
        &self,
        replica: ReplicaId,
        lease: Duration,
        held: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, RegistryError> {
        claiming::claim(self, replica, lease, held, limit).await
    }

    async fn save_looks(
        &self,
        replica: ReplicaId,
        looks: &[Looked],
        lease: Duration,
    ) -> Result<Vec<Revision>, RegistryError> {
        saving::save(self, replica, looks, lease).await
    }

    async fn tell_key_news(
        &self,
        replica: ReplicaId,
        tenant: TenantId,
        news: &KeyNews,
        pause: Duration,
    ) -> Result<Option<Revision>, RegistryError> {
        telling::tell(self, replica, tenant, news, pause).await
    }

    async fn note_held(&self, tenants: &[TenantId], within: Duration) -> Result<(), RegistryError> {
        wanting::note_held(self, tenants, within).await
    }

    async fn overdue(&self, held: Duration, longer: Duration) -> Result<Vec<TenantId>, RegistryError> {
        wanting::overdue(self, held, longer).await
    }

    async fn hint(&self, key: &KeyRef) -> Result<u64, RegistryError> {
        wanting::hint(self, key).await
    }

    async fn look_soon(&self, tenant: TenantId) -> Result<bool, RegistryError> {
        wanting::look_soon(self, tenant).await
    }

    async fn key_health(&self, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError> {
        history::health(self, tenant).await
    }

    async fn key_states(&self) -> Result<BTreeMap<String, u64>, RegistryError> {
        history::states(self).await
    }

    async fn key_events(
        &self,
        tenant: TenantId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeyEvent>, RegistryError> {
        history::events(self, tenant, before, limit).await
    }

    async fn acknowledge(&self, replica: ReplicaId, revisions: &[Revision]) -> Result<(), RegistryError> {
        replicas::acknowledge(self, replica, revisions).await
    }

    async fn acknowledgements(&self, revision: Revision) -> Result<Vec<Acknowledgement>, RegistryError> {
        replicas::acknowledgements(self, revision).await
    }

    async fn replicas(&self, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        replicas::alive(self, alive).await
    }
}

/// So many microseconds.
fn span(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

//! Keys' health in Postgres.
//!
//! Times are the server's, as of the beginning of the statement: unlike those of the beginning of the transaction they are read
//! after the wait for a lock, and unlike the clock's they can be looked for in an index. Statements that change many keys lock them
//! in the order of their ids first, so that no two wait for each other.

mod claiming;
mod history;
mod replicas;
mod saving;
mod telling;
mod wanting;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use keyferry_crypto::id::{KeyRef, TenantId};

use super::PostgresStore;
use crate::{
    error::RegistryError,
    key::{Acknowledgement, Claimed, KeyEvent, KeyHealth, KeyNews, KeyStore, Looked, Replica, ReplicaId},
    patience::in_time,
    tenant::Revision,
};

/// Each is bounded: the watch over all keys must not wait for a database that fell silent.
#[async_trait]
impl KeyStore for PostgresStore {
    async fn beat(&self, replica: &Replica, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        in_time(replicas::beat(self, replica, alive)).await
    }

    async fn leave(&self, replica: ReplicaId) -> Result<(), RegistryError> {
        in_time(replicas::leave(self, replica)).await
    }

    async fn claim_keys(
        &self,
        replica: ReplicaId,
        lease: Duration,
        held: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, RegistryError> {
        in_time(claiming::claim(self, replica, lease, held, limit)).await
    }

    async fn save_looks(
        &self,
        replica: ReplicaId,
        looks: &[Looked],
        lease: Duration,
    ) -> Result<Vec<Revision>, RegistryError> {
        in_time(saving::save(self, replica, looks, lease)).await
    }

    async fn tell_key_news(
        &self,
        replica: ReplicaId,
        tenant: TenantId,
        news: &KeyNews,
        pause: Duration,
    ) -> Result<Option<Revision>, RegistryError> {
        in_time(telling::tell(self, replica, tenant, news, pause)).await
    }

    async fn note_held(&self, tenants: &[TenantId], within: Duration) -> Result<(), RegistryError> {
        in_time(wanting::note_held(self, tenants, within)).await
    }

    async fn overdue(&self, held: Duration, longer: Duration) -> Result<Vec<TenantId>, RegistryError> {
        in_time(wanting::overdue(self, held, longer)).await
    }

    async fn hint(&self, key: &KeyRef) -> Result<u64, RegistryError> {
        in_time(wanting::hint(self, key)).await
    }

    async fn look_soon(&self, tenant: TenantId) -> Result<bool, RegistryError> {
        in_time(wanting::look_soon(self, tenant)).await
    }

    async fn key_health(&self, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError> {
        in_time(history::health(self, tenant)).await
    }

    async fn key_states(&self) -> Result<BTreeMap<String, u64>, RegistryError> {
        in_time(history::states(self)).await
    }

    async fn key_events(
        &self,
        tenant: TenantId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeyEvent>, RegistryError> {
        in_time(history::events(self, tenant, before, limit)).await
    }

    async fn acknowledge(&self, replica: ReplicaId, revisions: &[Revision]) -> Result<(), RegistryError> {
        in_time(replicas::acknowledge(self, replica, revisions)).await
    }

    async fn acknowledgements(&self, revision: Revision) -> Result<Vec<Acknowledgement>, RegistryError> {
        in_time(replicas::acknowledgements(self, revision)).await
    }

    async fn replicas(&self, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        in_time(replicas::alive(self, alive)).await
    }
}

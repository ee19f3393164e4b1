//! How keys are, and what happened to them.

use std::collections::BTreeMap;

use keyferry_crypto::id::TenantId;

use super::super::PostgresStore;
use crate::{
    error::RegistryError,
    key::{
        KeyEvent, KeyHealth,
        row::{EventRow, KeyRow},
    },
    tenant::Revision,
};

pub(super) async fn health(store: &PostgresStore, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError> {
    let row = sqlx::query_as!(
        KeyRow,
        "select tenant_id, state, cause, evidence, since, checked_at, served_at, newest, newest_seen_at, canaries,
             failures, due_at, owner, owned_until, held_at, is_held
         from key_health where tenant_id = $1",
        tenant.0,
    )
    .fetch_optional(&store.pool)
    .await?;
    row.map(KeyHealth::try_from).transpose()
}

pub(super) async fn states(store: &PostgresStore) -> Result<BTreeMap<String, u64>, RegistryError> {
    let states = sqlx::query!("select state, count(*) as \"keys!\" from key_health where watched group by state")
        .fetch_all(&store.pool)
        .await?;
    let states = states.into_iter();
    Ok(states
        .map(|counted| (counted.state, counted.keys.unsigned_abs()))
        .collect())
}

pub(super) async fn events(
    store: &PostgresStore,
    tenant: TenantId,
    before: Option<Revision>,
    limit: u32,
) -> Result<Vec<KeyEvent>, RegistryError> {
    let rows = sqlx::query_as!(
        EventRow,
        "select revision, tenant_id, at, replica, kind, details from key_events
         where tenant_id = $1 and revision < $2 order by revision desc limit $3",
        tenant.0,
        before.map_or(i64::MAX, |before| before.0),
        i64::from(limit),
    )
    .fetch_all(&store.pool)
    .await?;
    rows.into_iter().map(KeyEvent::try_from).collect()
}

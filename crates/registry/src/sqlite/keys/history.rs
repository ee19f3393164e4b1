//! How keys are, and what happened to them.

use std::collections::BTreeMap;

use keyferry_crypto::id::TenantId;
use sqlx::{FromRow, sqlite::SqliteRow};

use super::super::{SqliteStore, from_micros};
use crate::{
    error::RegistryError,
    key::{
        KeyEvent, KeyHealth,
        row::{EventRow, KeyRow},
    },
    tenant::Revision,
};

pub(super) async fn health(store: &SqliteStore, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError> {
    let row: Option<KeyRow> = sqlx::query_as(
        "select tenant_id, state, cause, evidence, since, checked_at, served_at, newest, newest_seen_at, canaries, failures,
             due_at, owner, owned_until, held_at, is_held
         from key_health where tenant_id = ?",
    )
    .bind(tenant.0)
    .fetch_optional(&store.pool)
    .await?;
    row.map(KeyHealth::try_from).transpose()
}

pub(super) async fn states(store: &SqliteStore) -> Result<BTreeMap<String, u64>, RegistryError> {
    let states: Vec<(String, i64)> =
        sqlx::query_as("select state, count(*) from key_health where watched group by state")
            .fetch_all(&store.pool)
            .await?;
    let states = states.into_iter();
    Ok(states.map(|(state, keys)| (state, keys.unsigned_abs())).collect())
}

pub(super) async fn events(
    store: &SqliteStore,
    tenant: TenantId,
    before: Option<Revision>,
    limit: u32,
) -> Result<Vec<KeyEvent>, RegistryError> {
    let rows: Vec<EventRow> = sqlx::query_as(
        "select revision, tenant_id, at, replica, kind, details from key_events
         where tenant_id = ? and revision < ? order by revision desc limit ?",
    )
    .bind(tenant.0)
    .bind(before.map_or(i64::MAX, |before| before.0))
    .bind(limit)
    .fetch_all(&store.pool)
    .await?;
    rows.into_iter().map(KeyEvent::try_from).collect()
}

impl FromRow<'_, SqliteRow> for EventRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let details: String = row.try_get("details")?;
        Ok(Self {
            revision: row.try_get("revision")?,
            tenant_id: row.try_get("tenant_id")?,
            at: from_micros(row.try_get("at")?)?,
            replica: row.try_get("replica")?,
            kind: row.try_get("kind")?,
            details: serde_json::from_str(&details).unwrap_or_default(),
        })
    }
}

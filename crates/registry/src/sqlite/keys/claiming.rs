//! Who looks at which key: as in Postgres.

use std::time::Duration;

use sqlx::{FromRow, sqlite::SqliteRow};

use super::{
    super::{SqliteStore, from_micros, micros},
    span,
};
use crate::{
    error::RegistryError,
    key::{Claimed, ReplicaId, row::KeyRow},
};

pub(super) async fn claim(
    store: &SqliteStore,
    replica: ReplicaId,
    lease: Duration,
    held: Duration,
    limit: u32,
) -> Result<Vec<Claimed>, RegistryError> {
    let mut tx = store.begin_change().await?;
    let now = micros((store.clock)());
    let rows: Vec<KeyRow> = sqlx::query_as(
        "update key_health set owner = ?1, owned_until = ?2 + ?3, given_up_by = null,
             claimed_at = case when owner = ?1 then coalesce(claimed_at, ?2) else ?2 end,
             wanted = wanted and owner is ?1 and claimed_at is not null,
             is_held = coalesce(held_at > ?2 - ?4, 0)
         where tenant_id in (
             select tenant_id from key_health
             where watched and due_at <= ?2
                 and case when owner is null then given_up_by is not ?1 or due_at <= ?2 - ?3
                     when owner = ?1 then claimed_at is null or owned_until <= ?2 + ?3 / 2
                     else due_at <= ?2 - ?3 and owned_until <= ?2 end
             order by owner is not ?1, owner is not null, due_at limit ?5)
         returning tenant_id, state, cause, evidence, since, checked_at, served_at, newest, newest_seen_at, canaries, failures,
             due_at, owner, owned_until, held_at, is_held",
    )
    .bind(replica.0)
    .bind(now)
    .bind(span(lease))
    .bind(span(held))
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(KeyRow::claimed(rows))
}

impl FromRow<'_, SqliteRow> for KeyRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let time = |column: &str| -> Result<_, sqlx::Error> {
            let micros: Option<i64> = row.try_get(column)?;
            micros.map(from_micros).transpose()
        };
        let json = |column: &str| -> Result<Option<serde_json::Value>, sqlx::Error> {
            let text: Option<String> = row.try_get(column)?;
            Ok(text.map(|text| serde_json::from_str(&text).unwrap_or_default()))
        };
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            state: row.try_get("state")?,
            cause: row.try_get("cause")?,
            evidence: json("evidence")?,
            since: from_micros(row.try_get("since")?)?,
            checked_at: time("checked_at")?,
            served_at: time("served_at")?,
            newest: json("newest")?,
            newest_seen_at: time("newest_seen_at")?,
            canaries: json("canaries")?.unwrap_or_default(),
            failures: row.try_get("failures")?,
            due_at: from_micros(row.try_get("due_at")?)?,
            owner: row.try_get("owner")?,
            owned_until: time("owned_until")?,
            held_at: time("held_at")?,
            is_held: row.try_get("is_held")?,
        })
    }
}

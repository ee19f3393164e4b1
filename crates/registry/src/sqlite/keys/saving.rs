//! What looks at keys found.

use std::{collections::HashSet, time::Duration};

use sqlx::{Sqlite, Transaction};

use super::{
    super::{SqliteStore, micros},
    span, telling,
};
use crate::{
    error::RegistryError,
    key::{
        Looked, ReplicaId,
        row::{LookRow, NewsRow},
    },
    tenant::Revision,
};

pub(super) async fn save(
    store: &SqliteStore,
    replica: ReplicaId,
    looks: &[Looked],
    lease: Duration,
) -> Result<Vec<Revision>, RegistryError> {
    let mut tx = store.begin_change().await?;
    let now = micros((store.clock)());
    let mut kept = HashSet::new();
    for looked in looks {
        let row = LookRow::try_from(looked)?;
        if update(
            &mut tx,
            replica,
            row,
            now.saturating_add(span(looked.due_in)),
            span(lease),
        )
        .await?
        {
            kept.insert(looked.health.tenant);
        }
    }
    let news = NewsRow::of_looks(looks, |tenant| kept.contains(&tenant))?;
    let revisions = telling::record(&mut tx, replica, &news, now).await?;
    if revisions.is_empty() {
        tx.commit().await?;
    } else {
        store.commit(tx).await?;
    }
    Ok(revisions)
}

/// Saves a look at a key that the replica looks after; whether it does. A look that was asked for meanwhile, or that became due
/// sooner, is still to be had; a version that was hinted at meanwhile is still to be looked up.
async fn update(
    tx: &mut Transaction<'static, Sqlite>,
    replica: ReplicaId,
    row: LookRow,
    due_at: i64,
    lease: i64,
) -> Result<bool, RegistryError> {
    let saved = sqlx::query(
        "update key_health set state = ?3, cause = ?4, evidence = ?5, since = ?6, checked_at = ?7, served_at = ?8, newest = ?9,
             newest_seen_at = case when ?9 is not null and wanted and newest_seen_at = 0 then 0 else ?10 end,
             canaries = ?11, failures = ?12, due_at = case when wanted then min(due_at, ?13) else ?13 end,
             owner = case when ?14 then owner end,
             owned_until = case when ?14 then case when wanted then min(due_at, ?13) else ?13 end + ?15 end,
             given_up_by = case when ?14 then null else owner end,
             claimed_at = null, wanted = 0,
             looked_at = case when ?7 is distinct from checked_at then coalesce(claimed_at, looked_at) else looked_at end
         where tenant_id = ?1 and owner = ?2",
    )
    .bind(row.tenant_id)
    .bind(replica.0)
    .bind(row.state)
    .bind(row.cause)
    .bind(row.evidence.map(|evidence| evidence.to_string()))
    .bind(micros(row.since))
    .bind(row.checked_at.map(micros))
    .bind(row.served_at.map(micros))
    .bind(row.newest.map(|newest| newest.to_string()))
    .bind(row.newest_seen_at.map(micros))
    .bind(row.canaries.to_string())
    .bind(row.failures)
    .bind(due_at)
    .bind(row.keeps)
    .bind(lease)
    .execute(&mut **tx)
    .await?;
    Ok(saved.rows_affected() > 0)
}

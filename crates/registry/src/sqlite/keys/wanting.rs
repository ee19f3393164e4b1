//! Which keys are to be looked at sooner. An owner has as long after a key is due as before: its lease moves with it.

use std::time::Duration;

use keyferry_crypto::id::{KeyRef, TenantId};
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use super::{
    super::{SqliteStore, micros},
    span,
};
use crate::error::RegistryError;

pub(super) async fn note_held(
    store: &SqliteStore,
    tenants: &[TenantId],
    within: Duration,
) -> Result<(), RegistryError> {
    let mut tx = store.begin_change().await?;
    let now = micros((store.clock)());
    for tenant in tenants {
        // Halved, as the lowest of all numbers has no absolute value.
        sqlx::query(
            "update key_health set held_at = ?2, is_held = 1, wanted = wanted or not is_held, due_at = sooner.due_at,
                 owned_until = owned_until - (key_health.due_at - sooner.due_at)
             from (select case when is_held then due_at else min(due_at, ?2 + abs(random() / 2) % (?3 + 1)) end as due_at
                 from key_health where tenant_id = ?1) as sooner
             where tenant_id = ?1",
        )
        .bind(tenant.0)
        .bind(now)
        .bind(span(within).min(i64::MAX / 4))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn overdue(
    store: &SqliteStore,
    held: Duration,
    longer: Duration,
) -> Result<Vec<TenantId>, RegistryError> {
    let now = micros((store.clock)());
    let overdue: Vec<Uuid> = sqlx::query_scalar(
        "select tenant_id from key_health
         where watched and is_held and held_at > ?1 - ?2 and (looked_at < ?1 - ?3 or looked_at > ?1 or state <> 'healthy')",
    )
    .bind(now)
    .bind(span(held))
    .bind(span(longer))
    .fetch_all(&store.pool)
    .await?;
    Ok(overdue.into_iter().map(TenantId).collect())
}

pub(super) async fn hint(store: &SqliteStore, key: &KeyRef) -> Result<u64, RegistryError> {
    let mut tx = store.begin_change().await?;
    let hinted = sqlx::query(
        "update key_health set wanted = 1, newest_seen_at = case when newest is not null then 0 end, due_at = min(due_at, ?3),
             owned_until = owned_until - (due_at - min(due_at, ?3))
         where tenant_id in (select id from tenants where vault = ?1 and lower(key_name) = lower(?2) and status <> 'purged')",
    )
    .bind(key.vault.as_str())
    .bind(key.name.as_str())
    .bind(micros((store.clock)()))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(hinted.rows_affected())
}

pub(super) async fn look_soon(store: &SqliteStore, tenant: TenantId) -> Result<bool, RegistryError> {
    let mut tx = store.begin_change().await?;
    let is_there = make_due(&mut tx, tenant, micros((store.clock)())).await?;
    tx.commit().await?;
    Ok(is_there)
}

/// Makes a tenant's key due now. Whether there is such a tenant.
pub(super) async fn make_due(
    tx: &mut Transaction<'static, Sqlite>,
    tenant: TenantId,
    now: i64,
) -> Result<bool, RegistryError> {
    let made = sqlx::query(
        "update key_health set wanted = 1, due_at = min(due_at, ?2), owned_until = owned_until - (due_at - min(due_at, ?2))
         where tenant_id = ?1",
    )
    .bind(tenant.0)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(made.rows_affected() > 0)
}

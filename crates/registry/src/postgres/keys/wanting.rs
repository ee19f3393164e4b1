//! Which keys are to be looked at sooner. An owner has as long after a key is due as before: its lease moves with it.

use std::time::Duration;

use keyferry_crypto::id::{KeyRef, TenantId};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::super::{PostgresStore, interval};
use crate::error::RegistryError;

/// Replicas say so one after the other: what another has said a moment ago is not written again. A key that becomes due is so at
/// some time within `within`, as many may be said to be held at once.
pub(super) async fn note_held(
    store: &PostgresStore,
    tenants: &[TenantId],
    within: Duration,
) -> Result<(), RegistryError> {
    let tenants: Vec<Uuid> = tenants.iter().map(|tenant| tenant.0).collect();
    sqlx::query!(
        "with said as materialized (
             select tenant_id,
                 case when is_held then due_at else least(due_at, statement_timestamp() + random() * $2::interval) end as due_at
             from key_health
             where tenant_id = any($1) and (not is_held or held_at <= statement_timestamp() - interval '10 seconds')
             order by tenant_id for no key update)
         update key_health set held_at = statement_timestamp(), is_held = true, wanted = wanted or not is_held,
             due_at = said.due_at, owned_until = owned_until - (key_health.due_at - said.due_at)
         from said where key_health.tenant_id = said.tenant_id",
        &tenants,
        interval(within),
    )
    .execute(&store.pool)
    .await?;
    Ok(())
}

/// A look in the future was made by another server's clock, before a failover: nobody can say how old it is.
pub(super) async fn overdue(
    store: &PostgresStore,
    held: Duration,
    longer: Duration,
) -> Result<Vec<TenantId>, RegistryError> {
    let overdue = sqlx::query_scalar!(
        "select tenant_id from key_health
         where watched and is_held and held_at > statement_timestamp() - $1::interval
             and (looked_at < statement_timestamp() - $2::interval or looked_at > statement_timestamp() or state <> 'healthy')",
        interval(held),
        interval(longer),
    )
    .fetch_all(&store.pool)
    .await?;
    Ok(overdue.into_iter().map(TenantId).collect())
}

pub(super) async fn hint(store: &PostgresStore, key: &KeyRef) -> Result<u64, RegistryError> {
    let hinted = sqlx::query!(
        "with theirs as materialized (
             select tenant_id from key_health
             where tenant_id in (select id from tenants where vault = $1 and lower(key_name) = lower($2) and status <> 'purged')
             order by tenant_id for no key update)
         update key_health set wanted = true, newest_seen_at = case when newest is not null then 'epoch'::timestamptz end,
             due_at = least(due_at, statement_timestamp()),
             owned_until = owned_until - (due_at - least(due_at, statement_timestamp()))
         from theirs where key_health.tenant_id = theirs.tenant_id",
        key.vault.as_str(),
        key.name.as_str(),
    )
    .execute(&store.pool)
    .await?;
    Ok(hinted.rows_affected())
}

pub(super) async fn look_soon(store: &PostgresStore, tenant: TenantId) -> Result<bool, RegistryError> {
    let mut tx = store.pool.begin().await?;
    let is_there = make_due(&mut tx, tenant).await?;
    tx.commit().await?;
    Ok(is_there)
}

/// Makes a tenant's key due now. Whether there is such a tenant.
pub(super) async fn make_due(tx: &mut Transaction<'static, Postgres>, tenant: TenantId) -> Result<bool, RegistryError> {
    let made = sqlx::query!(
        "update key_health set wanted = true, due_at = least(due_at, statement_timestamp()),
             owned_until = owned_until - (due_at - least(due_at, statement_timestamp()))
         where tenant_id = $1",
        tenant.0,
    )
    .execute(&mut **tx)
    .await?;
    Ok(made.rows_affected() > 0)
}

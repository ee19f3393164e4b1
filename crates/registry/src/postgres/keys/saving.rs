//! What looks at keys found.

use std::{collections::HashSet, time::Duration};

use keyferry_crypto::id::TenantId;
use serde_json::json;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{
    super::{PostgresStore, feed::tell_tenants, interval},
    telling,
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
    store: &PostgresStore,
    replica: ReplicaId,
    looks: &[Looked],
    lease: Duration,
) -> Result<Vec<Revision>, RegistryError> {
    if looks.is_empty() {
        return Ok(Vec::new());
    }
    // Only what is told needs its turn among the changes. Whoever takes it does so before it locks a key.
    let has_news = looks.iter().any(|looked| !looked.news.is_empty());
    let mut tx = if has_news {
        store.begin_change().await?
    } else {
        store.pool.begin().await?
    };
    let kept = update(&mut tx, replica, looks, lease).await?;
    let news = NewsRow::of_looks(looks, |tenant| kept.contains(&tenant))?;
    let revisions = telling::record(&mut tx, replica, &news).await?;
    if !revisions.is_empty() {
        tell_tenants(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(revisions)
}

/// Saves the looks at keys that the replica looks after, and answers whose they are. A look that was asked for meanwhile, or that
/// became due sooner, is still to be had; a version that was hinted at meanwhile is still to be looked up. The key was looked at
/// only if the vault was asked,
/// which a look says by another time of having asked.
async fn update(
    tx: &mut Transaction<'static, Postgres>,
    replica: ReplicaId,
    looks: &[Looked],
    lease: Duration,
) -> Result<HashSet<TenantId>, RegistryError> {
    let rows: Result<Vec<_>, _> = looks.iter().map(LookRow::try_from).collect();
    let kept: Vec<Uuid> = sqlx::query_scalar!(
        "with looks as materialized (
             select * from jsonb_to_recordset($2) as look (tenant_id uuid, state text, cause text, evidence jsonb,
                 since timestamptz, checked_at timestamptz, served_at timestamptz, newest jsonb, newest_seen_at timestamptz,
                 canaries jsonb, failures integer, due_in double precision, keeps boolean)),
         mine as materialized (
             select key_health.tenant_id,
                 case when wanted then least(due_at, statement_timestamp() + make_interval(secs => due_in))
                     else statement_timestamp() + make_interval(secs => due_in) end as due_at,
                 wanted and key_health.newest_seen_at = 'epoch' as is_hinted
             from key_health join looks using (tenant_id)
             where owner = $1 order by key_health.tenant_id for no key update of key_health)
         update key_health set state = looks.state, cause = looks.cause, evidence = looks.evidence, since = looks.since,
             checked_at = looks.checked_at, served_at = looks.served_at, newest = looks.newest,
             newest_seen_at = case when looks.newest is not null and mine.is_hinted then 'epoch' else looks.newest_seen_at end,
             canaries = looks.canaries, failures = looks.failures, due_at = mine.due_at,
             owner = case when keeps then owner end,
             owned_until = case when keeps then mine.due_at + $3::interval end,
             given_up_by = case when keeps then null else owner end,
             claimed_at = null, wanted = false,
             looked_at = case when looks.checked_at is distinct from key_health.checked_at then coalesce(claimed_at, looked_at)
                 else looked_at end
         from looks join mine using (tenant_id)
         where key_health.tenant_id = looks.tenant_id
         returning key_health.tenant_id",
        replica.0,
        json!(rows?),
        interval(lease),
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(kept.into_iter().map(TenantId).collect())
}

//! What happened to keys, for all to hear.

use std::time::Duration;

use keyferry_crypto::id::TenantId;
use serde_json::json;
use sqlx::{Postgres, Transaction};

use super::{
    super::{PostgresStore, feed::tell_tenants, interval},
    wanting,
};
use crate::{
    error::RegistryError,
    key::{KeyNews, ReplicaId, row::NewsRow},
    tenant::Revision,
};

pub(super) async fn tell(
    store: &PostgresStore,
    replica: ReplicaId,
    tenant: TenantId,
    news: &KeyNews,
    pause: Duration,
) -> Result<Option<Revision>, RegistryError> {
    let news = NewsRow::of(tenant, news)?;
    let mut tx = store.begin_change().await?;
    if was_told(&mut tx, &news, pause).await? || !wanting::make_due(&mut tx, tenant).await? {
        return Ok(None);
    }
    let revisions = record(&mut tx, replica, &[news]).await?;
    tell_tenants(&mut tx).await?;
    tx.commit().await?;
    Ok(revisions.first().copied())
}

/// Whether the same was told less than `pause` ago, and nothing since that makes it news again: of a withdrawal that the key was
/// healthy, of a state another state or a withdrawal, of a version another version. What the vault said is not what makes news the
/// same: each of its answers has an id of its own.
async fn was_told(
    tx: &mut Transaction<'static, Postgres>,
    news: &NewsRow,
    pause: Duration,
) -> Result<bool, RegistryError> {
    let told = sqlx::query_scalar!(
        "select exists (
             select from key_events as told
             where tenant_id = $1 and kind = $2 and details - 'evidence' = $3::jsonb - 'evidence'
                 and at > statement_timestamp() - $4::interval
                 and not exists (select from key_events as since
                     where since.tenant_id = told.tenant_id and since.revision > told.revision
                         and case $2 when 'withdrawn' then since.kind = 'state' and since.details ->> 'state' = 'healthy'
                             when 'state' then since.kind in ('state', 'withdrawn')
                             else since.kind = $2 end))
             as \"told!\"",
        news.tenant_id,
        news.kind,
        news.details,
        interval(pause),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(told)
}

/// Records news, in their order, each with the next revision.
pub(super) async fn record(
    tx: &mut Transaction<'static, Postgres>,
    replica: ReplicaId,
    news: &[NewsRow],
) -> Result<Vec<Revision>, RegistryError> {
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let revisions = sqlx::query_scalar!(
        "insert into key_events (revision, tenant_id, at, replica, kind, details)
         select nextval('tenant_revisions'), tenant_id, statement_timestamp(), $1, kind, details
         from (select * from jsonb_to_recordset($2) as news (place bigint, tenant_id uuid, kind text, details jsonb)
             order by place) as news
         returning revision",
        replica.0,
        json!(news),
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(revisions.into_iter().map(Revision).collect())
}

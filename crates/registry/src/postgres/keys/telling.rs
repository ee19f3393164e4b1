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
    key::{KeyEvent, KeyNews, ReplicaId, row::NewsRow},
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

/// Records news, in their order, each with the next revision; and forgets the oldest of the same keys, where there are many.
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
    forget_the_oldest(tx, news).await?;
    Ok(revisions.into_iter().map(Revision).collect())
}

async fn forget_the_oldest(tx: &mut Transaction<'static, Postgres>, news: &[NewsRow]) -> Result<(), RegistryError> {
    let tenants: Vec<_> = news.iter().map(|news| news.tenant_id).collect();
    sqlx::query!(
        "delete from key_events where revision in (
             select oldest.revision from (select distinct unnest($1::uuid[]) as tenant_id) as told,
                 lateral (select revision from key_events
                     where tenant_id = told.tenant_id and at <= statement_timestamp() - $3::interval
                         and revision < (select revision from key_events where tenant_id = told.tenant_id
                             order by revision desc offset $2::bigint - 1 limit 1)
                     order by revision limit $4) as oldest)",
        &tenants,
        KeyEvent::KEPT_OF_ONE,
        interval(KeyEvent::KEPT_OF_MANY),
        KeyEvent::FORGOTTEN_FOR_ONE,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

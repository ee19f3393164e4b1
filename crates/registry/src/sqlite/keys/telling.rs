//! What happened to keys, for all to hear.

use std::time::Duration;

use keyferry_crypto::id::TenantId;
use sqlx::{Sqlite, Transaction};

use super::{
    super::{SqliteStore, micros, next_revision},
    span, wanting,
};
use crate::{
    error::RegistryError,
    key::{KeyEvent, KeyNews, ReplicaId, row::NewsRow},
    tenant::Revision,
};

pub(super) async fn tell(
    store: &SqliteStore,
    replica: ReplicaId,
    tenant: TenantId,
    news: &KeyNews,
    pause: Duration,
) -> Result<Option<Revision>, RegistryError> {
    let news = NewsRow::of(tenant, news)?;
    let mut tx = store.begin_change().await?;
    let now = micros((store.clock)());
    if was_told(&mut tx, &news, now - span(pause)).await? || !wanting::make_due(&mut tx, tenant, now).await? {
        return Ok(None);
    }
    let revisions = record(&mut tx, replica, &[news], now).await?;
    store.commit(tx).await?;
    Ok(revisions.first().copied())
}

/// Whether the same was told after that time, and nothing since that makes it news again: of a withdrawal that the key was
/// healthy, of a state another state or a withdrawal, of a version another version. What the vault said is not what makes news the
/// same: each of its answers has an id of its own.
async fn was_told(tx: &mut Transaction<'static, Sqlite>, news: &NewsRow, after: i64) -> Result<bool, RegistryError> {
    let told = sqlx::query_scalar(
        "select exists (
             select 1 from key_events as told
             where tenant_id = ?1 and kind = ?2 and json_remove(details, '$.evidence') = json_remove(?3, '$.evidence') and at > ?4
                 and not exists (select 1 from key_events as since
                     where since.tenant_id = told.tenant_id and since.revision > told.revision
                         and case ?2 when 'withdrawn' then since.kind = 'state' and since.details ->> 'state' = 'healthy'
                             when 'state' then since.kind in ('state', 'withdrawn')
                             else since.kind = ?2 end))",
    )
    .bind(news.tenant_id)
    .bind(news.kind)
    .bind(news.details.to_string())
    .bind(after)
    .fetch_one(&mut **tx)
    .await?;
    Ok(told)
}

/// Records news, in their order, each with the next revision; and forgets the oldest of the same keys, where there are many.
pub(super) async fn record(
    tx: &mut Transaction<'static, Sqlite>,
    replica: ReplicaId,
    news: &[NewsRow],
    now: i64,
) -> Result<Vec<Revision>, RegistryError> {
    let mut revisions = Vec::with_capacity(news.len());
    for news in news {
        let revision = next_revision(tx).await?;
        sqlx::query(
            "insert into key_events (revision, tenant_id, at, replica, kind, details) values (?, ?, ?, ?, ?, ?)",
        )
        .bind(revision)
        .bind(news.tenant_id)
        .bind(now)
        .bind(replica.0)
        .bind(news.kind)
        .bind(news.details.to_string())
        .execute(&mut **tx)
        .await?;
        forget_the_oldest(tx, news, now).await?;
        revisions.push(Revision(revision));
    }
    Ok(revisions)
}

async fn forget_the_oldest(
    tx: &mut Transaction<'static, Sqlite>,
    news: &NewsRow,
    now: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "delete from key_events where revision in (
             select revision from key_events
             where tenant_id = ?1 and at <= ?3
                 and revision < (select revision from key_events where tenant_id = ?1 order by revision desc limit 1 offset ?2 - 1)
             order by revision limit ?4)",
    )
    .bind(news.tenant_id)
    .bind(KeyEvent::KEPT_OF_ONE)
    .bind(now - span(KeyEvent::KEPT_OF_MANY))
    .bind(KeyEvent::FORGOTTEN_FOR_ONE)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

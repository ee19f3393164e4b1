//! Tenants in Postgres.

use std::sync::Arc;

use async_trait::async_trait;
use keyferry_crypto::id::TenantId;
use sqlx::{Postgres, Transaction, postgres::types::PgInterval};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{PostgresStore, feed::tell_tenants, idempotency, onboardings};
use crate::{
    error::RegistryError,
    key::{KeyEvent, row::EventRow},
    row::Row,
    store::{Change, Created, Idempotency, Mark, Purpose, Since, Subject, TenantStore},
    tenant::{Revision, Slug, Tenant},
};

#[async_trait]
impl TenantStore for PostgresStore {
    async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError> {
        let mut tx = self.begin_change().await?;
        if let Some(idempotency) = idempotency
            && let Some(id) = idempotency::used(&mut tx, idempotency, Purpose::Tenant, (self.clock)()).await?
        {
            let tenant = with_id(&mut tx, id).await?;
            // Registered, and purged since: the same request is not that registration any more.
            let tenant = tenant.ok_or(RegistryError::IdempotencyMismatch)?;
            return Ok(Created { tenant, replayed: true });
        }
        let created = insert(&mut tx, tenant).await?;
        if let Some(idempotency) = idempotency {
            let id = tenant.keys.tenant;
            idempotency::keep(&mut tx, idempotency, Purpose::Tenant, id, (self.clock)()).await?;
        }
        tell_tenants(&mut tx).await?;
        tx.commit().await?;
        Ok(Created {
            tenant: created,
            replayed: false,
        })
    }

    async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError> {
        let row = sqlx::query_as!(
            Row,
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where slug = $1 and status <> 'purged'",
            slug.as_str(),
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(Tenant::try_from).transpose()
    }

    async fn find_by_id(&self, id: TenantId) -> Result<Option<Tenant>, RegistryError> {
        with_id(&mut self.pool.begin().await?, id.0).await
    }

    async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        let rows = sqlx::query_as!(
            Row,
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where slug collate \"C\" > $1 and status <> 'purged' order by slug collate \"C\" limit $2",
            after.map_or("", Slug::as_str),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Tenant::try_from).collect()
    }

    async fn list_among(&self, slugs: &[Slug], limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        let slugs: Vec<_> = slugs.iter().map(Slug::to_string).collect();
        let rows = sqlx::query_as!(
            Row,
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where slug = any($1) and status <> 'purged' order by slug collate \"C\" limit $2",
            &slugs,
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Tenant::try_from).collect()
    }

    async fn save(&self, tenant: &Tenant) -> Result<Tenant, RegistryError> {
        let now = (self.clock)();
        let row = Row::from(tenant);
        let mut tx = self.begin_change().await?;
        let revision = sqlx::query_scalar!(
            "update tenants set display_name = $3, vault = $4, key_name = $5, key_version = $6, former_keys = $7,
                 cache_ttl_seconds = $8, lease_max_age_seconds = $9, lease_max_messages = $10, outage_grace_seconds = $11,
                 status = $12, purge_at = $13, directory_id = $14, route = $15, route_address = $16, updated_at = $17,
                 revision = nextval('tenant_revisions')
             where id = $1 and revision = $2 and status <> 'purged'
             returning revision",
            row.id,
            row.revision,
            row.display_name,
            row.vault,
            row.key_name,
            row.key_version,
            row.former_keys,
            row.cache_ttl_seconds,
            row.lease_max_age_seconds,
            row.lease_max_messages,
            row.outage_grace_seconds,
            row.status,
            row.purge_at,
            row.directory_id,
            row.route,
            row.route_address,
            now,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let revision = Revision(revision.ok_or(RegistryError::Conflict)?);
        tell_tenants(&mut tx).await?;
        tx.commit().await?;
        Ok(Tenant {
            revision,
            updated_at: now,
            ..tenant.clone()
        })
    }

    async fn changes(&self, since: Since, limit: u32) -> Result<Vec<Change>, RegistryError> {
        // Of one moment: a change that is seen says that all before it are.
        let mut tx = self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?;
        let tenants = sqlx::query_as!(
            Row,
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where revision > $1 order by revision limit $2",
            since.followed.0,
            i64::from(limit),
        )
        .fetch_all(&mut *tx)
        .await?;
        let keys = sqlx::query_as!(
            EventRow,
            "select revision, tenant_id, at, replica, kind, details
             from key_events where revision > $1 order by revision limit $2",
            since.keys_after().0,
            i64::from(limit),
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let tenants = tenants.into_iter().map(Row::into_change).collect();
        Ok(Change::merge(
            tenants,
            keys.into_iter().map(EventRow::into_change).collect(),
            limit,
        ))
    }

    async fn newest(&self) -> Result<Revision, RegistryError> {
        let newest = sqlx::query_scalar!(
            "select greatest((select max(revision) from tenants), (select max(revision) from key_events), 0) as \"newest!\""
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Revision(newest))
    }

    async fn remembers(&self, seen: &Mark) -> Result<bool, RegistryError> {
        let remembered = match seen.subject {
            Subject::Tenant => {
                sqlx::query_scalar!(
                    "select exists (select from tenants where id = $1 and (revision > $2 or revision = $2 and updated_at = $3))
                         as \"remembered!\"",
                    seen.tenant.0,
                    seen.revision.0,
                    seen.at,
                )
                .fetch_one(&self.pool)
                .await?
            }
            Subject::Key => {
                sqlx::query_scalar!(
                    "select $3::timestamptz <= statement_timestamp() - $4::interval
                         or exists (select from key_events where tenant_id = $1 and revision = $2 and at = $3)
                         as \"remembered!\"",
                    seen.tenant.0,
                    seen.revision.0,
                    seen.at,
                    kept(),
                )
                .fetch_one(&self.pool)
                .await?
            }
        };
        Ok(remembered)
    }

    async fn purge(&self) -> Result<u64, RegistryError> {
        let now = (self.clock)();
        let mut tx = self.begin_change().await?;
        let purged = sqlx::query_scalar!(
            "update tenants set status = 'purged', purge_at = null, updated_at = $1, revision = nextval('tenant_revisions')
             where status = 'deleting' and purge_at <= $1
             returning id",
            now,
        )
        .fetch_all(&mut *tx)
        .await?;
        onboardings::wake(&mut tx, &purged, now).await?;
        sqlx::query!(
            "delete from idempotency_keys where created_at < $1",
            now - Idempotency::KEPT
        )
        .execute(&mut *tx)
        .await?;
        // The newest stays, so that in no store its revision is given again. A bounded number a round: others wait for their turn.
        sqlx::query!(
            "delete from key_events where revision in (
                 select revision from key_events
                 where at <= statement_timestamp() - $1::interval and revision < (select max(revision) from key_events)
                 order by at limit $2)",
            kept(),
            KeyEvent::FORGOTTEN_AT_ONCE,
        )
        .execute(&mut *tx)
        .await?;
        // Every replica purges every minute: one that finds nothing wakes nobody.
        if !purged.is_empty() {
            tell_tenants(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(purged.len() as u64)
    }

    async fn listen(&self, wake: Arc<Notify>) {
        self.listen_to_changes(&wake).await;
    }
}

/// Inserts a tenant; `Conflict` if its id was a tenant's before.
pub(super) async fn insert(tx: &mut Transaction<'static, Postgres>, tenant: &Tenant) -> Result<Tenant, RegistryError> {
    let row = Row::from(tenant);
    let revision = sqlx::query_scalar!(
        "insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
             cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
             route, route_address, status, purge_at, revision, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
             nextval('tenant_revisions'), $18, $19)
         on conflict (id) do nothing
         returning revision",
        row.id,
        row.slug,
        row.display_name,
        row.directory_id,
        row.cloud,
        row.vault,
        row.key_name,
        row.key_version,
        row.former_keys,
        row.cache_ttl_seconds,
        row.lease_max_age_seconds,
        row.lease_max_messages,
        row.outage_grace_seconds,
        row.route,
        row.route_address,
        row.status,
        row.purge_at,
        row.created_at,
        row.updated_at,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(Tenant {
        revision: Revision(revision.ok_or(RegistryError::Conflict)?),
        ..tenant.clone()
    })
}

/// How long what happened to keys is kept, as Postgres has it.
fn kept() -> PgInterval {
    PgInterval {
        months: 0,
        days: i32::try_from(KeyEvent::KEPT.whole_days()).unwrap_or(i32::MAX),
        microseconds: 0,
    }
}

async fn with_id(tx: &mut Transaction<'static, Postgres>, id: Uuid) -> Result<Option<Tenant>, RegistryError> {
    let row = sqlx::query_as!(
        Row,
        "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
             cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
             route, route_address, status, purge_at, revision, created_at, updated_at
         from tenants where id = $1 and status <> 'purged'",
        id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    row.map(Tenant::try_from).transpose()
}

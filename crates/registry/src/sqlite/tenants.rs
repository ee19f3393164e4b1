//! Tenants in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use keyferry_crypto::id::TenantId;
use sqlx::{FromRow, Sqlite, Transaction, sqlite::SqliteRow};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{SqliteStore, from_micros, idempotency, micros, next_revision, onboardings};
use crate::{
    error::RegistryError,
    key::{KeyEvent, row::EventRow},
    row::Row,
    store::{Change, Created, Idempotency, Mark, Purpose, Since, Subject, TenantStore},
    tenant::{Revision, Slug, Tenant},
};

#[async_trait]
impl TenantStore for SqliteStore {
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
        self.commit(tx).await?;
        Ok(Created {
            tenant: created,
            replayed: false,
        })
    }

    async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError> {
        let row: Option<Row> = sqlx::query_as(
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where slug = ? and status <> 'purged'",
        )
        .bind(slug.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.map(Tenant::try_from).transpose()
    }

    async fn find_by_id(&self, id: TenantId) -> Result<Option<Tenant>, RegistryError> {
        with_id(&mut self.pool.begin().await?, id.0).await
    }

    async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where slug > ? and status <> 'purged' order by slug limit ?",
        )
        .bind(after.map_or("", Slug::as_str))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Tenant::try_from).collect()
    }

    async fn list_among(&self, slugs: &[Slug], limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where slug in (select value from json_each(?)) and status <> 'purged' order by slug limit ?",
        )
        .bind(serde_json::json!(slugs).to_string())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Tenant::try_from).collect()
    }

    async fn save(&self, tenant: &Tenant) -> Result<Tenant, RegistryError> {
        let now = (self.clock)();
        let row = Row::from(tenant);
        let mut tx = self.begin_change().await?;
        let revision = next_revision(&mut tx).await?;
        let saved = sqlx::query(
            "update tenants set display_name = ?, vault = ?, key_name = ?, key_version = ?, former_keys = ?,
                 cache_ttl_seconds = ?, lease_max_age_seconds = ?, lease_max_messages = ?, outage_grace_seconds = ?,
                 status = ?, purge_at = ?, directory_id = ?, route = ?, route_address = ?, updated_at = ?, revision = ?
             where id = ? and revision = ? and status <> 'purged'",
        )
        .bind(row.display_name)
        .bind(row.vault)
        .bind(row.key_name)
        .bind(row.key_version)
        .bind(row.former_keys.to_string())
        .bind(row.cache_ttl_seconds)
        .bind(row.lease_max_age_seconds)
        .bind(row.lease_max_messages)
        .bind(row.outage_grace_seconds)
        .bind(row.status)
        .bind(row.purge_at.map(micros))
        .bind(row.directory_id)
        .bind(row.route)
        .bind(row.route_address)
        .bind(micros(now))
        .bind(revision)
        .bind(row.id)
        .bind(row.revision)
        .execute(&mut *tx)
        .await?;
        if saved.rows_affected() == 0 {
            return Err(RegistryError::Conflict);
        }
        self.commit(tx).await?;
        Ok(Tenant {
            revision: Revision(revision),
            updated_at: now,
            ..tenant.clone()
        })
    }

    async fn changes(&self, since: Since, limit: u32) -> Result<Vec<Change>, RegistryError> {
        // Of one moment: a change that is seen says that all before it are.
        let mut tx = self.pool.begin().await?;
        let tenants: Vec<Row> = sqlx::query_as(
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 route, route_address, status, purge_at, revision, created_at, updated_at
             from tenants where revision > ? order by revision limit ?",
        )
        .bind(since.followed.0)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        let keys: Vec<EventRow> = sqlx::query_as(
            "select revision, tenant_id, at, replica, kind, details
             from key_events where revision > ? order by revision limit ?",
        )
        .bind(since.keys_after().0)
        .bind(limit)
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
        let newest = sqlx::query_scalar(
            "select max(coalesce((select max(revision) from tenants), 0), coalesce((select max(revision) from key_events), 0))",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Revision(newest))
    }

    async fn remembers(&self, seen: &Mark) -> Result<bool, RegistryError> {
        let query = match seen.subject {
            Subject::Tenant => {
                "select exists (select 1 from tenants where id = ?1 and (revision > ?2 or revision = ?2 and updated_at = ?3))"
            }
            Subject::Key => {
                "select ?3 <= ?4 or exists (select 1 from key_events where tenant_id = ?1 and revision = ?2 and at = ?3)"
            }
        };
        let remembered = sqlx::query_scalar(query)
            .bind(seen.tenant.0)
            .bind(seen.revision.0)
            .bind(micros(seen.at))
            .bind(micros((self.clock)() - KeyEvent::KEPT))
            .fetch_one(&self.pool)
            .await?;
        Ok(remembered)
    }

    async fn purge(&self) -> Result<u64, RegistryError> {
        let now = (self.clock)();
        let mut tx = self.begin_change().await?;
        let due: Vec<Uuid> = sqlx::query_scalar("select id from tenants where status = 'deleting' and purge_at <= ?")
            .bind(micros(now))
            .fetch_all(&mut *tx)
            .await?;
        for id in &due {
            let revision = next_revision(&mut tx).await?;
            sqlx::query(
                "update tenants set status = 'purged', purge_at = null, updated_at = ?, revision = ? where id = ?",
            )
            .bind(micros(now))
            .bind(revision)
            .bind(id)
            .execute(&mut *tx)
            .await?;
            onboardings::wake(&mut tx, *id, now).await?;
        }
        sqlx::query("delete from idempotency_keys where created_at < ?")
            .bind(micros(now - Idempotency::KEPT))
            .execute(&mut *tx)
            .await?;
        // The newest stays, so that its revision is not given again. A bounded number a round: others wait for their turn.
        sqlx::query(
            "delete from key_events where revision in (
                 select revision from key_events where at <= ? and revision < (select max(revision) from key_events)
                 order by at limit ?)",
        )
        .bind(micros(now - KeyEvent::KEPT))
        .bind(KeyEvent::FORGOTTEN_AT_ONCE)
        .execute(&mut *tx)
        .await?;
        if due.is_empty() {
            tx.commit().await?;
        } else {
            self.commit(tx).await?;
            for id in &due {
                self.tell_onboarding(TenantId(*id));
            }
        }
        Ok(due.len() as u64)
    }

    async fn listen(&self, wake: Arc<Notify>) {
        loop {
            self.changed.notified().await;
            wake.notify_one();
        }
    }
}

/// Inserts a tenant; `Conflict` if its id was a tenant's before.
pub(super) async fn insert(tx: &mut Transaction<'static, Sqlite>, tenant: &Tenant) -> Result<Tenant, RegistryError> {
    let row = Row::from(tenant);
    let revision = next_revision(tx).await?;
    let inserted = sqlx::query(
        "insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
             cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
             route, route_address, status, purge_at, revision, created_at, updated_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (id) do nothing",
    )
    .bind(row.id)
    .bind(row.slug)
    .bind(row.display_name)
    .bind(row.directory_id)
    .bind(row.cloud)
    .bind(row.vault)
    .bind(row.key_name)
    .bind(row.key_version)
    .bind(row.former_keys.to_string())
    .bind(row.cache_ttl_seconds)
    .bind(row.lease_max_age_seconds)
    .bind(row.lease_max_messages)
    .bind(row.outage_grace_seconds)
    .bind(row.route)
    .bind(row.route_address)
    .bind(row.status)
    .bind(row.purge_at.map(micros))
    .bind(revision)
    .bind(micros(row.created_at))
    .bind(micros(row.updated_at))
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(RegistryError::Conflict);
    }
    Ok(Tenant {
        revision: Revision(revision),
        ..tenant.clone()
    })
}

async fn with_id(tx: &mut Transaction<'static, Sqlite>, id: Uuid) -> Result<Option<Tenant>, RegistryError> {
    let row: Option<Row> = sqlx::query_as(
        "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
             cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
             route, route_address, status, purge_at, revision, created_at, updated_at
         from tenants where id = ? and status <> 'purged'",
    )
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(Tenant::try_from).transpose()
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let time = |column: &str| from_micros(row.try_get(column)?);
        let purge_at: Option<i64> = row.try_get("purge_at")?;
        let former_keys: String = row.try_get("former_keys")?;
        Ok(Self {
            id: row.try_get("id")?,
            slug: row.try_get("slug")?,
            display_name: row.try_get("display_name")?,
            directory_id: row.try_get("directory_id")?,
            cloud: row.try_get("cloud")?,
            vault: row.try_get("vault")?,
            key_name: row.try_get("key_name")?,
            key_version: row.try_get("key_version")?,
            former_keys: serde_json::from_str(&former_keys).unwrap_or_default(),
            cache_ttl_seconds: row.try_get("cache_ttl_seconds")?,
            lease_max_age_seconds: row.try_get("lease_max_age_seconds")?,
            lease_max_messages: row.try_get("lease_max_messages")?,
            outage_grace_seconds: row.try_get("outage_grace_seconds")?,
            route: row.try_get("route")?,
            route_address: row.try_get("route_address")?,
            status: row.try_get("status")?,
            purge_at: purge_at.map(from_micros).transpose()?,
            revision: row.try_get("revision")?,
            created_at: time("created_at")?,
            updated_at: time("updated_at")?,
        })
    }
}

//! The store in SQLite: embedded, one process. Every line of its SQL is here.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    FromRow, Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow},
};
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    Clock,
    error::RegistryError,
    row::Row,
    store::{Change, Created, Idempotency, Mark, TenantStore},
    tenant::{Revision, Slug, Tenant},
};

/// The schema of SQLite, step by step.
static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Tenants in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    clock: Clock,
    changed: Arc<Notify>,
}

pub(crate) async fn migrate(options: SqliteConnectOptions) -> Result<(), RegistryError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await?;
    let done = MIGRATOR.run(&pool).await.map_err(RegistryError::Migration);
    pool.close().await;
    done
}

impl SqliteStore {
    /// A store that opens its file when it is first asked.
    #[must_use]
    pub fn connect_lazy(options: SqliteConnectOptions, clock: Clock) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Self {
            pool,
            clock,
            changed: Arc::new(Notify::new()),
        }
    }

    /// Begins a transaction that writes: it takes SQLite's one write lock at once, so that writers take turns and none
    /// fails half-way for having read before another wrote.
    async fn begin_change(&self) -> Result<Transaction<'static, Sqlite>, RegistryError> {
        Ok(self.pool.begin_with("begin immediate").await?)
    }

    async fn commit(&self, tx: Transaction<'static, Sqlite>) -> Result<(), RegistryError> {
        tx.commit().await?;
        self.changed.notify_one();
        Ok(())
    }
}

#[async_trait]
impl TenantStore for SqliteStore {
    async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError> {
        let mut tx = self.begin_change().await?;
        if let Some(idempotency) = idempotency
            && let Some(tenant) = replayed(&mut tx, idempotency, self.clock).await?
        {
            return Ok(Created { tenant, replayed: true });
        }
        let row = Row::from(tenant);
        let revision = next_revision(&mut tx).await?;
        sqlx::query(
            "insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
        .bind(row.status)
        .bind(row.purge_at.map(micros))
        .bind(revision)
        .bind(micros(row.created_at))
        .bind(micros(row.updated_at))
        .execute(&mut *tx)
        .await?;
        if let Some(idempotency) = idempotency {
            sqlx::query("insert into idempotency_keys (key, fingerprint, tenant_id, created_at) values (?, ?, ?, ?)")
                .bind(idempotency.key.as_str())
                .bind(idempotency.fingerprint.as_slice())
                .bind(row.id)
                .bind(micros((self.clock)()))
                .execute(&mut *tx)
                .await?;
        }
        self.commit(tx).await?;
        Ok(Created {
            tenant: Tenant {
                revision: Revision(revision),
                ..tenant.clone()
            },
            replayed: false,
        })
    }

    async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError> {
        let row: Option<Row> = sqlx::query_as(
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at
             from tenants where slug = ? and status <> 'purged'",
        )
        .bind(slug.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.map(Tenant::try_from).transpose()
    }

    async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at
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
                 status, purge_at, revision, created_at, updated_at
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
                 status = ?, purge_at = ?, directory_id = ?, updated_at = ?, revision = ?
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

    async fn changes(&self, after: Revision, limit: u32) -> Result<Vec<Change>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at
             from tenants where revision > ? order by revision limit ?",
        )
        .bind(after.0)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Row::into_change).collect())
    }

    async fn remembers(&self, seen: &Mark) -> Result<bool, RegistryError> {
        let remembered = sqlx::query_scalar(
            "select exists (select 1 from tenants where id = ?1 and (revision > ?2 or revision = ?2 and updated_at = ?3))",
        )
        .bind(seen.tenant.0)
        .bind(seen.revision.0)
        .bind(micros(seen.updated_at))
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
        }
        sqlx::query("delete from idempotency_keys where created_at < ?")
            .bind(micros(now - Idempotency::KEPT))
            .execute(&mut *tx)
            .await?;
        if due.is_empty() {
            tx.commit().await?;
        } else {
            self.commit(tx).await?;
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

/// Under the write lock nobody else can draw the same.
async fn next_revision(tx: &mut Transaction<'static, Sqlite>) -> Result<i64, RegistryError> {
    Ok(sqlx::query_scalar("select coalesce(max(revision), 0) + 1 from tenants")
        .fetch_one(&mut **tx)
        .await?)
}

async fn replayed(
    tx: &mut Transaction<'static, Sqlite>,
    idempotency: &Idempotency,
    clock: Clock,
) -> Result<Option<Tenant>, RegistryError> {
    sqlx::query("delete from idempotency_keys where key = ? and created_at < ?")
        .bind(idempotency.key.as_str())
        .bind(micros(clock() - Idempotency::KEPT))
        .execute(&mut **tx)
        .await?;
    let used: Option<(Vec<u8>, Uuid)> =
        sqlx::query_as("select fingerprint, tenant_id from idempotency_keys where key = ?")
            .bind(idempotency.key.as_str())
            .fetch_optional(&mut **tx)
            .await?;
    let Some((fingerprint, id)) = used else { return Ok(None) };
    if fingerprint != idempotency.fingerprint {
        return Err(RegistryError::IdempotencyMismatch);
    }
    let row: Option<Row> = sqlx::query_as(
        "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
             cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
             status, purge_at, revision, created_at, updated_at
         from tenants where id = ? and status <> 'purged'",
    )
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?;
    // Registered, and purged since: the same request is not that registration any more.
    row.ok_or(RegistryError::IdempotencyMismatch)?.try_into().map(Some)
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
            status: row.try_get("status")?,
            purge_at: purge_at.map(from_micros).transpose()?,
            revision: row.try_get("revision")?,
            created_at: time("created_at")?,
            updated_at: time("updated_at")?,
        })
    }
}

/// Microseconds since 1970: what Postgres keeps, too.
fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Result<OffsetDateTime, sqlx::Error> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

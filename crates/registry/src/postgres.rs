//! The store in Postgres: production. Every line of its SQL is here, checked against the schema when compiled (`.sqlx/`).

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Connection, PgConnection, PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::Notify;

use crate::{
    Clock,
    error::RegistryError,
    row::Row,
    store::{Change, Created, Idempotency, Mark, TenantStore},
    tenant::{Revision, Slug, Tenant},
};

/// The schema of Postgres, step by step.
static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Tenants in Postgres.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    clock: Clock,
}

pub(crate) async fn migrate(options: PgConnectOptions) -> Result<(), RegistryError> {
    // Of its own, without the statement timeout that requests have: a migration may take its time.
    let options = options.options([("statement_timeout", "0")]);
    // Nor a pool, which would try again until its time is up and then tell of the time only.
    let connecting = PgConnection::connect_with(&options);
    let connected = tokio::time::timeout(Duration::from_secs(30), connecting).await;
    let mut connection = connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))?;
    MIGRATOR.run(&mut connection).await.map_err(RegistryError::Migration)
}

impl PostgresStore {
    /// A store that connects when it is first asked, with at most ten connections; whoever waits longer than two seconds
    /// for one is told that the database does not answer.
    #[must_use]
    pub fn connect_lazy(options: PgConnectOptions, clock: Clock) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .acquire_timeout(Duration::from_secs(2))
            .connect_lazy_with(options);
        Self { pool, clock }
    }

    /// Begins a transaction that changes tenants. Writers take turns: a revision is drawn and committed before the next
    /// is drawn, so that whoever reads the feed up to a revision has seen all before it. Tenants change rarely.
    async fn begin_change(&self) -> Result<Transaction<'static, Postgres>, RegistryError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("select pg_advisory_xact_lock(hashtext('keyferry.tenants')) as \"lock!: ()\"")
            .fetch_one(&mut *tx)
            .await?;
        Ok(tx)
    }
}

#[async_trait]
impl TenantStore for PostgresStore {
    async fn create(&self, tenant: &Tenant, idempotency: Option<&Idempotency>) -> Result<Created, RegistryError> {
        let mut tx = self.begin_change().await?;
        if let Some(idempotency) = idempotency
            && let Some(tenant) = replayed(&mut tx, idempotency, self.clock).await?
        {
            return Ok(Created { tenant, replayed: true });
        }
        let row = Row::from(tenant);
        let revision = sqlx::query_scalar!(
            "insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, nextval('tenant_revisions'), $16, $17)
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
            row.status,
            row.purge_at,
            row.created_at,
            row.updated_at,
        )
        .fetch_one(&mut *tx)
        .await?;
        if let Some(idempotency) = idempotency {
            sqlx::query!(
                "insert into idempotency_keys (key, fingerprint, tenant_id, created_at) values ($1, $2, $3, $4)",
                idempotency.key.as_str(),
                &idempotency.fingerprint,
                row.id,
                (self.clock)(),
            )
            .execute(&mut *tx)
            .await?;
        }
        commit(tx).await?;
        Ok(Created {
            tenant: Tenant {
                revision: Revision(revision),
                ..tenant.clone()
            },
            replayed: false,
        })
    }

    async fn find(&self, slug: &Slug) -> Result<Option<Tenant>, RegistryError> {
        let row = sqlx::query_as!(
            Row,
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at
             from tenants where slug = $1 and status <> 'purged'",
            slug.as_str(),
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(Tenant::try_from).transpose()
    }

    async fn list(&self, after: Option<&Slug>, limit: u32) -> Result<Vec<Tenant>, RegistryError> {
        let rows = sqlx::query_as!(
            Row,
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at
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
                 status, purge_at, revision, created_at, updated_at
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
                 status = $12, purge_at = $13, directory_id = $14, updated_at = $15, revision = nextval('tenant_revisions')
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
            now,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let revision = Revision(revision.ok_or(RegistryError::Conflict)?);
        commit(tx).await?;
        Ok(Tenant {
            revision,
            updated_at: now,
            ..tenant.clone()
        })
    }

    async fn changes(&self, after: Revision, limit: u32) -> Result<Vec<Change>, RegistryError> {
        let rows = sqlx::query_as!(
            Row,
            "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
                 cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
                 status, purge_at, revision, created_at, updated_at
             from tenants where revision > $1 order by revision limit $2",
            after.0,
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Row::into_change).collect())
    }

    async fn remembers(&self, seen: &Mark) -> Result<bool, RegistryError> {
        let remembered = sqlx::query_scalar!(
            "select exists (select from tenants where id = $1 and (revision > $2 or revision = $2 and updated_at = $3))
                 as \"remembered!\"",
            seen.tenant.0,
            seen.revision.0,
            seen.updated_at,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(remembered)
    }

    async fn purge(&self) -> Result<u64, RegistryError> {
        let now = (self.clock)();
        let mut tx = self.begin_change().await?;
        let purged = sqlx::query!(
            "update tenants set status = 'purged', purge_at = null, updated_at = $1, revision = nextval('tenant_revisions')
             where status = 'deleting' and purge_at <= $1",
            now,
        )
        .execute(&mut *tx)
        .await?
        .rows_affected();
        sqlx::query!(
            "delete from idempotency_keys where created_at < $1",
            now - Idempotency::KEPT
        )
        .execute(&mut *tx)
        .await?;
        // Every replica purges every minute: one that finds nothing wakes nobody.
        if purged == 0 {
            tx.commit().await?;
        } else {
            commit(tx).await?;
        }
        Ok(purged)
    }

    async fn listen(&self, wake: Arc<Notify>) {
        let mut pause = LISTEN_RETRY;
        loop {
            let listened = async {
                let mut listener = PgListener::connect_with(&self.pool).await?;
                listener.listen(CHANNEL).await?;
                // What changed while nobody listened.
                wake.notify_one();
                pause = LISTEN_RETRY;
                loop {
                    // `None` says that the connection was lost and made again: something may have been missed.
                    listener.try_recv().await?;
                    wake.notify_one();
                }
            };
            let lost: Result<std::convert::Infallible, sqlx::Error> = listened.await;
            let Err(error) = lost;
            tracing::warn!(%error, "the registry's notifications are interrupted; polling goes on");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LISTEN_RETRY_MAX);
        }
    }
}

/// Tells the listeners in the same transaction that they will then read from, and commits.
async fn commit(mut tx: Transaction<'static, Postgres>) -> Result<(), RegistryError> {
    sqlx::query!("select pg_notify($1, '') as \"notified!: ()\"", CHANNEL)
        .fetch_one(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

async fn replayed(
    tx: &mut Transaction<'static, Postgres>,
    idempotency: &Idempotency,
    clock: Clock,
) -> Result<Option<Tenant>, RegistryError> {
    let oldest = clock() - Idempotency::KEPT;
    sqlx::query!(
        "delete from idempotency_keys where key = $1 and created_at < $2",
        idempotency.key.as_str(),
        oldest
    )
    .execute(&mut **tx)
    .await?;
    let Some(used) = sqlx::query!(
        "select fingerprint, tenant_id from idempotency_keys where key = $1",
        idempotency.key.as_str()
    )
    .fetch_optional(&mut **tx)
    .await?
    else {
        return Ok(None);
    };
    if used.fingerprint != idempotency.fingerprint {
        return Err(RegistryError::IdempotencyMismatch);
    }
    let row = sqlx::query_as!(
        Row,
        "select id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
             cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
             status, purge_at, revision, created_at, updated_at
         from tenants where id = $1 and status <> 'purged'",
        used.tenant_id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    // Registered, and purged since: the same request is not that registration any more.
    row.ok_or(RegistryError::IdempotencyMismatch)?.try_into().map(Some)
}

const CHANNEL: &str = "keyferry_tenants";
const LISTEN_RETRY: Duration = Duration::from_millis(250);
const LISTEN_RETRY_MAX: Duration = Duration::from_secs(10);

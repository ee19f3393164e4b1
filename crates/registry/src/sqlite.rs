//! The store in SQLite: embedded, one process. Every line of its SQL is here and in the modules below.

mod idempotency;
mod keys;
mod onboardings;
mod tenants;

use std::{sync::Arc, time::Duration};

use keyferry_crypto::id::TenantId;
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use time::OffsetDateTime;
use tokio::sync::{Notify, broadcast};

use crate::{
    Clock,
    error::RegistryError,
    store::{ONBOARDING_CHANGES_KEPT, Store},
};

/// The schema of SQLite, step by step.
static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Tenants and onboardings in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    clock: Clock,
    changed: Arc<Notify>,
    onboardings: broadcast::Sender<TenantId>,
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
            onboardings: broadcast::channel(ONBOARDING_CHANGES_KEPT).0,
        }
    }

    /// Begins a transaction that writes: it takes SQLite's one write lock at once, so that writers take turns and none
    /// fails half-way for having read before another wrote.
    async fn begin_change(&self) -> Result<Transaction<'static, Sqlite>, RegistryError> {
        Ok(self.pool.begin_with("begin immediate").await?)
    }

    /// Commits a change of tenants, and tells of it.
    async fn commit(&self, tx: Transaction<'static, Sqlite>) -> Result<(), RegistryError> {
        tx.commit().await?;
        self.changed.notify_one();
        Ok(())
    }

    /// Tells of an onboarding's change.
    fn tell_onboarding(&self, tenant: TenantId) {
        // Nobody may be listening.
        let _ = self.onboardings.send(tenant);
    }
}

impl Store for SqliteStore {
    fn onboarding_changes(&self) -> broadcast::Receiver<TenantId> {
        self.onboardings.subscribe()
    }
}

/// Under the write lock nobody else can draw the same.
async fn next_revision(tx: &mut Transaction<'static, Sqlite>) -> Result<i64, RegistryError> {
    Ok(sqlx::query_scalar(
        "select max(coalesce((select max(revision) from tenants), 0),
             coalesce((select max(revision) from onboardings), 0), coalesce((select max(revision) from key_events), 0)) + 1",
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Microseconds since 1970: what Postgres keeps, too.
fn micros(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Result<OffsetDateTime, sqlx::Error> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .map_err(|error| sqlx::Error::Decode(error.into()))
}

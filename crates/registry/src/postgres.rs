//! The store in Postgres: production. Every line of its SQL is here and in the modules below, checked against the schema when
//! compiled (`.sqlx/`).

mod feed;
mod idempotency;
mod keys;
mod onboardings;
mod tenants;

use std::{io, time::Duration};

use keyferry_crypto::id::TenantId;
use sqlx::{
    Connection, PgConnection, PgPool, Postgres, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions, types::PgInterval},
};
use tokio::sync::broadcast;

use crate::{
    Clock,
    error::RegistryError,
    store::{ONBOARDING_CHANGES_KEPT, Store},
};

/// The schema of Postgres, step by step.
static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Tenants and onboardings in Postgres.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    clock: Clock,
    onboardings: broadcast::Sender<TenantId>,
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
        let onboardings = broadcast::channel(ONBOARDING_CHANGES_KEPT).0;
        Self {
            pool,
            clock,
            onboardings,
        }
    }

    /// Begins a transaction that changes tenants or onboardings, or tells of keys. Writers take turns: a revision is drawn and committed before
    /// the next is drawn, so that whoever reads the feed up to a revision has seen all before it; and who finds a slug free
    /// has it. All of these are rare.
    async fn begin_change(&self) -> Result<Transaction<'static, Postgres>, RegistryError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("select pg_advisory_xact_lock(hashtext('keyferry.tenants')) as \"lock!: ()\"")
            .fetch_one(&mut *tx)
            .await?;
        Ok(tx)
    }
}

/// A span as Postgres has it, down to microseconds.
fn interval(span: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(span.as_micros()).unwrap_or(i64::MAX),
    }
}

impl Store for PostgresStore {
    fn onboarding_changes(&self) -> broadcast::Receiver<TenantId> {
        self.onboardings.subscribe()
    }
}

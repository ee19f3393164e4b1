//! Databases of their own for each test, the stores on them, and a clock that stands.

use std::{io::Write, sync::Arc};

use keyferry_registry::{DatabaseUrl, Store, TenantStore, connect, migrate};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqliteConnection,
    migrate::{MigrateError, Migrator},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// The clock of every store here: it stands at [`at`] zero.
pub fn clock() -> OffsetDateTime {
    at(0)
}

/// So many seconds after the beginning of this file's time.
pub fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time") + Duration::seconds(seconds)
}

/// A SQLite store, and the directory that it lives in.
pub async fn sqlite() -> (Arc<dyn TenantStore>, tempfile::TempDir) {
    let (url, dir) = empty_sqlite();
    (open(&url).await, dir)
}

/// A Postgres store in a database of its own, if there is a server.
pub async fn postgres() -> Option<Arc<dyn TenantStore>> {
    Some(open(&empty_postgres().await?).await)
}

/// Where a SQLite database may be made, and the directory that it is to live in.
pub fn empty_sqlite() -> (String, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    (format!("sqlite:{}", dir.path().join("registry.db").display()), dir)
}

/// A database of its own without any table, if there is a server.
pub async fn empty_postgres() -> Option<String> {
    let Ok(server) = std::env::var("KEYFERRY_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("KEYFERRY_REQUIRE_ALL").is_none(),
            "KEYFERRY_TEST_POSTGRES is required, and not set"
        );
        // Past the capture of a test's output, which would hide it as long as the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no Postgres (KEYFERRY_TEST_POSTGRES is not set)"
        );
        return None;
    };
    let database = format!("registry_{}", Uuid::now_v7().simple());
    let mut admin = Raw::connect(&server).await;
    admin
        .execute(&format!("create database {database}"))
        .await
        .expect("a database");
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    Some(format!("{base}/{database}"))
}

/// The store of tenants on a database, which is brought to the current schema first.
pub async fn open(url: &str) -> Arc<dyn TenantStore> {
    open_whole(url).await
}

/// The same, as the store of all that there is.
pub async fn open_whole(url: &str) -> Arc<dyn Store> {
    let owner: DatabaseUrl = url.parse().expect("a URL");
    migrate(&owner).await.expect("migrated");
    migrate(&owner).await.expect("migrating again changes nothing");
    let user = match &owner {
        DatabaseUrl::Postgres(_) => as_service(url).await,
        DatabaseUrl::Sqlite(_) => owner,
    };
    connect(&user, clock).expect("a store")
}

/// The same Postgres database as a user who has the rights that `docs/registry.md` says the service needs, and no other.
async fn as_service(url: &str) -> DatabaseUrl {
    let mut raw = Raw::connect(url).await;
    raw.execute(RIGHTS).await.expect("granted");
    format!("{url}?options=-c%20role%3Dkeyferry_service")
        .parse()
        .expect("a URL")
}

/// The user is all databases' of the server: tests make it at the same time.
const RIGHTS: &str = "
do $$ begin
    create role keyferry_service;
exception when duplicate_object or unique_violation then null;
end $$;
grant select, insert, update on tenants, onboardings to keyferry_service;
grant select, insert on onboarding_events, key_acknowledgements to keyferry_service;
grant select, insert, delete on idempotency_keys, key_events to keyferry_service;
grant select, update on key_health to keyferry_service;
grant select, insert, update, delete on replicas to keyferry_service;
grant usage on sequence tenant_revisions to keyferry_service;
";

/// Runs each promise on a database of its own of each kind, which it is given the URL of.
macro_rules! on_each_database {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite { $(#[tokio::test] async fn $promise() {
            let (url, _held) = crate::stores::empty_sqlite();
            super::$promise(&url).await;
        })* }
        mod on_postgres { $(#[tokio::test] async fn $promise() {
            if let Some(url) = crate::stores::empty_postgres().await { super::$promise(&url).await; }
        })* }
    };
}
pub(crate) use on_each_database;

/// A hand on the database, past the store.
pub enum Raw {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Raw {
    pub async fn connect(url: &str) -> Self {
        let url: DatabaseUrl = url.parse().expect("a URL");
        match url {
            DatabaseUrl::Postgres(options) => {
                // Many rows at once take longer than a request may.
                let options = options.options([("statement_timeout", "0")]);
                Self::Postgres(PgConnection::connect_with(&options).await.expect("the server answers"))
            }
            DatabaseUrl::Sqlite(options) => {
                Self::Sqlite(SqliteConnection::connect_with(&options).await.expect("the file opens"))
            }
        }
    }

    /// Runs statements.
    pub async fn execute(&mut self, statements: &str) -> Result<(), sqlx::Error> {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        match self {
            Self::Postgres(connection) => statements.execute(connection).await.map(drop),
            Self::Sqlite(connection) => statements.execute(connection).await.map(drop),
        }
    }

    /// A query's rows of one text each.
    pub async fn texts(&mut self, query: &str) -> Vec<String> {
        let query = AssertSqlSafe(query.to_owned());
        let texts = match self {
            Self::Postgres(connection) => sqlx::query_scalar(query).fetch_all(connection).await,
            Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_all(connection).await,
        };
        texts.expect("the query is answered")
    }

    /// So many more tenants, `t1`, `t2` and so on, like the one that is there.
    pub async fn multiply(&mut self, count: u32) {
        let (id, numbers, drawn) = match self {
            Self::Postgres(_) => (
                "gen_random_uuid()",
                format!("generate_series(1, {count}) as numbers (n)"),
                "select setval('tenant_revisions', (select max(revision) from tenants))",
            ),
            Self::Sqlite(_) => (
                "randomblob(16)",
                format!(
                    "(with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {count}) select n from numbers)"
                ),
                "select 1",
            ),
        };
        let columns = "display_name, directory_id, cloud, vault, key_name, cache_ttl_seconds, lease_max_age_seconds,
                       lease_max_messages, outage_grace_seconds, status, created_at, updated_at";
        self.execute(&format!(
            "insert into tenants (id, slug, revision, {columns})
             select {id}, 't' || n, (select max(revision) from tenants) + n, {columns} from tenants, {numbers}; {drawn}"
        ))
        .await
        .expect("multiplied");
    }

    /// Migrates up to a version and no further.
    pub async fn migrate_to(&mut self, version: i64, migrations: &Migrator) -> Result<(), MigrateError> {
        match self {
            Self::Postgres(connection) => migrations.run_to(version, connection).await,
            Self::Sqlite(connection) => migrations.run_to(version, connection).await,
        }
    }
}

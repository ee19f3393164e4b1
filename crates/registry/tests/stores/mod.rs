//! Stores of their own for each test, and a clock that stands.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use keyferry_registry::{DatabaseUrl, TenantStore, connect, migrate};
use sqlx::{Connection, PgConnection};
use time::{Duration, OffsetDateTime};

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
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", dir.path().join("registry.db").display());
    (open(&url).await, dir)
}

/// A Postgres store in a database of its own, if there is a server.
pub async fn postgres() -> Option<Arc<dyn TenantStore>> {
    let Ok(server) = std::env::var("KEYFERRY_TEST_POSTGRES") else {
        assert!(
            std::env::var_os("KEYFERRY_REQUIRE_ALL").is_none(),
            "KEYFERRY_TEST_POSTGRES is required, and not set"
        );
        eprintln!("SKIPPED: no Postgres (KEYFERRY_TEST_POSTGRES is not set)");
        return None;
    };
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let database = format!(
        "contract_{}_{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let mut admin = PgConnection::connect(&server).await.expect("the server answers");
    let create = sqlx::AssertSqlSafe(format!("create database {database}"));
    sqlx::query(create).execute(&mut admin).await.expect("a database");
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    Some(open(&format!("{base}/{database}")).await)
}

async fn open(url: &str) -> Arc<dyn TenantStore> {
    let url: DatabaseUrl = url.parse().expect("a URL");
    migrate(&url).await.expect("migrated");
    migrate(&url).await.expect("migrating again changes nothing");
    connect(&url, clock).expect("a store")
}

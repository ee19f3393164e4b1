//! The queries were checked against what is kept of them in `.sqlx/`; that is as good as it is fresh.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqlSafeStr};

use crate::stores::{empty_postgres, open};

const SOURCES: [&str; 11] = [
    include_str!("../../src/postgres.rs"),
    include_str!("../../src/postgres/feed.rs"),
    include_str!("../../src/postgres/idempotency.rs"),
    include_str!("../../src/postgres/keys/claiming.rs"),
    include_str!("../../src/postgres/keys/history.rs"),
    include_str!("../../src/postgres/keys/replicas.rs"),
    include_str!("../../src/postgres/keys/saving.rs"),
    include_str!("../../src/postgres/keys/telling.rs"),
    include_str!("../../src/postgres/keys/wanting.rs"),
    include_str!("../../src/postgres/onboardings.rs"),
    include_str!("../../src/postgres/tenants.rs"),
];

/// While it is upgraded, replicas of both releases run on the schema of the newer one. `tests/release-before` is that release's
/// `.sqlx/`, copied when this one's first migration was made.
#[tokio::test]
async fn whatever_the_release_before_asks_is_answered_as_it_was_then() {
    let Some(url) = empty_postgres().await else { return };
    open(&url).await;
    let mut postgres = PgConnection::connect(&url).await.expect("the server answers");
    let kept = kept_in("tests/release-before");
    assert!(!kept.is_empty());
    for (path, kept) in kept {
        is_answered_alike(&mut postgres, &path, &kept).await;
    }
}

#[tokio::test]
async fn what_is_kept_of_the_queries_is_what_postgres_says_of_them_today() {
    let Some(url) = empty_postgres().await else { return };
    open(&url).await;
    let mut postgres = PgConnection::connect(&url).await.expect("the server answers");
    let source = SOURCES.concat().replace("\\\"", "\"");
    for (path, kept) in kept_in("../../.sqlx") {
        let query = kept["query"].as_str().expect("a query");
        assert!(
            source.contains(query),
            "{} is of no query any more; see docs/testing.md",
            path.display()
        );
        is_answered_alike(&mut postgres, &path, &kept).await;
    }
}

/// What is kept of the queries in a folder.
fn kept_in(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).expect("what is kept");
    let paths = files.map(|file| file.expect("an entry").path());
    paths
        .map(|path| {
            let kept = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
            (path, kept)
        })
        .collect()
}

async fn is_answered_alike(postgres: &mut PgConnection, path: &Path, kept: &Value) {
    let query = kept["query"].as_str().expect("a query");
    let said = postgres.describe(AssertSqlSafe(query).into_sql_str()).await;
    let said = json!(said.expect("Postgres takes the query"));
    assert_eq!(said, kept["describe"], "{}; see docs/testing.md", path.display());
}

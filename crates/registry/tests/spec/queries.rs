//! The queries were checked against what is kept of them in `.sqlx/`; that is as good as it is fresh.

use std::path::Path;

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

#[tokio::test]
async fn what_is_kept_of_the_queries_is_what_postgres_says_of_them_today() {
    let Some(url) = empty_postgres().await else { return };
    open(&url).await;
    let mut postgres = PgConnection::connect(&url).await.expect("the server answers");
    let source = SOURCES.concat().replace("\\\"", "\"");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    for file in std::fs::read_dir(kept).expect("what is kept") {
        let path = file.expect("an entry").path();
        let kept: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
        let query = kept["query"].as_str().expect("a query");
        assert!(
            source.contains(query),
            "{} is of no query any more; see docs/testing.md",
            path.display()
        );
        let said = postgres.describe(AssertSqlSafe(query).into_sql_str()).await;
        let said = json!(said.expect("Postgres takes the query"));
        assert_eq!(said, kept["describe"], "{}; see docs/testing.md", path.display());
    }
}

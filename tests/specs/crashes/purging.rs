//! A process dies while it purges tenants.

use keyferry_tests::{Database, Keyferry, World, eventually};
use sqlx::{Connection, PgConnection};
use tokio::task::spawn_blocking;

/// Tenants that are due at once: purging them takes long enough to be met.
const DUE: i64 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_a_kill_meets_happened_whole_or_not_at_all() {
    for database in Database::each().await {
        let mut world = World::new(database).await;
        world.extra = "[admin]\ndeletion_window_seconds = 0\n".into();
        let keyferry = world.start().await;
        let acme = world.tenant(&keyferry, "acme", None).await;
        let admin = world.admin(&keyferry);
        let deleted = admin.get("acme").await.unwrap();
        let deleted = admin.delete(&deleted).await.unwrap();
        keyferry.kill();
        world.database.execute(&like_acme(&world.database)).await;

        killed_while_it_purges(&world).await;
        assert_eq!(purged(&world.database).await, 0, "nothing is half done");
        let revisions = format!(
            "select count(*) from tenants where revision between {0} and {0} + {DUE}",
            deleted.revision
        );
        assert_eq!(world.database.number(&revisions).await, DUE + 1);

        let keyferry = world.start().await;
        eventually("all are purged", async || purged(&world.database).await == DUE + 1).await;
        let admin = world.admin(&keyferry);
        assert!(admin.list(None, 1).await.unwrap().tenants.is_empty());
        let next = admin.create(&acme.registration(None), None).await.unwrap();
        assert_ne!(next.id, deleted.id, "the slug is free");
    }
}

async fn purged(database: &Database) -> i64 {
    let purged = "select count(*) from tenants where status = 'purged' and purge_at is null";
    database.number(purged).await
}

/// Starts a process and kills it while its purge is under way.
async fn killed_while_it_purges(world: &World) {
    let config = world.write_config();
    match &world.database {
        Database::Postgres(url) => {
            // The last of the rows is held: the purge has changed others by then.
            let mut held = PgConnection::connect(url).await.unwrap();
            let mut held = held.begin().await.unwrap();
            let last = "select 1 from tenants order by revision desc limit 1 for update";
            sqlx::query(last).execute(&mut *held).await.unwrap();
            let keyferry = spawn_blocking(move || Keyferry::start(&config)).await.unwrap();
            let mut observer = PgConnection::connect(url).await.unwrap();
            let mut count = async |condition: &str| {
                let query =
                    format!("select count(*) from pg_stat_activity where datname = current_database() and {condition}");
                let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
                    .fetch_one(&mut observer)
                    .await
                    .unwrap();
                count
            };
            eventually("it purges", async || {
                count("wait_event_type = 'Lock' and query like 'update tenants set status%'").await == 1
            })
            .await;
            keyferry.kill();
            held.rollback().await.unwrap();
            eventually("the server has let go of it", async || {
                count("application_name = 'keyferry'").await == 0
            })
            .await;
        }
        Database::Sqlite(dir) => {
            // More is changed than SQLite keeps in memory: it writes to its log long before it can commit. Nobody else writes,
            // and the log is empty.
            let log = dir.path().join("registry.db-wal");
            let written = || std::fs::metadata(&log).map_or(0, |log| log.len());
            assert_eq!(written(), 0);
            let keyferry = spawn_blocking(move || Keyferry::start(&config)).await.unwrap();
            eventually("it purges", async || written() > 1 << 20).await;
            keyferry.kill();
        }
    }
}

/// Writes tenants that are due as `acme` is, and as large as can be.
fn like_acme(database: &Database) -> String {
    let (id, numbers, drawn) = match database {
        Database::Postgres(_) => (
            "gen_random_uuid()",
            format!("generate_series(1, {DUE}) as numbers (n)"),
            "select setval('tenant_revisions', (select max(revision) from tenants))",
        ),
        Database::Sqlite(_) => (
            "randomblob(16)",
            format!(
                "(with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < {DUE})
                  select n from numbers)"
            ),
            "select 1",
        ),
    };
    let former = serde_json::json!({"vault": "acme.vault.azure.net", "name": "k".repeat(127)});
    let former = serde_json::Value::from(vec![former; 16]);
    let columns = "display_name, directory_id, cloud, vault, key_name, cache_ttl_seconds, lease_max_age_seconds,
                   lease_max_messages, outage_grace_seconds, status, purge_at, created_at, updated_at";
    format!(
        "insert into tenants (id, slug, revision, former_keys, {columns})
         select {id}, 't' || n, revision + n, '{former}', {columns} from tenants, {numbers}; {drawn}"
    )
}

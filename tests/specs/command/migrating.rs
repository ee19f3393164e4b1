//! `keyferry migrate` says what the database said, and ends with 4 only where another try may help.

use keyferry_tests::Database;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use super::run;

fn migrate(url: &str) -> (i32, String) {
    let (code, _, error) = run(&["migrate", "--url", url]);
    assert!(!error.contains("planted-secret"), "{error}");
    (code, error)
}

#[test]
fn a_database_that_does_not_answer_is_unavailable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (code, error) = migrate(&format!("postgres://keyferry:planted-secret@{closed}/keyferry"));
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("Connection refused"), "{error}");
}

#[test]
fn what_stays_wrong_has_failed() {
    let (code, error) = migrate("sqlite:/nowhere/registry.db");
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("unable to open database file"), "{error}");
    let (code, error) = migrate("mysql://keyferry:planted-secret@localhost/keyferry");
    assert_eq!(code, 2, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_versions_schema_is_left_alone() {
    let database = Database::sqlite();
    let url = database.url();
    assert_eq!(migrate(&url).0, 0);
    let options: SqliteConnectOptions = url.parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                 values (9999, 'of a later version', true, x'00', 0)";
    sqlx::query(later).execute(&mut connection).await.unwrap();
    let (code, error) = migrate(&url);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("migration 9999 was previously applied"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_there_is_no_passing_failure() {
    let Some(Database::Postgres(url)) = Database::postgres().await else {
        return;
    };
    let (code, error) = migrate(&format!("{url}_of_nobody"));
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("does not exist"), "{error}");
}

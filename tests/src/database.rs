//! A database of its own for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use tempfile::TempDir;

use crate::needs;

/// Where a registry lives.
pub enum Database {
    /// A SQLite file, and the directory that goes with it.
    Sqlite(TempDir),
    /// A Postgres database, by its URL.
    Postgres(String),
}

impl Database {
    /// A new SQLite file.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A new Postgres database, if there is a server.
    pub async fn postgres() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = needs("KEYFERRY_TEST_POSTGRES", "Postgres")?;
        let name = format!("spec_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::query(create).execute(&mut admin).await.unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        Some(Self::Postgres(format!("{base}/{name}")))
    }

    /// Both kinds, as far as they can be had.
    pub async fn each() -> Vec<Self> {
        let mut all = vec![Self::sqlite()];
        all.extend(Self::postgres().await);
        all
    }

    /// Its URL, as the configuration wants it.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite:{}", dir.path().join("registry.db").display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Runs statements, past the service.
    pub async fn execute(&self, statements: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        match self {
            Self::Sqlite(_) => {
                let mut hand = SqliteConnection::connect(&self.url()).await.unwrap();
                statements.execute(&mut hand).await.unwrap();
                // Not only dropped: the file's locks are given back when this returns.
                hand.close().await.unwrap();
            }
            Self::Postgres(url) => {
                let mut hand = PgConnection::connect(url).await.unwrap();
                statements.execute(&mut hand).await.unwrap();
            }
        }
    }

    /// A query's one number.
    pub async fn number(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(query.to_owned());
        match self {
            Self::Sqlite(_) => {
                let mut hand = SqliteConnection::connect(&self.url()).await.unwrap();
                let number = sqlx::query_scalar(query).fetch_one(&mut hand).await.unwrap();
                hand.close().await.unwrap();
                number
            }
            Self::Postgres(url) => {
                let mut hand = PgConnection::connect(url).await.unwrap();
                sqlx::query_scalar(query).fetch_one(&mut hand).await.unwrap()
            }
        }
    }

    /// Everything in it: the files' bytes, or every row of every table as text.
    pub async fn dump(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(dir) => {
                let files = std::fs::read_dir(dir.path()).unwrap();
                files
                    .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
                    .collect()
            }
            Self::Postgres(url) => rows(url).await.into_bytes(),
        }
    }
}

async fn rows(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')";
    let tables = sqlx::query(tables).fetch_all(&mut connection).await.unwrap();
    let mut dump = String::new();
    for table in tables {
        let table: String = table.get(0);
        let all = AssertSqlSafe(format!("select t::text from {table} t"));
        for row in sqlx::query(all).fetch_all(&mut connection).await.unwrap() {
            dump.push_str(&row.get::<String, _>(0));
            dump.push('\n');
        }
    }
    dump
}

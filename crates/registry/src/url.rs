//! Where the registry is. The URL may hold a password, so it is parsed at once and never shown.

use std::{fmt, str::FromStr, time::Duration};

use sqlx::{
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

/// `postgres://user:password@host/database` or `sqlite:path`.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// Postgres.
    Postgres(PgConnectOptions),
    /// SQLite, embedded.
    Sqlite(SqliteConnectOptions),
}

/// Not a database URL. Does not repeat it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a database URL: expected postgres://user:password@host/database or sqlite:path")]
pub struct DatabaseUrlError;

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(text).map_err(|_| DatabaseUrlError)?;
            return Ok(Self::Postgres(options.application_name("keyferry").options([
                ("statement_timeout", "5s"),
                ("lock_timeout", "5s"),
                ("idle_in_transaction_session_timeout", "10s"),
            ])));
        }
        if !text.starts_with("sqlite:") {
            return Err(DatabaseUrlError);
        }
        let options = SqliteConnectOptions::from_str(text).map_err(|_| DatabaseUrlError)?;
        // FULL: what was acknowledged survives a power cut, not only a kill.
        Ok(Self::Sqlite(
            options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(5)),
        ))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres(_) => "DatabaseUrl(postgres)",
            Self::Sqlite(_) => "DatabaseUrl(sqlite)",
        })
    }
}

//! What can go wrong with the registry.

use sqlx::migrate::MigrateError;

/// Why the registry did not do as asked. `Display` is for a caller; the database's own words are the `source`.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The database does not answer. Nothing was changed, or it is not known to have been.
    #[error("the tenant registry's database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// The database answers, but has no schema, or an older one than this version's.
    #[error("the tenant registry's database has not this version's schema: run `keyferry migrate`")]
    NotMigrated(#[source] sqlx::Error),
    /// Someone else changed the tenant or the onboarding since it was read, or had its id before.
    #[error("it was changed in the meantime")]
    Conflict,
    /// The slug is another tenant's, or that of an onboarding that is not closed.
    #[error("the slug is taken")]
    SlugTaken,
    /// The idempotency key came before, with another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// A row that cannot be what it should: somebody's hand was on the database, or a later release's.
    #[error("the tenant registry holds a row that cannot be read")]
    Corrupt(&'static str),
    /// The schema could not be brought up to date.
    #[error("the tenant registry's schema could not be migrated")]
    Migration(#[source] MigrateError),
}

impl RegistryError {
    /// Whether another try may help with nothing else changed: the database was away, starting, busy or full. A wrong
    /// password, a missing database or a schema that does not fit stays wrong.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(error)
            | Self::Migration(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                is_passing(error)
            }
            Self::Conflict => true,
            Self::NotMigrated(_)
            | Self::SlugTaken
            | Self::IdempotencyMismatch
            | Self::Corrupt(_)
            | Self::Migration(_) => false,
        }
    }
}

impl From<sqlx::Error> for RegistryError {
    /// What is not a unique slug is the database's failure. Constraint names are the same in both stores.
    fn from(error: sqlx::Error) -> Self {
        if is_of_a_slug(&error) {
            Self::SlugTaken
        } else if lacks_schema(&error) {
            Self::NotMigrated(error)
        } else {
            Self::Unavailable(error)
        }
    }
}

/// Whether a slug is taken. Postgres has the constraint's name, SQLite the columns' in words; triggers say the same as indexes.
fn is_of_a_slug(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        let named = matches!(error.constraint(), Some("tenants_slug" | "onboardings_slug"));
        let told = ["tenants.slug", "onboardings.slug"]
            .iter()
            .any(|column| error.message() == format!("UNIQUE constraint failed: {column}"));
        error.is_unique_violation() && named || told
    })
}

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_code(&code)),
        _ => false,
    }
}

/// Postgres has codes of five characters, whose first two are their class; SQLite has numbers, whose low byte is theirs.
fn is_passing_code(code: &str) -> bool {
    if code.len() == 5 {
        // Connection exceptions, transaction rollback, insufficient resources, operator intervention; a lock not to be had.
        return ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03";
    }
    // Busy, or locked.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether a statement named a table or a column that is not there: Postgres says so by code (`undefined_table`,
/// `undefined_column`), SQLite in words only.
fn lacks_schema(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        let code = error.code();
        matches!(code.as_deref(), Some("42P01" | "42703"))
            || ["no such table", "no such column"]
                .iter()
                .any(|words| error.message().starts_with(words))
    })
}

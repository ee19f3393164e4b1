//! What can go wrong with the registry.

/// Why the registry did not do as asked. `Display` is for a caller; the database's own words are the `source`.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The database does not answer. Nothing was changed, or it is not known to have been.
    #[error("the tenant registry's database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// The database answers, but has no schema, or an older one than this version's.
    #[error("the tenant registry's database has not this version's schema: run `keyferry migrate`")]
    NotMigrated(#[source] sqlx::Error),
    /// Someone else changed the tenant since it was read.
    #[error("the tenant was changed in the meantime")]
    Conflict,
    /// The slug is another tenant's.
    #[error("the slug is taken")]
    SlugTaken,
    /// The idempotency key came before, with another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// A row that cannot be a tenant: somebody's hand was on the database.
    #[error("the tenant registry holds a row that is no tenant")]
    Corrupt(&'static str),
    /// The schema could not be brought up to date.
    #[error("the tenant registry's schema could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for RegistryError {
    /// What is not a unique slug is the database's failure. Constraint names are the same in both stores.
    fn from(error: sqlx::Error) -> Self {
        let slug = error.as_database_error().is_some_and(|error| {
            error.is_unique_violation()
                && (error.constraint() == Some("tenants_slug") || error.message().contains("tenants.slug"))
        });
        if slug {
            Self::SlugTaken
        } else if lacks_schema(&error) {
            Self::NotMigrated(error)
        } else {
            Self::Unavailable(error)
        }
    }
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

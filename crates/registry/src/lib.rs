//! Tenants, customers on their way to being tenants, and how tenants' keys are, kept in Postgres or SQLite.
//!
//! [`Tenant`] and [`Onboarding`] are loaded and saved whole; a key's health is saved by the one replica that looks after it
//! ([`key`]). A [`Store`] keeps them; there are two, held to one suite of tests. The [`Registry`] stands before a store with a
//! bounded view in memory that follows the store's change feed, so that the hot path asks no database, and known tenants keep
//! working while the database is down.

mod error;
pub mod key;
pub mod onboarding;
mod patience;
mod postgres;
mod row;
mod sqlite;
mod store;
pub mod tenant;
mod url;
mod view;

use std::sync::Arc;

pub use self::{
    error::RegistryError,
    key::KeyStore,
    onboarding::{Onboarding, OnboardingStore},
    postgres::PostgresStore,
    sqlite::SqliteStore,
    store::{
        Change, Created, Idempotency, IdempotencyKey, KeyChange, Mark, Since, Store, Subject, TenantChange, TenantStore,
    },
    tenant::{ChangeError, DisplayName, NameError, NewTenant, Revision, Slug, Tenant, TenantStatus},
    url::{DatabaseUrl, DatabaseUrlError},
    view::{Changed, Registry, RegistryLimits, RegistryStats},
};

/// The wall clock, passed in so that a test can turn it.
pub type Clock = fn() -> time::OffsetDateTime;

/// Opens the store that `url` names. Nothing is connected yet: a service may start before its database.
pub fn connect(url: &DatabaseUrl, clock: Clock) -> Result<Arc<dyn Store>, RegistryError> {
    Ok(match url {
        DatabaseUrl::Postgres(options) => Arc::new(PostgresStore::connect_lazy(options.clone(), clock)),
        DatabaseUrl::Sqlite(options) => Arc::new(SqliteStore::connect_lazy(options.clone(), clock)),
    })
}

/// Brings a database to the current schema. Running it again changes nothing.
pub async fn migrate(url: &DatabaseUrl) -> Result<(), RegistryError> {
    match url {
        DatabaseUrl::Postgres(options) => postgres::migrate(options.clone()).await,
        DatabaseUrl::Sqlite(options) => sqlite::migrate(options.clone()).await,
    }
}

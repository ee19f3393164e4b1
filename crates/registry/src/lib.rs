//! Tenants, kept in Postgres or SQLite.

pub mod tenant;

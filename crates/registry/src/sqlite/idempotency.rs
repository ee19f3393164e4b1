//! Idempotency keys in SQLite.

use keyferry_crypto::id::TenantId;
use sqlx::{Sqlite, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::micros;
use crate::{
    error::RegistryError,
    store::{Idempotency, Purpose},
};

/// What the same request made before, by its id; nothing if the key is new.
pub(super) async fn used(
    tx: &mut Transaction<'static, Sqlite>,
    idempotency: &Idempotency,
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Option<Uuid>, RegistryError> {
    sqlx::query("delete from idempotency_keys where key = ? and created_at < ?")
        .bind(idempotency.key.as_str())
        .bind(micros(now - Idempotency::KEPT))
        .execute(&mut **tx)
        .await?;
    let used: Option<(Vec<u8>, String, Uuid)> =
        sqlx::query_as("select fingerprint, kind, tenant_id from idempotency_keys where key = ?")
            .bind(idempotency.key.as_str())
            .fetch_optional(&mut **tx)
            .await?;
    match used {
        None => Ok(None),
        Some((fingerprint, kind, made)) if fingerprint == idempotency.fingerprint && kind == purpose.name() => {
            Ok(Some(made))
        }
        Some(_) => Err(RegistryError::IdempotencyMismatch),
    }
}

/// Keeps what a request made.
pub(super) async fn keep(
    tx: &mut Transaction<'static, Sqlite>,
    idempotency: &Idempotency,
    purpose: Purpose,
    made: TenantId,
    now: OffsetDateTime,
) -> Result<(), RegistryError> {
    sqlx::query("insert into idempotency_keys (key, fingerprint, kind, tenant_id, created_at) values (?, ?, ?, ?, ?)")
        .bind(idempotency.key.as_str())
        .bind(idempotency.fingerprint.as_slice())
        .bind(purpose.name())
        .bind(made.0)
        .bind(micros(now))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

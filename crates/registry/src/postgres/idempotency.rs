//! Idempotency keys in Postgres.

use keyferry_crypto::id::TenantId;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::RegistryError,
    store::{Idempotency, Purpose},
};

/// What the same request made before, by its id; nothing if the key is new.
pub(super) async fn used(
    tx: &mut Transaction<'static, Postgres>,
    idempotency: &Idempotency,
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<Option<Uuid>, RegistryError> {
    sqlx::query!(
        "delete from idempotency_keys where key = $1 and created_at < $2",
        idempotency.key.as_str(),
        now - Idempotency::KEPT
    )
    .execute(&mut **tx)
    .await?;
    let used = sqlx::query!(
        "select fingerprint, kind, tenant_id from idempotency_keys where key = $1",
        idempotency.key.as_str()
    )
    .fetch_optional(&mut **tx)
    .await?;
    match used {
        None => Ok(None),
        Some(used) if used.fingerprint == idempotency.fingerprint && used.kind == purpose.name() => {
            Ok(Some(used.tenant_id))
        }
        Some(_) => Err(RegistryError::IdempotencyMismatch),
    }
}

/// Keeps what a request made.
pub(super) async fn keep(
    tx: &mut Transaction<'static, Postgres>,
    idempotency: &Idempotency,
    purpose: Purpose,
    made: TenantId,
    now: OffsetDateTime,
) -> Result<(), RegistryError> {
    sqlx::query!(
        "insert into idempotency_keys (key, fingerprint, kind, tenant_id, created_at) values ($1, $2, $3, $4, $5)",
        idempotency.key.as_str(),
        &idempotency.fingerprint,
        purpose.name(),
        made.0,
        now,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

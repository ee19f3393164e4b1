//! How changes are told, in the same transaction that they are then read from.

use std::time::Duration;

use keyferry_crypto::id::TenantId;
use sqlx::{
    Postgres, Transaction,
    postgres::{PgListener, PgNotification},
};
use tokio::sync::Notify;

use super::PostgresStore;
use crate::error::RegistryError;

/// Tells that tenants changed, once this is committed. Which they are is in the change feed.
pub(super) async fn tell_tenants(tx: &mut Transaction<'static, Postgres>) -> Result<(), RegistryError> {
    sqlx::query!("select pg_notify($1, '') as \"notified!: ()\"", TENANTS)
        .fetch_one(&mut **tx)
        .await?;
    Ok(())
}

/// Tells that an onboarding changed, once this is committed.
pub(super) async fn tell_onboarding(
    tx: &mut Transaction<'static, Postgres>,
    tenant: TenantId,
) -> Result<(), RegistryError> {
    sqlx::query!(
        "select pg_notify($1, $2) as \"notified!: ()\"",
        ONBOARDINGS,
        tenant.to_string()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(())
}

impl PostgresStore {
    /// Listens for both, on one connection, for as long as it is asked to.
    pub(super) async fn listen_to_changes(&self, wake: &Notify) {
        let mut pause = LISTEN_RETRY;
        loop {
            let listened = async {
                let mut listener = PgListener::connect_with(&self.pool).await?;
                listener.listen_all([TENANTS, ONBOARDINGS]).await?;
                // What changed while nobody listened.
                wake.notify_one();
                pause = LISTEN_RETRY;
                loop {
                    // `None` says that the connection was lost and made again: something may have been missed.
                    match listener.try_recv().await? {
                        Some(told) if told.channel() == ONBOARDINGS => self.pass_on(&told),
                        _ => wake.notify_one(),
                    }
                }
            };
            let lost: Result<std::convert::Infallible, sqlx::Error> = listened.await;
            let Err(error) = lost;
            tracing::warn!(%error, "the registry's notifications are interrupted; polling goes on");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LISTEN_RETRY_MAX);
        }
    }

    fn pass_on(&self, told: &PgNotification) {
        if let Ok(tenant) = told.payload().parse() {
            // Nobody may be listening.
            let _ = self.onboardings.send(tenant);
        }
    }
}

const TENANTS: &str = "keyferry_tenants";
const ONBOARDINGS: &str = "keyferry_onboardings";
const LISTEN_RETRY: Duration = Duration::from_millis(250);
const LISTEN_RETRY_MAX: Duration = Duration::from_secs(10);

//! How long is waited.

use std::{sync::Arc, time::Duration};

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::{
    context::EncryptionContext,
    sealer::{Content, Sealer, SealerLimits},
    vault::VaultCause,
};
use keyferry_emulator::{Fault, Operation, Order};

use crate::world::{self, VAULT, World, data_key, tenant, wrapped};

/// Longer than the operations here are given, though not than their exchanges.
const LATE: Fault = Fault::Latency { millis: 15_000 };

/// Would wait for an hour for one exchange, but not for one operation.
fn hurried(world: &World, total: Duration) -> AzureKeyVault {
    let mut config = world.config(world::secret());
    config.timeouts.per_try = Duration::from_hours(1);
    config.timeouts.total = total;
    AzureKeyVault::new(&config).unwrap()
}

#[tokio::test]
async fn a_vaults_answer_after_the_total_time_is_none() {
    let world = World::new().await;
    let vault = hurried(&world, Duration::from_secs(2));
    world.fault(Operation::WrapKey, LATE, Some(1));
    let failed = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(failed.cause(), VaultCause::Timeout);
}

#[tokio::test]
async fn a_token_after_the_total_time_is_none() {
    let world = World::new().await;
    let vault = hurried(&world, Duration::from_millis(100));
    world.fault(Operation::Token, LATE, None);
    let failed = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(failed.cause(), VaultCause::EntraUnavailable);
    assert_eq!(world.emulator.count(VAULT, Operation::Challenge), 0);
}

#[tokio::test]
async fn a_refusal_that_may_be_over_in_a_moment_is_told_at_once_and_is_the_callers_to_confirm() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = world.vault();
    world.fault(Operation::UnwrapKey, Fault::Status { status: 403 }, Some(1));
    let refused = vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::AccessDenied);
    assert!(refused.cause().is_doubtful());
    assert_eq!(world.count(Operation::UnwrapKey), 1);
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
}

#[tokio::test]
async fn nothing_is_tried_again_for_nobody() {
    let world = World::new().await;
    let mut config = world.config(world::secret());
    // Longer than it takes to give up.
    config.retries.base = Duration::from_secs(4);
    config.retries.cap = Duration::from_secs(4);
    let sealer = || {
        let vault = Arc::new(AzureKeyVault::new(&config).unwrap());
        Arc::new(Sealer::new(vault, SealerLimits::default()))
    };
    let context = EncryptionContext::default();
    let sealed = sealer().seal(&tenant(VAULT), Content::Data, &context, b"payroll").await;
    let (sealed, replica) = (sealed.unwrap(), sealer());
    world.order(Order::ResetCalls);
    world.fault(Operation::UnwrapKey, Fault::Status { status: 503 }, None);
    let open = tokio::spawn({
        let replica = Arc::clone(&replica);
        async move {
            let (keys, context) = (tenant(VAULT), EncryptionContext::default());
            let opened = replica.open(&keys, Content::Data, &context, &sealed.envelope).await;
            opened.map(drop)
        }
    });
    while world.count(Operation::UnwrapKey) == 0 {
        tokio::task::yield_now().await;
    }
    open.abort();
    while replica.stats().vault_failures == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.count(Operation::UnwrapKey), 1);
}

//! Tokens: few, renewed, replaced when rejected; and what Entra's troubles do and do not touch.

use keyferry_crypto::vault::{KeyVault, VaultCause};
use keyferry_emulator::{Fault, Operation, Order};

use crate::world::{VAULT, World, data_key, tenant};

#[tokio::test]
async fn a_hundred_wraps_at_once_need_one_token() {
    let world = World::new().await;
    let (vault, tenant, key) = (world.vault(), tenant(VAULT), data_key());
    let wraps = (0..100).map(|_| vault.wrap(&tenant, &key));
    let outcomes = futures::future::join_all(wraps).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(world.count(Operation::Token), 1);
}

#[tokio::test]
async fn while_a_token_is_valid_entra_may_be_down() {
    let world = World::new().await;
    let vault = world.vault();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    world.fault(Operation::Token, Fault::Hang, None);
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_the_vault_rejects_is_replaced() {
    let world = World::new().await;
    let vault = world.vault();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    world.order(Order::RotateSigningKey { forget_old: true });
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    assert_eq!(world.count(Operation::Token), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_rejected_too_ends_it() {
    let world = World::new().await;
    world.fault(Operation::WrapKey, Fault::Status { status: 401 }, None);
    let refused = world.vault().wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::TokenRejected);
    assert!(!refused.cause().is_refusal());
    assert_eq!(world.count(Operation::Token), 2);
}

#[tokio::test]
async fn each_trouble_of_entra_is_named() {
    for (fault, cause) in [
        (Fault::Throttle { retry_after: Some(9) }, VaultCause::EntraThrottled),
        (Fault::Status { status: 503 }, VaultCause::EntraUnavailable),
        (Fault::Hang, VaultCause::EntraUnavailable),
        (Fault::Reset, VaultCause::EntraUnavailable),
        (Fault::Truncate, VaultCause::EntraUnavailable),
        (Fault::Nonsense, VaultCause::EntraUnavailable),
    ] {
        let world = World::new().await;
        world.fault(Operation::Token, fault.clone(), None);
        let failed = world.impatient().wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
        assert_eq!(failed.cause(), cause, "{fault:?}");
    }
}

//! What is remembered from one call to the next: failures to get a token, a vault's wish to be left alone, and for how long a
//! token may be used.

use std::time::Duration;

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::vault::{VaultCause, VaultError};
use keyferry_emulator::{Fault, Operation, Order};

use crate::world::{self, CLIENT, DIRECTORY, VAULT, World, data_key, tenant, wrapped};

async fn refusal(vault: &AzureKeyVault) -> VaultError {
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err()
}

#[tokio::test]
async fn our_own_expired_secret_is_shown_once_and_not_with_every_call() {
    let world = World::new().await;
    let (vault, client_id) = (world.vault(), CLIENT);
    world.order(Order::SetSecretsExpired {
        client_id,
        expired: true,
    });
    for _ in 0..5 {
        assert_eq!(refusal(&vault).await.cause(), VaultCause::AppSecretExpired);
    }
    assert_eq!(world.count(Operation::Token), 1);
}

#[tokio::test]
async fn a_directory_that_refuses_is_asked_once_and_not_with_every_call() {
    let world = World::new().await;
    let (vault, directory, client_id) = (world.vault(), DIRECTORY, CLIENT);
    world.order(Order::WithdrawConsent { directory, client_id });
    for _ in 0..5 {
        let refused = refusal(&vault).await;
        assert_eq!(refused.cause(), VaultCause::ConsentMissing);
        assert_eq!(refused.evidence().code.as_deref(), Some("AADSTS7000229"));
    }
    assert_eq!(world.count(Operation::Token), 1);
}

#[tokio::test]
async fn entras_retry_after_holds_for_every_call() {
    let world = World::new().await;
    let (vault, retry_after) = (world.vault(), Some(9));
    world.fault(Operation::Token, Fault::Throttle { retry_after }, None);
    for _ in 0..5 {
        let throttled = refusal(&vault).await;
        assert_eq!(throttled.cause(), VaultCause::EntraThrottled);
        assert!(throttled.retry_after().unwrap() <= Duration::from_secs(9));
    }
    assert_eq!(world.count(Operation::Token), 1);
}

#[tokio::test]
async fn a_vaults_retry_after_holds_for_every_call_to_it() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let (vault, retry_after) = (world.vault(), Some(9));
    world.order(Order::ResetCalls);
    world.fault(Operation::UnwrapKey, Fault::Throttle { retry_after }, Some(1));
    for _ in 0..5 {
        let throttled = vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap_err();
        assert_eq!(throttled.cause(), VaultCause::Throttled);
        assert!(throttled.retry_after().unwrap() <= Duration::from_secs(9));
        assert_eq!(throttled.evidence().code.as_deref(), Some("Throttled"));
    }
    assert_eq!(refusal(&vault).await.cause(), VaultCause::Throttled);
    assert_eq!(world.count(Operation::UnwrapKey) + world.count(Operation::WrapKey), 1);
}

#[tokio::test]
async fn a_vault_that_rejects_every_token_does_not_have_us_ask_for_one_after_the_other() {
    let world = World::new().await;
    let vault = world.vault();
    world.fault(Operation::WrapKey, Fault::Status { status: 401 }, None);
    for _ in 0..5 {
        assert_eq!(refusal(&vault).await.cause(), VaultCause::TokenRejected);
    }
    assert_eq!(world.count(Operation::Token), 2);
}

#[tokio::test]
async fn a_token_past_its_maximum_age_is_not_used_though_it_is_valid() {
    let world = World::new().await;
    let mut config = world.config(world::secret());
    config.token_max_age = Duration::from_nanos(1);
    let vault = AzureKeyVault::new(&config).unwrap();
    for asked in [1, 2] {
        vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
        assert_eq!(world.count(Operation::Token), asked);
    }
}

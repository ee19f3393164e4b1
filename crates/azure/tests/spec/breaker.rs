//! A vault that does not answer is left alone, and asked again as soon as it is well.

use std::time::Duration;

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::{
    id::DirectoryId,
    tenant::{Route, TenantKeys},
    vault::{KeyVault, Urgency, VaultCause},
};
use keyferry_emulator::{Fault, Operation, Order};

use crate::{
    routes::endpoints,
    world::{self, DIRECTORY, VAULT, World, data_key, tenant, unwrap_error, wrapped},
};

/// A client that leaves a vault alone for so long.
fn pausing(world: &World, pause: Duration) -> AzureKeyVault {
    let mut config = world.config(world::secret());
    config.limits.breaker_pause = pause;
    config.limits.breaker_longest = pause;
    config.private_endpoints = Some(endpoints(1));
    AzureKeyVault::new(&config).unwrap()
}

const DEAD: Fault = Fault::Status { status: 503 };
const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_dead_vault_is_asked_five_times_and_whoever_comes_then_is_told_how_it_failed() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, pausing(&world, HOUR));
    world.order(Order::ResetCalls);
    world.fault(Operation::UnwrapKey, DEAD, None);
    for _ in 0..50 {
        let failed = unwrap_error(&vault, &wrapped).await;
        assert_eq!(failed.cause(), VaultCause::VaultFailed);
        assert_eq!(failed.evidence().status, Some(503));
        // Each, the one that opened it too, is told what is true.
        let told = failed.retry_after();
        let is_left_alone = vault.stats().breakers_open == 1;
        assert_eq!(told.is_some(), is_left_alone, "{failed:?}");
        assert!(told.is_none_or(|told| told > HOUR / 3 && told <= HOUR), "{failed:?}");
    }
    assert_eq!(world.count(Operation::UnwrapKey), 5);
    // Nothing else is asked of it either, urgently or not.
    let wrap = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(wrap.cause(), VaultCause::VaultFailed);
    let newest = vault.newest(&tenant(VAULT), Urgency::Background).await;
    assert_eq!(newest.unwrap_err().cause(), VaultCause::VaultFailed);
    assert_eq!(world.count(Operation::WrapKey) + world.count(Operation::Get), 0);
    let stats = vault.stats();
    assert_eq!((stats.breakers_opened, stats.breakers_open), (1, 1));
    assert!(stats.breaker_refused >= 48, "{stats:?}");
    assert!(vault.gauge(&tenant(VAULT).current.vault).unwrap().is_open);
}

#[tokio::test]
async fn a_dead_vault_is_no_others_trouble() {
    let world = World::new().await;
    let (wrapped, second, vault) = (wrapped(&world).await, world.second_vault(), pausing(&world, HOUR));
    world.fault(Operation::UnwrapKey, DEAD, None);
    for _ in 0..10 {
        unwrap_error(&vault, &wrapped).await;
    }
    let of_second = vault.wrap(&tenant(second), &data_key()).await.unwrap();
    vault.unwrap(&tenant(second), &of_second).await.unwrap();
}

#[tokio::test]
async fn a_dead_private_endpoint_is_not_the_public_networks_trouble() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, pausing(&world, HOUR));
    let private = TenantKeys {
        route: Route::Private([127, 88, 0, 3].into()),
        ..tenant(VAULT)
    };
    for _ in 0..10 {
        let failed = vault.unwrap(&private, &wrapped).await.unwrap_err();
        assert_eq!(failed.cause(), VaultCause::ConnectionFailed);
    }
    assert_eq!(vault.stats().breakers_open, 1);
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
}

#[tokio::test]
async fn one_call_finds_out_that_the_vault_is_well_again() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, pausing(&world, Duration::from_millis(1)));
    world.fault(Operation::UnwrapKey, DEAD, None);
    for _ in 0..10 {
        unwrap_error(&vault, &wrapped).await;
    }
    world.order(Order::ClearFaults);
    world.order(Order::ResetCalls);
    while vault.unwrap(&tenant(VAULT), &wrapped).await.is_err() {}
    assert_eq!(world.count(Operation::UnwrapKey), 1);
    assert_eq!(vault.stats().breakers_open, 0);
}

#[tokio::test]
async fn a_canary_goes_to_a_dead_vault_and_its_success_lets_everyone_in() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, pausing(&world, HOUR));
    world.order(Order::ResetCalls);
    world.fault(Operation::UnwrapKey, DEAD, None);
    for _ in 0..10 {
        unwrap_error(&vault, &wrapped).await;
    }
    let keys = tenant(VAULT);
    let watch = async || {
        KeyVault::unwrap(&vault, &keys, &wrapped, Urgency::Watch)
            .await
            .map(drop)
    };
    assert_eq!(watch().await.unwrap_err().cause(), VaultCause::VaultFailed);
    assert_eq!(world.count(Operation::UnwrapKey), 6);
    world.order(Order::ClearFaults);
    unwrap_error(&vault, &wrapped).await;
    watch().await.unwrap();
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
}

#[tokio::test]
async fn whoever_asks_how_things_are_is_told_how_they_are() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, pausing(&world, HOUR));
    world.fault(Operation::UnwrapKey, DEAD, None);
    for _ in 0..10 {
        unwrap_error(&vault, &wrapped).await;
    }
    let (directory, key) = (DirectoryId(DIRECTORY), tenant(VAULT).current);
    vault.describe(directory, &key, None, Route::Public).await.unwrap();
    // And what was found out is known to everyone.
    world.order(Order::ClearFaults);
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
}

#[tokio::test]
async fn refusals_and_throttling_are_answers() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, pausing(&world, HOUR));
    world.set_key(Some(false), None, None);
    for _ in 0..10 {
        assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::KeyDisabled);
    }
    world.fault(Operation::UnwrapKey, Fault::Throttle { retry_after: None }, None);
    for _ in 0..10 {
        assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::Throttled);
    }
    assert_eq!(vault.stats().breakers_opened, 0);
}

#[tokio::test]
async fn entras_trouble_is_not_the_vaults() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, pausing(&world, HOUR));
    world.fault(Operation::Token, Fault::Status { status: 503 }, None);
    for _ in 0..10 {
        assert_eq!(
            unwrap_error(&vault, &wrapped).await.cause(),
            VaultCause::EntraUnavailable
        );
    }
    assert_eq!(vault.stats().breakers_opened, 0);
}

#[tokio::test]
async fn nor_is_the_time_that_entra_took() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let mut config = world.config(world::secret());
    config.timeouts.per_try = HOUR;
    config.timeouts.total = Duration::from_secs(4);
    config.limits.breaker_failures = 1;
    let vault = AzureKeyVault::new(&config).unwrap();
    world.fault(Operation::Token, Fault::Latency { millis: 2_500 }, None);
    world.fault(Operation::UnwrapKey, Fault::Latency { millis: 30_000 }, None);
    // What was left for the vault is less than half of the time.
    assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::Timeout);
    assert_eq!(vault.stats().breakers_opened, 0);
    // The token is there now: all of the time is the vault's.
    assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::Timeout);
    assert_eq!(vault.stats().breakers_opened, 1);
}

//! How near calls come to a vault's documented limits, who gives way there, and how many second tries there are.

use std::{collections::BTreeSet, time::Duration};

use keyferry_azure::{AzureKeyVault, config::Limits};
use keyferry_crypto::{
    tenant::TenantKeys,
    vault::{KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use keyferry_emulator::{Fault, Operation, Order, RsaKey};

use crate::world::{self, VAULT, World, data_key, pinned, tenant, unwrap_error, wrapped};

/// A client that waits for no turn, and is one of so many replicas.
fn sharing(world: &World, replicas: u32) -> AzureKeyVault {
    let mut config = world.config(world::secret());
    config.limits.wait = Duration::ZERO;
    let vault = AzureKeyVault::new(&config).unwrap();
    vault.share_among(replicas);
    vault
}

/// Unwraps that urgently until the vault's limit is too near.
async fn spend(vault: &AzureKeyVault, tenant: &TenantKeys, wrapped: &WrappedDataKey, urgency: Urgency) -> VaultError {
    loop {
        if let Err(error) = KeyVault::unwrap(vault, tenant, wrapped, urgency).await {
            return error;
        }
    }
}

async fn unwrap(vault: &AzureKeyVault, wrapped: &WrappedDataKey, urgency: Urgency) -> Result<(), VaultError> {
    let unwrapped = KeyVault::unwrap(vault, &tenant(VAULT), wrapped, urgency).await?;
    assert_eq!(unwrapped.expose(), data_key().expose());
    Ok(())
}

#[tokio::test]
async fn a_cold_storm_on_a_large_key_is_served_up_to_our_share_and_the_vault_never_has_to_throttle() {
    let world = World::new().await;
    world.import_key(VAULT, RsaKey::generate(4096).unwrap().pkcs8());
    let wrapped = wrapped(&world).await;
    // However long so many of these take on a slow machine.
    let mut config = world.config(world::secret());
    config.timeouts.per_try = Duration::from_mins(10);
    config.timeouts.total = Duration::from_mins(10);
    let (vault, host) = (AzureKeyVault::new(&config).unwrap(), VAULT.to_owned());
    world.order(Order::SetThrottled { host, throttled: true });
    world.order(Order::ResetCalls);
    let keys = tenant(VAULT);
    let storm = (0..2_000).map(|_| vault.unwrap(&keys, &wrapped));
    let outcomes = futures::future::join_all(storm).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    for error in &refused {
        assert_eq!(error.cause(), VaultCause::QuotaSpent);
        let wait = error.retry_after().unwrap();
        assert!(!wait.is_zero() && wait <= Duration::from_mins(1), "{wait:?}");
    }
    // 4,000 units less a fifth, at 8 each.
    assert_eq!(outcomes.len() - refused.len(), 400);
    assert_eq!(world.count(Operation::UnwrapKey), 400);
    let statuses: BTreeSet<_> = world.emulator.calls().iter().map(|call| call.status).collect();
    assert!(!statuses.contains(&429), "{statuses:?}");
    let stats = vault.stats();
    assert_eq!((stats.quota_refused, stats.throttled), (1_600, 0));
}

#[tokio::test]
async fn a_canary_gets_through_where_the_limit_is_spent() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = sharing(&world, 4_000);
    let spent = spend(&vault, &tenant(VAULT), &wrapped, Urgency::Request).await;
    assert_eq!(spent.cause(), VaultCause::QuotaSpent);
    world.order(Order::ResetCalls);
    for _ in 0..3 {
        unwrap(&vault, &wrapped, Urgency::Watch).await.unwrap();
        vault.newest(&tenant(VAULT), Urgency::Watch).await.unwrap();
    }
    assert_eq!(world.count(Operation::UnwrapKey), 3);
    // And counts there.
    let gauge = vault.gauge(&tenant(VAULT).current.vault).unwrap();
    assert!(gauge.used_per_second > gauge.limit_per_second, "{gauge:?}");
}

#[tokio::test]
async fn looks_are_bounded_and_what_is_beyond_was_not_asked() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = sharing(&world, 100);
    world.order(Order::ResetCalls);
    // Of 32 units.
    let spent = spend(&vault, &tenant(VAULT), &wrapped, Urgency::Watch).await;
    assert_eq!(spent.cause(), VaultCause::QuotaSpent);
    assert!(spent.retry_after().is_some());
    assert_eq!(world.count(Operation::UnwrapKey), 16);
    for _ in 0..16 {
        unwrap(&vault, &wrapped, Urgency::Request).await.unwrap();
    }
    // It is no word of the vault's.
    assert_eq!((vault.stats().throttled, vault.stats().breakers_open), (0, 0));
}

#[tokio::test]
async fn what_nobody_waits_for_leaves_half_of_the_limit_to_who_waits() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = sharing(&world, 400);
    let spent = spend(&vault, &tenant(VAULT), &wrapped, Urgency::Background).await;
    assert_eq!(spent.cause(), VaultCause::QuotaSpent);
    for _ in 0..4 {
        unwrap(&vault, &wrapped, Urgency::Request).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_one_of_very_many_leaves_more_than_half_of_the_limit_to_the_others() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = sharing(&world, 400);
    let spent = spend(&vault, &tenant(VAULT), &wrapped, Urgency::Bulk).await;
    assert_eq!(spent.cause(), VaultCause::QuotaSpent);
    assert!(spent.retry_after().is_some());
    // Of eight units it has two.
    unwrap(&vault, &wrapped, Urgency::Background).await.unwrap();
    for _ in 0..5 {
        unwrap(&vault, &wrapped, Urgency::Request).await.unwrap();
    }
}

#[tokio::test]
async fn one_vaults_limit_is_no_others() {
    let world = World::new().await;
    let (wrapped, second) = (wrapped(&world).await, world.second_vault());
    let vault = sharing(&world, 4_000);
    spend(&vault, &tenant(VAULT), &wrapped, Urgency::Request).await;
    vault.wrap(&tenant(second), &data_key()).await.unwrap();
}

#[tokio::test]
async fn more_replicas_share_less_and_fewer_more_from_the_next_call_on() {
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let vault = sharing(&world, 4_000);
    spend(&vault, &tenant(VAULT), &wrapped, Urgency::Request).await;
    vault.share_among(1);
    unwrap(&vault, &wrapped, Urgency::Request).await.unwrap();
    vault.share_among(0);
    unwrap(&vault, &wrapped, Urgency::Request).await.unwrap();
    let gauge = vault.gauge(&tenant(VAULT).current.vault).unwrap();
    assert!((gauge.limit_per_second - 320.0).abs() < 1e-9, "{gauge:?}");
}

#[tokio::test]
async fn who_looks_at_a_key_first_knows_what_it_costs_to_wrap_with_it() {
    let world = World::new().await;
    let vault = sharing(&world, 400);
    // With a key of unknown size one wrap would have spent the limit.
    vault.newest(&tenant(VAULT), Urgency::Request).await.unwrap();
    for _ in 0..4 {
        vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    }
}

#[tokio::test]
async fn a_vault_that_throttles_before_we_expect_it_is_asked_half_as_much() {
    let world = World::new().await;
    let (wrapped, fault) = (wrapped(&world).await, Fault::Throttle { retry_after: None });
    let vault = world.once(&fault);
    world.fault(Operation::UnwrapKey, fault, Some(1));
    assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::Throttled);
    let gauge = vault.gauge(&tenant(VAULT).current.vault).unwrap();
    assert!(gauge.limit_per_second < 320.0 * 0.6, "{gauge:?}");
    assert_eq!(vault.stats().throttled, 1);
}

#[tokio::test]
async fn a_canary_is_not_kept_back_by_the_vaults_own_wish_and_others_are() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, world.vault());
    let retry_after = Some(9);
    world.fault(Operation::UnwrapKey, Fault::Throttle { retry_after }, Some(1));
    assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::Throttled);
    assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::Throttled);
    unwrap(&vault, &wrapped, Urgency::Watch).await.unwrap();
    assert_eq!(world.count(Operation::UnwrapKey), 2);
}

#[tokio::test]
async fn a_canary_is_tried_once() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, world.vault());
    for status in [503, 429] {
        world.order(Order::ResetCalls);
        world.fault(Operation::UnwrapKey, Fault::Status { status }, Some(1));
        unwrap(&vault, &wrapped, Urgency::Watch).await.unwrap_err();
        assert_eq!(world.count(Operation::UnwrapKey), 1, "{status}");
    }
    world.order(Order::RotateSigningKey { forget_old: true });
    unwrap(&vault, &wrapped, Urgency::Watch).await.unwrap();
}

#[tokio::test]
async fn second_tries_are_few_beside_the_calls() {
    const CALLS: u64 = 100;
    let world = World::new().await;
    let wrapped = wrapped(&world).await;
    let mut config = world.config(world::secret());
    config.limits = Limits {
        breaker_failures: u32::MAX,
        ..Limits::default()
    };
    let vault = AzureKeyVault::new(&config).unwrap();
    vault.unwrap(&tenant(VAULT), &wrapped).await.unwrap();
    world.order(Order::ResetCalls);
    world.fault(Operation::UnwrapKey, Fault::Status { status: 503 }, None);
    for _ in 0..CALLS {
        assert_eq!(unwrap_error(&vault, &wrapped).await.cause(), VaultCause::VaultFailed);
    }
    let stats = vault.stats();
    assert_eq!(world.count(Operation::UnwrapKey), CALLS + stats.retries);
    // Three tries each would be 200 more.
    assert!((1..CALLS).contains(&stats.retries), "{stats:?}");
    assert!(stats.retries_refused > 0, "{stats:?}");
}

#[tokio::test]
async fn the_newest_version_is_told_or_the_pinned_one() {
    let world = World::new().await;
    let (wrapped, vault) = (wrapped(&world).await, world.vault());
    let newest = async |tenant| vault.newest(&tenant, Urgency::Watch).await.unwrap();
    assert_eq!(newest(tenant(VAULT)).await, wrapped.kek);
    world.import(VAULT);
    let next = newest(tenant(VAULT)).await;
    assert_ne!(next, wrapped.kek);
    assert_eq!(newest(pinned(&wrapped.kek)).await, wrapped.kek);
    assert_eq!(vault.wrap(&tenant(VAULT), &data_key()).await.unwrap().kek, next);
}

//! An unwrapped data key is kept for the tenant's TTL, from when the vault was asked for it; one call serves all who wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use keyferry_crypto::{
    tenant::{Route, TenantKeys},
    vault::VaultCause,
};
use tokio::{
    task::JoinSet,
    time::{Instant, advance},
};

use crate::fake::{MINUTE, SECOND, cause, open, opening, replica, seal, start, tenant, tenant_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cold_opens_at_once_make_one_call() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let cold = replica(&vault);
    let mut opens = JoinSet::new();
    for _ in 0..10_000 {
        let (cold, sealed) = (Arc::clone(&cold), sealed.clone());
        opens.spawn(async move { open(&cold, &tenant(), &sealed).await.is_ok() });
    }
    assert!(opens.join_all().await.into_iter().all(|opened| opened));
    assert_eq!(vault.unwraps(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_expires_by_its_age_however_busy_it_is() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::Timeout);
    let mut opened = 0;
    while open(&sealer, &tenant(), &sealed).await.is_ok() {
        opened += 1;
        advance(SECOND * 10).await;
    }
    assert!((27..=30).contains(&opened), "open for {opened} times ten seconds");
    assert_eq!(
        cause(open(&sealer, &tenant(), &sealed).await),
        Some(VaultCause::Timeout)
    );
}

/// The customer may withdraw it as soon as the vault has answered, and that may have been at any time of the call.
#[tokio::test(start_paused = true)]
async fn a_keys_time_runs_from_the_beginning_of_the_call_that_brought_it() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let cold = replica(&vault);
    open(&cold, &tenant(), &sealed).await.unwrap();
    let slow = replica(&vault);
    vault.hangs();
    let opening = opening(&slow, &tenant(), &sealed);
    vault.begun(1, 3).await;
    advance(MINUTE).await;
    vault.goes_on();
    opening.await.unwrap().unwrap();
    vault.fails(VaultCause::Timeout);
    advance(MINUTE * 4).await;
    for replica in [&cold, &slow] {
        let opened = open(replica, &tenant(), &sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::Timeout));
    }
}

/// A request that read the tenant before its route changed may end after all was evicted for the change.
#[tokio::test(start_paused = true)]
async fn a_key_that_came_one_way_opens_nothing_where_the_vault_is_reached_another_or_not_at_all() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    for (route, unwraps) in [
        (Route::Private([10, 0, 0, 4].into()), 2),
        (Route::Private([10, 0, 0, 5].into()), 3),
        (Route::Private("fd00::4".parse().unwrap()), 4),
    ] {
        let changed = TenantKeys { route, ..tenant() };
        open(&sealer, &changed, &sealed).await.unwrap();
        open(&sealer, &changed, &sealed).await.unwrap();
        assert_eq!(vault.unwraps(), unwraps, "{route:?}");
    }
    vault.fails(VaultCause::PrivateEndpointClosed);
    let route = Route::Closed;
    let closed = TenantKeys { route, ..tenant() };
    assert_eq!(
        cause(open(&sealer, &closed, &sealed).await),
        Some(VaultCause::PrivateEndpointClosed)
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_in_use_is_validated_in_the_background_and_nobody_waits() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    advance(MINUTE * 42 / 10).await;
    vault.hangs();
    for _ in 0..20 {
        open(&sealer, &tenant(), &sealed).await.unwrap();
    }
    vault.begun(1, 2).await;
    assert_eq!(vault.unwraps(), 2, "by one request only");
    vault.goes_on();
    tokio::task::yield_now().await;
    advance(MINUTE * 3).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.unwraps(), 2, "the new key has its own time");
}

#[tokio::test(start_paused = true)]
async fn an_idle_key_is_not_validated() {
    let (vault, sealer) = start();
    seal(&sealer, &tenant()).await.unwrap();
    advance(MINUTE * 10).await;
    assert_eq!(vault.unwraps(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_ttl_applies_to_what_is_cached_already() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    advance(MINUTE).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.unwraps(), 1);
    open(&sealer, &tenant_with(|policy| policy.cache_ttl = MINUTE), &sealed)
        .await
        .unwrap();
    assert_eq!(vault.unwraps(), 2);
}

#[tokio::test]
async fn without_a_ttl_nothing_is_kept() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.cache_ttl = Duration::ZERO);
    let sealed = seal(&sealer, &tenant).await.unwrap();
    for unwraps in 2..=4 {
        open(&sealer, &tenant, &sealed).await.unwrap();
        assert_eq!(vault.unwraps(), unwraps);
    }
    assert_eq!(sealer.stats().cached_data_keys, 0);
}

#[tokio::test]
async fn without_a_ttl_those_who_wait_at_the_same_time_still_share_a_call() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.cache_ttl = Duration::ZERO);
    let sealed = seal(&sealer, &tenant).await.unwrap();
    vault.hangs();
    let opens: Vec<_> = (0..10).map(|_| opening(&sealer, &tenant, &sealed)).collect();
    vault.begun(1, 2).await;
    tokio::task::yield_now().await;
    vault.goes_on();
    for open in opens {
        open.await.unwrap().unwrap();
    }
    assert_eq!(vault.unwraps(), 2);
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_take_the_call_along() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let cold = replica(&vault);
    vault.hangs();
    let impatient = opening(&cold, &tenant(), &sealed);
    vault.begun(1, 2).await;
    let patient = opening(&cold, &tenant(), &sealed);
    tokio::task::yield_now().await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    vault.goes_on();
    patient.await.unwrap().unwrap();
    assert_eq!(vault.unwraps(), 2);
}

#[tokio::test]
async fn eviction_makes_the_vault_asked_again() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    sealer.evict(tenant().tenant);
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.unwraps(), 2);
}

#[tokio::test]
async fn a_call_that_was_under_way_at_an_eviction_answers_nobody_who_came_after() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let cold = replica(&vault);
    vault.hangs();
    let before = opening(&cold, &tenant(), &sealed);
    vault.begun(1, 2).await;
    vault.fails(VaultCause::KeyDisabled);
    cold.evict(tenant().tenant);
    let after = opening(&cold, &tenant(), &sealed);
    vault.begun(1, 3).await;
    vault.goes_on();
    assert!(before.await.unwrap().is_ok(), "the vault had agreed before");
    assert_eq!(cause(after.await.unwrap()), Some(VaultCause::KeyDisabled));
    assert_eq!(
        cause(open(&cold, &tenant(), &sealed).await),
        Some(VaultCause::KeyDisabled)
    );
}

#[tokio::test(start_paused = true)]
async fn after_the_machine_stood_still_nothing_is_as_young_as_it_seems() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let slept = Arc::new(AtomicU64::new(0));
    let maintenance = tokio::spawn({
        let (sealer, slept, began) = (Arc::clone(&sealer), Arc::clone(&slept), Instant::now());
        let wall_clock = move || SystemTime::UNIX_EPOCH + began.elapsed() + Duration::from_secs(slept.load(Relaxed));
        async move { sealer.maintain_by(wall_clock).await }
    });
    tokio::time::sleep(SECOND * 10).await;
    let before = vault.calls();
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.calls(), before);
    slept.store(3600, Relaxed);
    tokio::time::sleep(SECOND * 2).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.unwraps(), before.unwraps + 1);
    seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(vault.wraps(), before.wraps + 1);
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn maintenance_wipes_evicted_keys() {
    let (_, sealer) = start();
    let tenants: Vec<_> = (0..20)
        .map(|number| {
            let mut tenant = tenant();
            tenant.tenant = keyferry_crypto::id::TenantId(uuid::Uuid::from_u128(number));
            tenant
        })
        .collect();
    for tenant in &tenants {
        seal(&sealer, tenant).await.unwrap();
    }
    let maintenance = tokio::spawn({
        let sealer = Arc::clone(&sealer);
        async move { sealer.maintain().await }
    });
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!((sealer.stats().cached_data_keys, sealer.stats().leases), (20, 20));
    for tenant in &tenants[..15] {
        sealer.evict(tenant.tenant);
    }
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!((sealer.stats().cached_data_keys, sealer.stats().leases), (5, 5));
    maintenance.abort();
}

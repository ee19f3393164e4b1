//! A replica seals with one data key for a while, and has the next one ready before that is over.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use keyferry_crypto::{
    id::DirectoryId,
    tenant::{Route, TenantKeys, VersionPolicy},
    vault::VaultCause,
};
use tokio::{task::JoinSet, time::advance};
use uuid::Uuid;

use crate::fake::{MINUTE, SECOND, cause, key, kid, open, replica, seal, sealing, start, tenant, tenant_with, version};

#[tokio::test(start_paused = true)]
async fn a_lease_costs_one_wrap_and_one_unwrap() {
    let (vault, sealer) = start();
    let mut kids = HashSet::new();
    for _ in 0..1000 {
        kids.insert(kid(&seal(&sealer, &tenant()).await.unwrap()));
    }
    assert_eq!((vault.wraps(), vault.unwraps(), kids.len()), (1, 1, 1));
}

#[tokio::test]
async fn all_who_wait_for_the_first_lease_share_one_wrap() {
    let (vault, sealer) = start();
    vault.hangs();
    let mut seals = JoinSet::new();
    for _ in 0..1000 {
        let sealer = Arc::clone(&sealer);
        seals.spawn(async move { kid(&seal(&sealer, &tenant()).await.unwrap()) });
    }
    vault.begun(1, 0).await;
    vault.goes_on();
    let kids: HashSet<_> = seals.join_all().await.into_iter().collect();
    assert_eq!((vault.wraps(), kids.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_ahead_of_time_and_nobody_waits() {
    let (vault, sealer) = start();
    let first = kid(&seal(&sealer, &tenant()).await.unwrap());
    advance(MINUTE * 41 / 10).await;
    vault.hangs();
    for _ in 0..10 {
        assert_eq!(kid(&seal(&sealer, &tenant()).await.unwrap()), first);
    }
    vault.begun(2, 0).await;
    vault.goes_on();
    another_lease_serves(&sealer, first).await;
    advance(MINUTE).await;
    assert_ne!(kid(&seal(&sealer, &tenant()).await.unwrap()), first);
    assert_eq!(vault.wraps(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_leases_age_counts_from_the_beginning_of_the_call_that_wrapped_its_data_key() {
    let (vault, sealer) = start();
    vault.hangs();
    let sealing = sealing(&sealer, &tenant());
    vault.begun(1, 0).await;
    advance(MINUTE).await;
    vault.goes_on();
    let first = kid(&sealing.await.unwrap().unwrap());
    vault.fails(VaultCause::VaultFailed);
    advance(MINUTE * 39 / 10).await;
    assert_eq!(kid(&seal(&sealer, &tenant()).await.unwrap()), first);
    advance(MINUTE / 10).await;
    assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::VaultFailed));
}

/// Lets the background work until another lease than `first` serves.
async fn another_lease_serves(sealer: &keyferry_crypto::sealer::Sealer, first: [u8; 16]) {
    // Counted, because the clock stands still. It takes a few.
    for _ in 0..10_000 {
        if kid(&seal(sealer, &tenant()).await.unwrap()) != first {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the lease was not renewed in the background");
}

#[tokio::test(start_paused = true)]
async fn no_lease_is_used_past_its_age_though_renewing_fails() {
    let (vault, sealer) = start();
    let first = kid(&seal(&sealer, &tenant()).await.unwrap());
    vault.fails(VaultCause::VaultFailed);
    advance(MINUTE * 45 / 10).await;
    assert_eq!(
        kid(&seal(&sealer, &tenant()).await.unwrap()),
        first,
        "unavailable is not revoked"
    );
    vault.begun(2, 0).await;
    advance(MINUTE / 2).await;
    assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::VaultFailed));
    vault.fails(None);
    assert_ne!(kid(&seal(&sealer, &tenant()).await.unwrap()), first);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_failed_is_tried_again_a_moment_later_and_not_by_every_request() {
    let (vault, sealer) = start();
    seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::Throttled);
    advance(MINUTE * 41 / 10).await;
    for _ in 0..50 {
        seal(&sealer, &tenant()).await.unwrap();
        tokio::task::yield_now().await;
    }
    vault.begun(2, 0).await;
    assert_eq!(vault.wraps(), 2);
    advance(SECOND * 5).await;
    seal(&sealer, &tenant()).await.unwrap();
    vault.begun(3, 0).await;
}

#[tokio::test(start_paused = true)]
async fn no_data_key_seals_more_messages_than_the_tenant_allows() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.lease_max_messages = 10);
    let mut messages = HashMap::new();
    for _ in 0..500 {
        *messages.entry(kid(&seal(&sealer, &tenant).await.unwrap())).or_insert(0) += 1;
        tokio::task::yield_now().await;
    }
    assert!(messages.values().all(|&count| count <= 10), "{messages:?}");
    assert!(vault.wraps() <= 70, "{} wraps", vault.wraps());
}

#[tokio::test]
async fn nor_with_many_callers_at_once() {
    let (vault, sealer) = start();
    let mut seals = JoinSet::new();
    for _ in 0..300 {
        let sealer = Arc::clone(&sealer);
        let tenant = tenant_with(|policy| policy.lease_max_messages = 7);
        seals.spawn(async move { kid(&seal(&sealer, &tenant).await.unwrap()) });
    }
    let mut messages = HashMap::new();
    for kid in seals.join_all().await {
        *messages.entry(kid).or_insert(0) += 1;
    }
    assert!(messages.values().all(|&count| count <= 7), "{messages:?}");
    assert!(vault.wraps() <= 301, "{} wraps", vault.wraps());
}

#[tokio::test]
async fn one_message_to_a_data_key_gives_each_its_own_and_they_do_not_queue() {
    let (vault, sealer) = start();
    vault.hangs();
    let mut seals = JoinSet::new();
    for _ in 0..50 {
        let sealer = Arc::clone(&sealer);
        let tenant = tenant_with(|policy| policy.lease_max_messages = 1);
        seals.spawn(async move { kid(&seal(&sealer, &tenant).await.unwrap()) });
    }
    vault.begun(50, 0).await;
    vault.goes_on();
    let kids: HashSet<_> = seals.join_all().await.into_iter().collect();
    assert_eq!((kids.len(), vault.wraps()), (50, 50), "and no spare one is made");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_key_version_policy_directory_or_route_makes_a_new_lease_at_once() {
    let changes: [fn(&mut TenantKeys); 7] = [
        |tenant| tenant.current = key("acme", "kek-2"),
        |tenant| tenant.version = VersionPolicy::Pinned(version(3).parse().unwrap()),
        |tenant| tenant.policy.lease_max_messages = 5,
        |tenant| tenant.policy.cache_ttl = MINUTE,
        |tenant| tenant.directory = DirectoryId(Uuid::from_u128(1234)),
        |tenant| tenant.route = Route::Private([10, 0, 0, 4].into()),
        |tenant| tenant.route = Route::Closed,
    ];
    for change in changes {
        let (_, sealer) = start();
        let before = seal(&sealer, &tenant()).await.unwrap();
        let mut changed = tenant();
        change(&mut changed);
        let after = seal(&sealer, &changed).await.unwrap();
        assert_ne!(kid(&before), kid(&after));
        assert_eq!(after.kek.key, changed.current);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_lease_follows_the_latest_version() {
    let (vault, sealer) = start();
    let before = seal(&sealer, &tenant()).await.unwrap();
    vault.rotates();
    advance(MINUTE * 5).await;
    let after = seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(before.kek.version.as_str(), version(0));
    assert_eq!(after.kek.version.as_str(), version(1));
    assert_eq!(
        open(&replica(&vault), &tenant(), &before)
            .await
            .unwrap()
            .plaintext
            .expose(),
        b"payroll"
    );
}

#[tokio::test]
async fn a_wrap_under_another_key_or_version_than_asked_is_not_used() {
    let mut pinned = tenant();
    pinned.version = VersionPolicy::Pinned(version(3).parse().unwrap());
    let other_key = key("acme", "other");
    let other_key = other_key.kek_named(&format!("{other_key}/{}", version(3))).unwrap();
    let other_version = tenant()
        .current
        .kek_named(&format!("{}/{}", tenant().current, version(4)))
        .unwrap();
    for kek in [other_key, other_version] {
        let (vault, sealer) = start();
        vault.wraps_under(kek);
        assert_eq!(cause(seal(&sealer, &pinned).await), Some(VaultCause::AnswerInvalid));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_takes_the_lease_and_the_cached_keys_at_once() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::RoleMissing);
    advance(MINUTE * 41 / 10).await;
    seal(&sealer, &tenant()).await.unwrap();
    vault.begun(2, 0).await;
    tokio::task::yield_now().await;
    assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::RoleMissing));
    assert_eq!(
        cause(open(&sealer, &tenant(), &sealed).await),
        Some(VaultCause::RoleMissing)
    );
    assert_eq!((vault.wraps(), vault.unwraps()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_when_its_version_is_found_disabled() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails_at_version(&sealed.kek, VaultCause::KeyDisabled);
    vault.rotates();
    advance(MINUTE * 45 / 10).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    vault.begun(1, 2).await;
    tokio::task::yield_now().await;
    assert_eq!(seal(&sealer, &tenant()).await.unwrap().kek.version.as_str(), version(1));
}

#[tokio::test(start_paused = true)]
async fn eviction_ends_the_lease() {
    let (vault, sealer) = start();
    let before = kid(&seal(&sealer, &tenant()).await.unwrap());
    sealer.evict(tenant().tenant);
    assert_ne!(kid(&seal(&sealer, &tenant()).await.unwrap()), before);
    assert_eq!(vault.wraps(), 2);
}

#[tokio::test]
async fn a_lease_that_was_under_way_when_its_tenant_was_evicted_serves_nobody_after() {
    let (vault, sealer) = start();
    vault.hangs();
    let early = tokio::spawn({
        let sealer = Arc::clone(&sealer);
        async move { seal(&sealer, &tenant()).await.unwrap() }
    });
    vault.begun(1, 0).await;
    sealer.evict(tenant().tenant);
    vault.goes_on();
    let early = early.await.unwrap();
    assert_ne!(kid(&seal(&sealer, &tenant()).await.unwrap()), kid(&early));
    open(&sealer, &tenant(), &early).await.unwrap();
    assert_eq!(
        (vault.wraps(), vault.unwraps()),
        (2, 3),
        "nor is its data key kept for opening: two unwraps proved the leases, one opened"
    );
}

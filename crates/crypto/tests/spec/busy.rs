//! Calls under way are bounded, though calls outlive the requests that made them.

use std::sync::Arc;

use keyferry_crypto::{
    id::TenantId,
    sealer::{Sealed, Sealer, SealerError},
    tenant::TenantKeys,
    vault::{Call, Urgency, VaultCause},
};
use tokio::{task::JoinSet, time::advance};
use uuid::Uuid;

use crate::fake::{
    FakeVault, MINUTE, MOST_CALLS, SECOND, all_wait, cause, made_up, open, opening, replica, seal, start, tenant,
    tenant_with,
};

/// Has the vault hang and as many calls of the tenant's under way as there may be; who made them has given up.
async fn fill(vault: &FakeVault, sealer: &Arc<Sealer>, tenant: &TenantKeys, sealed: &Sealed) {
    let before = vault.calls();
    vault.hangs();
    let opens: Vec<_> = (0..MOST_CALLS)
        .map(|number| opening(sealer, tenant, &made_up(sealed, number.try_into().unwrap())))
        .collect();
    vault.begun(before.wraps, before.unwraps + MOST_CALLS).await;
    for open in opens {
        open.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_no_call_is_made_and_what_is_cached_still_opens() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    fill(&vault, &sealer, &tenant(), &sealed).await;
    let before = vault.calls();
    for number in 0..2000 {
        let opened = open(&sealer, &tenant(), &made_up(&sealed, 1_000_000 + number)).await;
        let Err(SealerError::Vault(error)) = opened else {
            panic!("not the vault's: {opened:?}")
        };
        assert_eq!((error.cause(), error.retry_after()), (VaultCause::Busy, Some(SECOND)));
    }
    assert_eq!(vault.calls(), before);
    open(&sealer, &tenant(), &sealed).await.unwrap();
    vault.goes_on();
    tokio::task::yield_now().await;
    advance(MINUTE * 5).await;
    seal(&sealer, &tenant()).await.unwrap();
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(sealer.stats().evictions, 0);
}

#[tokio::test(start_paused = true)]
async fn one_tenants_calls_leave_room_for_anothers() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    fill(&vault, &sealer, &tenant(), &sealed).await;
    let mut neighbour = tenant();
    neighbour.tenant = TenantId(Uuid::from_u128(99));
    let before = vault.calls();
    let theirs = opening(&sealer, &neighbour, &made_up(&sealed, 0));
    vault.begun(before.wraps, before.unwraps + 1).await;
    vault.goes_on();
    assert_eq!(cause(theirs.await.unwrap()), Some(VaultCause::KeyNotFound));
}

#[tokio::test(start_paused = true)]
async fn who_rewraps_very_many_leaves_half_of_the_places_to_who_opens() {
    let (vault, sealer) = start();
    let one_message_a_key = tenant_with(|policy| policy.lease_max_messages = 1);
    let mut sealed = vec![];
    for _ in 0..MOST_CALLS {
        sealed.push(seal(&sealer, &one_message_a_key).await.unwrap());
    }
    vault.rotates();
    let replica = replica(&vault);
    vault.hangs();
    let before = vault.calls();
    let mut rewraps = JoinSet::new();
    for sealed in sealed.split_off(MOST_CALLS / 4) {
        let (replica, tenant) = (Arc::clone(&replica), one_message_a_key.clone());
        rewraps.spawn(async move { replica.rewrap(&tenant, &sealed.envelope).await });
    }
    vault.begun(before.wraps, before.unwraps + MOST_CALLS / 2).await;
    all_wait().await;
    assert_eq!(vault.unwraps(), before.unwraps + MOST_CALLS / 2);
    let opens: Vec<_> = sealed
        .iter()
        .map(|sealed| opening(&replica, &one_message_a_key, sealed))
        .collect();
    vault.begun(before.wraps, before.unwraps + MOST_CALLS * 3 / 4).await;
    vault.goes_on();
    for open in opens {
        open.await.unwrap().unwrap();
    }
    // Those that waited had their turn.
    for rewrapped in rewraps.join_all().await {
        rewrapped.unwrap();
    }
    assert!(vault.urgencies(Call::Wrap).ends_with(&[Urgency::Bulk]));
}

#[tokio::test(start_paused = true)]
async fn to_be_busy_is_no_outage_that_grace_is_given_for() {
    let tenant = tenant_with(|policy| policy.outage_grace = MINUTE * 60);
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant).await.unwrap();
    advance(MINUTE * 6).await;
    fill(&vault, &sealer, &tenant, &sealed).await;
    for _ in 0..2 {
        let opened = open(&sealer, &tenant, &sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::Busy));
    }
    assert_eq!(sealer.stats().grace_opens, 0);
}

#[tokio::test(start_paused = true)]
async fn a_doubt_waits_until_the_vault_can_be_asked() {
    let tenant = tenant_with(|policy| policy.cache_ttl = MINUTE * 60);
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant).await.unwrap();
    vault.fails_to_wrap(VaultCause::RoleMissing);
    advance(MINUTE * 5).await;
    assert_eq!(cause(seal(&sealer, &tenant).await), Some(VaultCause::RoleMissing));
    fill(&vault, &sealer, &tenant, &sealed).await;
    for _ in 0..2 {
        let opened = open(&sealer, &tenant, &sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::Busy));
    }
    vault.fails(VaultCause::RoleMissing);
    vault.goes_on();
    tokio::task::yield_now().await;
    let opened = open(&sealer, &tenant, &sealed).await;
    assert_eq!(cause(opened), Some(VaultCause::RoleMissing));
}

//! Of whom anything is held is known, that the others need not be watched as closely.

use std::{collections::HashSet, sync::Arc};

use keyferry_crypto::{id::TenantId, sealer::Sealer, tenant::TenantKeys, vault::VaultCause};
use tokio::time::{advance, sleep};
use uuid::Uuid;

use crate::fake::{MINUTE, SECOND, open, replica, seal, start, tenant, tenant_with};

fn held(sealer: &Sealer) -> HashSet<TenantId> {
    let held = sealer.holding();
    let tenants = held.iter().copied().collect::<HashSet<_>>();
    assert_eq!(tenants.len(), held.len(), "each is named once");
    tenants
}

fn numbered(number: u128) -> TenantKeys {
    TenantKeys {
        tenant: TenantId(Uuid::from_u128(number)),
        ..tenant()
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_a_lease_or_a_data_key_is_held_and_nobody_else() {
    let (vault, sealer) = start();
    for number in 1..=40 {
        seal(&sealer, &numbered(number)).await.unwrap();
    }
    let cold = seal(&replica(&vault), &numbered(41)).await.unwrap();
    assert_eq!(held(&sealer).len(), 40);
    open(&sealer, &numbered(41), &cold).await.unwrap();
    assert!(held(&sealer).contains(&numbered(41).tenant));
}

#[tokio::test(start_paused = true)]
async fn who_seals_one_message_with_each_key_leaves_nothing_to_hold_but_the_proof_that_others_rely_on() {
    let (vault, sealer) = start();
    let one_message = tenant_with(|policy| policy.lease_max_messages = 1);
    let sealed = seal(&sealer, &one_message).await.unwrap();
    assert!(held(&sealer).is_empty());
    let before = vault.unwraps();
    seal(&sealer, &one_message).await.unwrap();
    assert_eq!((vault.unwraps(), held(&sealer).len()), (before, 1));
    sealer.evict(one_message.tenant);
    assert!(held(&sealer).is_empty());
    open(&sealer, &one_message, &sealed).await.unwrap();
    assert_eq!(held(&sealer).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_evicted_or_refuses_is_not_held() {
    let (vault, sealer) = start();
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    sealer.evict(tenant().tenant);
    assert!(held(&sealer).is_empty());
    seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::KeyDisabled);
    assert!(open(&sealer, &tenant(), &cold).await.is_err());
    assert!(held(&sealer).is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_all_is_over_nobody_is_held() {
    let (_, sealer) = start();
    let brief = tenant_with(|policy| {
        policy.cache_ttl = SECOND / 100;
        policy.lease_max_age = SECOND / 100;
    });
    seal(&sealer, &brief).await.unwrap();
    assert_eq!(held(&sealer).len(), 1);
    let maintenance = tokio::spawn({
        let sealer = Arc::clone(&sealer);
        async move { sealer.maintain().await }
    });
    while !held(&sealer).is_empty() {
        sleep(SECOND).await;
    }
    maintenance.abort();
}

#[tokio::test(start_paused = true)]
async fn who_may_be_used_is_held_however_long_ago_it_was_used() {
    let (_, sealer) = start();
    let lasting = tenant_with(|policy| policy.cache_ttl = MINUTE * 60);
    let sealed = seal(&sealer, &lasting).await.unwrap();
    for _ in 0..50 {
        advance(MINUTE).await;
        assert_eq!(held(&sealer).len(), 1);
    }
    open(&sealer, &lasting, &sealed).await.unwrap();
}

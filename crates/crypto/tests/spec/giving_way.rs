//! Where a vault is near its limits, what nobody waits for leaves it to what somebody waits for.

use std::sync::Arc;

use keyferry_crypto::vault::{Call, Urgency, VaultCause};
use tokio::time::advance;

use crate::fake::{MINUTE, SECOND, cause, kid, open, opening, seal, start, tenant, tenant_with};

#[tokio::test(start_paused = true)]
async fn what_somebody_waits_for_is_a_request_and_what_nobody_waits_for_is_not() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(vault.urgencies(Call::Wrap), [Urgency::Request]);
    assert_eq!(vault.urgencies(Call::Unwrap), [Urgency::Request]);
    advance(MINUTE * 45 / 10).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    vault.begun(1, 2).await;
    seal(&sealer, &tenant()).await.unwrap();
    vault.begun(2, 3).await;
    assert_eq!(vault.urgencies(Call::Wrap)[1..], [Urgency::Background]);
    assert_eq!(vault.urgencies(Call::Unwrap)[1..], [Urgency::Background; 2]);
    sealer.evict(tenant().tenant);
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.urgencies(Call::Unwrap)[3..], [Urgency::Request]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gave_way_teaches_nothing() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.outage_grace = MINUTE * 60);
    let sealed = seal(&sealer, &tenant).await.unwrap();
    let first = kid(&sealed);
    vault.is_full(true);
    advance(MINUTE * 45 / 10).await;
    open(&sealer, &tenant, &sealed).await.unwrap();
    assert_eq!(kid(&seal(&sealer, &tenant).await.unwrap()), first);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(vault.urgencies(Call::Wrap)[1..], [Urgency::Background]);
    assert_eq!(vault.urgencies(Call::Unwrap)[1..], [Urgency::Background]);
    assert_eq!((vault.wraps(), vault.unwraps()), (1, 1));
    let stats = sealer.stats();
    assert_eq!((stats.vault_failures, stats.vault_refusals, stats.evictions), (0, 0, 0));
    // Past its TTL the key is used only if the vault is asked in vain: that a call gave way was no outage.
    advance(MINUTE).await;
    open(&sealer, &tenant, &sealed).await.unwrap();
    assert_eq!((vault.unwraps(), sealer.stats().grace_opens), (2, 0));
    assert_ne!(kid(&seal(&sealer, &tenant).await.unwrap()), first);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gave_way_is_made_again_a_moment_later() {
    let (vault, sealer) = start();
    let first = kid(&seal(&sealer, &tenant()).await.unwrap());
    vault.is_full(true);
    advance(MINUTE * 41 / 10).await;
    for _ in 0..20 {
        seal(&sealer, &tenant()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(vault.urgencies(Call::Wrap).len(), 2, "not by every request");
    vault.is_full(false);
    advance(SECOND * 5).await;
    assert_eq!(kid(&seal(&sealer, &tenant()).await.unwrap()), first);
    vault.begun(2, 2).await;
}

/// It is begun when nobody waits, and then somebody does.
#[tokio::test(start_paused = true)]
async fn whoever_comes_to_wait_for_a_call_that_gives_way_has_it_made() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let before = vault.calls();
    vault.is_full(true);
    vault.hangs();
    advance(MINUTE * 45 / 10).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    advance(MINUTE / 2).await;
    // The calls are begun, and not yet refused.
    assert_eq!(vault.urgencies(Call::Wrap)[1..], [Urgency::Background]);
    assert_eq!(vault.urgencies(Call::Unwrap)[1..], [Urgency::Background]);
    let sealing = tokio::spawn({
        let sealer = Arc::clone(&sealer);
        async move { seal(&sealer, &tenant()).await }
    });
    let opening = opening(&sealer, &tenant(), &sealed);
    tokio::task::yield_now().await;
    assert_eq!(vault.calls(), before, "they wait for those");
    vault.goes_on();
    sealing.await.unwrap().unwrap();
    opening.await.unwrap().unwrap();
    assert_eq!(vault.urgencies(Call::Wrap)[2..], [Urgency::Request]);
    assert_eq!(vault.urgencies(Call::Unwrap)[2..], [Urgency::Request; 2]);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_to_wait_for_a_call_in_the_background_shares_it() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    advance(MINUTE * 45 / 10).await;
    vault.hangs();
    open(&sealer, &tenant(), &sealed).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    vault.begun(2, 2).await;
    advance(MINUTE / 2).await;
    let opening = opening(&sealer, &tenant(), &sealed);
    tokio::task::yield_now().await;
    vault.goes_on();
    opening.await.unwrap().unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    assert_eq!((vault.wraps(), vault.unwraps()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_vault_has_no_room_for_is_told_so_and_nothing_is_taken() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::QuotaSpent);
    let other = crate::fake::made_up(&sealed, 1);
    assert_eq!(
        cause(open(&sealer, &tenant(), &other).await),
        Some(VaultCause::QuotaSpent)
    );
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(sealer.stats().evictions, 0);
}

//! Unavailable is not revoked: a tenant may let its cached keys outlive their TTL while its vault cannot be reached. That
//! needs its word, a failed call, and never a refusal.

use keyferry_crypto::{tenant::TenantKeys, vault::VaultCause};
use tokio::time::advance;

use crate::fake::{MINUTE, SECOND, cause, open, opening, seal, start, tenant, tenant_with};

fn graceful() -> TenantKeys {
    tenant_with(|policy| policy.outage_grace = MINUTE * 60)
}

#[tokio::test(start_paused = true)]
async fn without_grace_a_key_past_its_ttl_does_not_open() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::ConnectionFailed);
    advance(MINUTE * 5).await;
    assert_eq!(
        cause(open(&sealer, &tenant(), &sealed).await),
        Some(VaultCause::ConnectionFailed)
    );
}

#[tokio::test(start_paused = true)]
async fn with_grace_it_opens_while_the_vault_is_unavailable_and_no_longer_than_granted() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &graceful()).await.unwrap();
    vault.fails(VaultCause::ConnectionFailed);
    for _ in 0..7 {
        advance(MINUTE * 8).await;
        assert_eq!(
            open(&sealer, &graceful(), &sealed).await.unwrap().plaintext.expose(),
            b"payroll"
        );
    }
    assert_eq!(sealer.stats().grace_opens, 7);
    advance(MINUTE * 9).await;
    assert_eq!(
        cause(open(&sealer, &graceful(), &sealed).await),
        Some(VaultCause::ConnectionFailed)
    );
}

#[tokio::test(start_paused = true)]
async fn grace_needs_a_failed_call() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &graceful()).await.unwrap();
    advance(MINUTE * 6).await;
    open(&sealer, &graceful(), &sealed).await.unwrap();
    assert_eq!((vault.unwraps(), sealer.stats().grace_opens), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn grace_withdrawn_is_withdrawn_at_once() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &graceful()).await.unwrap();
    vault.fails(VaultCause::ConnectionFailed);
    advance(MINUTE * 6).await;
    open(&sealer, &graceful(), &sealed).await.unwrap();
    assert_eq!(
        cause(open(&sealer, &tenant(), &sealed).await),
        Some(VaultCause::ConnectionFailed)
    );
}

#[tokio::test(start_paused = true)]
async fn grace_is_no_answer_to_a_refusal_nor_to_a_failure_of_our_own() {
    for failure in [
        VaultCause::KeyDisabled,
        VaultCause::ConsentMissing,
        VaultCause::AppSecretExpired,
    ] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &graceful()).await.unwrap();
        vault.fails(failure);
        advance(MINUTE * 6).await;
        assert_eq!(cause(open(&sealer, &graceful(), &sealed).await), Some(failure));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_grace_for_good() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &graceful()).await.unwrap();
    vault.fails(VaultCause::Timeout);
    advance(MINUTE * 6).await;
    open(&sealer, &graceful(), &sealed).await.unwrap();
    vault.fails(VaultCause::KeyDisabled);
    advance(SECOND * 6).await;
    let _noticed_in_the_background = open(&sealer, &graceful(), &sealed).await;
    vault.begun(1, 3).await;
    tokio::task::yield_now().await;
    assert_eq!(
        cause(open(&sealer, &graceful(), &sealed).await),
        Some(VaultCause::KeyDisabled)
    );
    vault.fails(VaultCause::Timeout);
    advance(SECOND * 6).await;
    assert_eq!(
        cause(open(&sealer, &graceful(), &sealed).await),
        Some(VaultCause::Timeout)
    );
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_one_request_waits_and_the_next_do_not() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &graceful()).await.unwrap();
    vault.fails(VaultCause::Timeout);
    vault.hangs();
    advance(MINUTE * 6).await;
    let first = opening(&sealer, &graceful(), &sealed);
    vault.begun(1, 2).await;
    vault.goes_on();
    first.await.unwrap().unwrap();
    vault.hangs();
    for _ in 0..20 {
        advance(SECOND).await;
        open(&sealer, &graceful(), &sealed).await.unwrap();
    }
    tokio::task::yield_now().await;
    assert_eq!(vault.unwraps(), 3, "one more is under way in the background");
}

#[tokio::test(start_paused = true)]
async fn when_the_vault_is_back_the_key_is_fresh_again() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &graceful()).await.unwrap();
    vault.fails(VaultCause::Timeout);
    advance(MINUTE * 6).await;
    open(&sealer, &graceful(), &sealed).await.unwrap();
    vault.fails(None);
    advance(SECOND * 6).await;
    open(&sealer, &graceful(), &sealed).await.unwrap();
    vault.begun(1, 3).await;
    tokio::task::yield_now().await;
    let grace_opens = sealer.stats().grace_opens;
    advance(MINUTE * 3).await;
    open(&sealer, &graceful(), &sealed).await.unwrap();
    assert_eq!((vault.unwraps(), sealer.stats().grace_opens), (3, grace_opens));
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_in_an_outage_long_past_is_not_relied_on() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &graceful()).await.unwrap();
    vault.fails(VaultCause::Timeout);
    advance(MINUTE * 6).await;
    open(&sealer, &graceful(), &sealed).await.unwrap();
    vault.fails(VaultCause::KeyDisabled);
    advance(MINUTE).await;
    assert_eq!(
        cause(open(&sealer, &graceful(), &sealed).await),
        Some(VaultCause::KeyDisabled)
    );
}

//! What a replica learns that others want to know, it tells once.

use std::{iter, sync::Arc};

use keyferry_crypto::{
    news::{Learnt, News},
    sealer::Sealer,
    tenant::{TenantKeys, VersionPolicy},
    vault::{Call, VaultCause},
};
use tokio::{sync::broadcast::Receiver, time::advance};

use crate::fake::{
    MINUTE, SECOND, cause, open, opening, replica, replica_with, seal, start, tenant, tenant_with, version,
};

/// All that was told since the last time.
fn told(news: &mut Receiver<News>) -> Vec<Learnt> {
    let told: Vec<_> = iter::from_fn(|| news.try_recv().ok()).collect();
    assert!(told.iter().all(|news| news.tenant == tenant().tenant));
    told.into_iter().map(|news| news.learnt).collect()
}

/// A replica that has told under which version it wraps.
async fn listened_to() -> (Arc<crate::fake::FakeVault>, Arc<Sealer>, Receiver<News>) {
    let (vault, sealer) = start();
    let mut news = sealer.news();
    seal(&sealer, &tenant()).await.unwrap();
    assert!(matches!(&told(&mut news)[..], [Learnt::Wrapped(_)]));
    (vault, sealer, news)
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_once_however_many_are_refused() {
    let (vault, sealer, mut news) = listened_to().await;
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.fails(VaultCause::KeyDisabled);
    for _ in 0..1000 {
        let opened = open(&sealer, &tenant(), &cold).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
        advance(SECOND / 20).await;
    }
    let told = told(&mut news);
    let [Learnt::Refused(refusal)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((refusal.call, refusal.cause), (Call::Unwrap, VaultCause::KeyDisabled));
    assert_eq!(
        (&refusal.key, refusal.version.as_ref()),
        (&cold.kek.key, Some(&cold.kek.version))
    );
    assert_eq!(vault.forgotten(), 1, "what was got for the tenant");
}

#[tokio::test(start_paused = true)]
async fn it_is_told_though_nothing_was_held() {
    let (vault, sealer) = start();
    let mut news = sealer.news();
    vault.fails(VaultCause::FirewallDenied);
    assert!(seal(&sealer, &tenant()).await.is_err());
    let told = told(&mut news);
    let [Learnt::Refused(refusal)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((refusal.call, refusal.version.as_ref()), (Call::Wrap, None));
}

#[tokio::test(start_paused = true)]
async fn whatever_is_evicted_is_told_each_time_and_so_is_that_the_vault_serves_again() {
    let (vault, sealer, mut news) = listened_to().await;
    for round in 0..3 {
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        advance(MINUTE * 5).await;
        vault.fails(VaultCause::ConsentMissing);
        assert!(open(&sealer, &tenant(), &sealed).await.is_err());
        let refused = told(&mut news);
        assert!(matches!(&refused[..], [Learnt::Refused(_)]), "{round}: {refused:?}");
        vault.fails(None);
        advance(SECOND * 10).await;
        open(&sealer, &tenant(), &sealed).await.unwrap();
        let served = told(&mut news);
        assert!(matches!(&served[..], [Learnt::Serves]), "{round}: {served:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_passes_is_no_news() {
    let vault = crate::fake::FakeVault::new();
    let sealer = replica_with(&vault, |limits| limits.confirmation = SECOND * 3);
    let sealed = seal(&replica(&vault), &tenant()).await.unwrap();
    let mut news = sealer.news();
    vault.fails(VaultCause::RoleMissing);
    let refused = opening(&sealer, &tenant(), &sealed);
    vault.begun(1, 2).await;
    vault.fails(None);
    refused.await.unwrap().unwrap();
    assert!(told(&mut news).is_empty());
    vault.fails(VaultCause::RoleMissing);
    sealer.evict(tenant().tenant);
    assert!(open(&sealer, &tenant(), &sealed).await.is_err());
    assert!(matches!(&told(&mut news)[..], [Learnt::Refused(_)]));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_once_and_so_is_its_end() {
    let (vault, sealer, mut news) = listened_to().await;
    let one_message = tenant_with(|policy| policy.lease_max_messages = 1);
    vault.fails(VaultCause::Timeout);
    for _ in 0..20 {
        assert!(seal(&sealer, &one_message).await.is_err());
        advance(SECOND).await;
    }
    let outage = told(&mut news);
    assert!(matches!(&outage[..], [Learnt::Unavailable(error)] if error.cause() == VaultCause::Timeout));
    vault.fails(None);
    for _ in 0..20 {
        seal(&sealer, &one_message).await.unwrap();
    }
    assert!(matches!(&told(&mut news)[..], [Learnt::Serves]));
}

#[tokio::test(start_paused = true)]
async fn what_is_our_own_or_a_callers_fault_is_no_news_of_the_customer() {
    let (vault, sealer, mut news) = listened_to().await;
    for failure in [VaultCause::AppSecretExpired, VaultCause::WrappedKeyInvalid] {
        let cold = seal(&replica(&vault), &tenant()).await.unwrap();
        vault.fails_to_unwrap(failure);
        assert!(open(&sealer, &tenant(), &cold).await.is_err());
        vault.fails_to_unwrap(None);
        advance(MINUTE * 2).await;
        open(&sealer, &tenant(), &cold).await.unwrap();
    }
    assert!(told(&mut news).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_version_that_wraps_is_told_when_it_is_another_than_before() {
    let (vault, sealer, mut news) = listened_to().await;
    for _ in 0..3 {
        advance(MINUTE * 5).await;
        seal(&sealer, &tenant()).await.unwrap();
    }
    assert!(told(&mut news).is_empty());
    vault.rotates();
    advance(MINUTE * 5).await;
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    assert!(matches!(&told(&mut news)[..], [Learnt::Wrapped(kek)] if *kek == sealed.kek));
    let pinned = TenantKeys {
        version: VersionPolicy::Pinned(version(0).parse().unwrap()),
        ..tenant()
    };
    seal(&sealer, &pinned).await.unwrap();
    assert!(told(&mut news).is_empty(), "it was not left to choose");
}

//! Once a newer version of a key is told of, nothing is sealed under an older one; and nothing fails for it.

use std::sync::Arc;

use keyferry_crypto::{
    news::Learnt,
    sealer::{Sealed, Sealer},
    tenant::{TenantKeys, VersionPolicy},
    vault::{Call, Urgency, VaultCause},
};
use tokio::{task::JoinSet, time::advance};

use crate::fake::{
    FakeVault, MINUTE, SECOND, cause, kek, key, kid, open, replica, seal, start, tenant, tenant_with, version,
};

/// The customer rotates its key, and the sealer is told.
fn rotate(vault: &FakeVault, sealer: &Sealer, to: u8) {
    vault.rotates();
    sealer.follow(&tenant(), &kek(&tenant(), &version(to)));
}

fn number(sealed: &Sealed) -> &str {
    sealed.kek.version.as_str()
}

fn sealing(sealer: &Arc<Sealer>) -> tokio::task::JoinHandle<Sealed> {
    let sealer = Arc::clone(sealer);
    tokio::spawn(async move { seal(&sealer, &tenant()).await.unwrap() })
}

#[tokio::test(start_paused = true)]
async fn the_next_message_is_sealed_under_the_newest_version() {
    let (vault, sealer) = start();
    let old = seal(&sealer, &tenant()).await.unwrap();
    rotate(&vault, &sealer, 1);
    let new = seal(&sealer, &tenant()).await.unwrap();
    assert_eq!((number(&old), number(&new)), (&*version(0), &*version(1)));
    assert_eq!(vault.wraps(), 2);
    let before = vault.calls();
    for sealed in [&old, &new] {
        open(&sealer, &tenant(), sealed).await.unwrap();
    }
    assert_eq!(vault.calls(), before, "both are held for opening");
    assert_eq!(sealer.stats().evictions, 0);
}

#[tokio::test(start_paused = true)]
async fn the_next_lease_is_made_before_anybody_asks() {
    let (vault, sealer) = start();
    seal(&sealer, &tenant()).await.unwrap();
    rotate(&vault, &sealer, 1);
    vault.begun(2, 2).await;
    tokio::task::yield_now().await;
    let before = vault.calls();
    assert_eq!(number(&seal(&sealer, &tenant()).await.unwrap()), version(1));
    assert_eq!(vault.calls(), before);
    assert_eq!(vault.urgencies(Call::Wrap), [Urgency::Request, Urgency::Background]);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_lease_has_none_made() {
    let (vault, sealer) = start();
    rotate(&vault, &sealer, 1);
    tokio::task::yield_now().await;
    assert_eq!(vault.wraps(), 0);
    assert_eq!(number(&seal(&sealer, &tenant()).await.unwrap()), version(1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_under_the_newest_version_goes_on_and_nobody_waits() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.lease_max_messages = 10);
    vault.rotates();
    let mut sealed = vec![];
    for message in 0..10 {
        if message == 4 {
            sealer.follow(&tenant, &kek(&tenant, &version(1)));
        }
        sealed.push(kid(&seal(&sealer, &tenant).await.unwrap()));
    }
    let first = sealed[0];
    assert!(sealed.iter().all(|&other| other == first));
    let next = kid(&seal(&sealer, &tenant).await.unwrap());
    assert_ne!(next, first, "and seals as many messages as it may, not more");
}

#[tokio::test(start_paused = true)]
async fn to_be_told_again_changes_nothing() {
    let (vault, sealer) = start();
    seal(&sealer, &tenant()).await.unwrap();
    rotate(&vault, &sealer, 1);
    let first = kid(&seal(&sealer, &tenant()).await.unwrap());
    for _ in 0..10 {
        sealer.follow(&tenant(), &kek(&tenant(), &version(1)));
        assert_eq!(kid(&seal(&sealer, &tenant()).await.unwrap()), first);
    }
    assert_eq!(vault.wraps(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_being_made_under_the_old_version_serves_who_asked_before_and_nobody_after() {
    let (vault, sealer) = start();
    vault.hangs_to_wrap();
    let early = sealing(&sealer);
    vault.begun(1, 0).await;
    rotate(&vault, &sealer, 1);
    let late = sealing(&sealer);
    vault.begun(2, 0).await;
    vault.goes_on();
    let (early, late) = (early.await.unwrap(), late.await.unwrap());
    assert_eq!((number(&early), number(&late)), (&*version(0), &*version(1)));
    for _ in 0..10 {
        tokio::task::yield_now().await;
        assert_eq!(number(&seal(&sealer, &tenant()).await.unwrap()), version(1));
    }
    open(&replica(&vault), &tenant(), &early).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn so_does_one_that_is_wrapped_and_not_yet_proven() {
    let (vault, sealer) = start();
    vault.hangs_to_prove();
    let early = sealing(&sealer);
    vault.begun(1, 1).await;
    rotate(&vault, &sealer, 1);
    let late = sealing(&sealer);
    vault.begun(2, 2).await;
    vault.goes_on();
    let (early, late) = (early.await.unwrap(), late.await.unwrap());
    assert_eq!((number(&early), number(&late)), (&*version(0), &*version(1)));
    for _ in 0..10 {
        tokio::task::yield_now().await;
        assert_eq!(number(&seal(&sealer, &tenant()).await.unwrap()), version(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_under_way_brings_nothing_old_back() {
    let (vault, sealer) = start();
    seal(&sealer, &tenant()).await.unwrap();
    advance(MINUTE * 41 / 10).await;
    vault.hangs_to_wrap();
    seal(&sealer, &tenant()).await.unwrap();
    vault.begun(2, 0).await;
    rotate(&vault, &sealer, 1);
    vault.begun(3, 0).await;
    vault.goes_on();
    for _ in 0..20 {
        tokio::task::yield_now().await;
        assert_eq!(number(&seal(&sealer, &tenant()).await.unwrap()), version(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_of_the_vaults_that_has_not_heard_of_it_is_asked_for_the_newest_by_name() {
    for tenant in [tenant(), tenant_with(|policy| policy.lease_max_messages = 1)] {
        let (vault, sealer) = start();
        seal(&sealer, &tenant).await.unwrap();
        vault.rotates();
        vault.lags(true);
        sealer.follow(&tenant, &kek(&tenant, &version(1)));
        for _ in 0..5 {
            assert_eq!(number(&seal(&sealer, &tenant).await.unwrap()), version(1));
        }
        // It has a newer one by now, of which nobody has told.
        vault.lags(false);
        vault.rotates();
        advance(MINUTE * 5).await;
        assert_eq!(number(&seal(&sealer, &tenant).await.unwrap()), version(2));
    }
}

#[tokio::test(start_paused = true)]
async fn to_be_told_late_of_the_version_before_takes_nobody_back_to_it() {
    for tenant in [tenant(), tenant_with(|policy| policy.lease_max_messages = 1)] {
        let (vault, sealer) = start();
        seal(&sealer, &tenant).await.unwrap();
        vault.rotates();
        advance(MINUTE * 5).await;
        assert_eq!(number(&seal(&sealer, &tenant).await.unwrap()), version(1));
        sealer.follow(&tenant, &kek(&tenant, &version(0)));
        assert_eq!(number(&seal(&sealer, &tenant).await.unwrap()), version(1));
        sealer.evict(tenant.tenant);
        let before = vault.wraps();
        assert_eq!(number(&seal(&sealer, &tenant).await.unwrap()), version(1));
        assert_eq!(vault.wraps(), before + 1, "nor is it wrapped again by name");
        sealer.follow(&tenant, &kek(&tenant, &version(1)));
        vault.lags(true);
        sealer.evict(tenant.tenant);
        assert_eq!(number(&seal(&sealer, &tenant).await.unwrap()), version(1));
    }
}

/// Machines that have not heard of the newest version wrap under the former one, and know none by the name of the newest.
#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_know_the_newest_version_refuses_nothing() {
    let (vault, sealer) = start();
    let first = seal(&sealer, &tenant()).await.unwrap();
    vault.rotates();
    vault.lags(true);
    vault.knows_no_version(3);
    let mut news = sealer.news();
    sealer.follow(&tenant(), &kek(&tenant(), &version(1)));
    assert_eq!(number(&seal(&sealer, &tenant()).await.unwrap()), version(1));
    vault.knows_no_version(100);
    sealer.evict(tenant().tenant);
    let sealed = seal(&sealer, &tenant()).await;
    assert_eq!(cause(sealed), Some(VaultCause::AnswerInvalid));
    vault.knows_no_version(0);
    seal(&sealer, &tenant()).await.unwrap();
    open(&sealer, &tenant(), &first).await.unwrap();
    while let Ok(news) = news.try_recv() {
        assert!(!matches!(news.learnt, Learnt::Refused(_)), "{news:?}");
    }
}

#[tokio::test]
async fn rotation_under_load_fails_nothing() {
    let (vault, sealer) = start();
    let mut seals = JoinSet::new();
    for _ in 0..20 {
        let sealer = Arc::clone(&sealer);
        seals.spawn(async move {
            let mut sealed = vec![];
            for _ in 0..200 {
                sealed.push(seal(&sealer, &tenant()).await.unwrap());
                tokio::task::yield_now().await;
            }
            sealed
        });
    }
    for version in 1..=5 {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        rotate(&vault, &sealer, version);
    }
    let after = seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(number(&after), version(5));
    for sealed in seals.join_all().await {
        // To read versions as numbers is the fake's privilege.
        assert!(sealed.is_sorted_by_key(|sealed| sealed.kek.version.as_str().to_owned()));
        for sealed in sealed.iter().step_by(50) {
            open(&sealer, &tenant(), sealed).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pinned_tenant_follows_nothing_and_nobody_follows_another_key() {
    let (vault, sealer) = start();
    let pinned = TenantKeys {
        version: VersionPolicy::Pinned(version(0).parse().unwrap()),
        ..tenant()
    };
    let elsewhere = TenantKeys {
        current: key("acme", "other"),
        ..tenant()
    };
    for (tenant, told) in [
        (pinned.clone(), kek(&pinned, &version(1))),
        (tenant(), kek(&elsewhere, &version(1))),
    ] {
        let before = kid(&seal(&sealer, &tenant).await.unwrap());
        let wraps = vault.wraps();
        sealer.follow(&tenant, &told);
        assert_eq!(kid(&seal(&sealer, &tenant).await.unwrap()), before);
        assert_eq!(vault.wraps(), wraps);
    }
}

#[tokio::test(start_paused = true)]
async fn a_newest_version_that_does_not_seal_is_told_with_its_cause_and_what_was_sealed_opens() {
    let (vault, sealer) = start();
    let old = seal(&sealer, &tenant()).await.unwrap();
    vault.fails_to_wrap(VaultCause::KeyNotUsable);
    rotate(&vault, &sealer, 1);
    assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::KeyNotUsable));
    open(&sealer, &tenant(), &old).await.unwrap();
    vault.fails_to_wrap(None);
    advance(SECOND * 5).await;
    assert_eq!(number(&seal(&sealer, &tenant()).await.unwrap()), version(1));
}

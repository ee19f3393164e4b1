//! What the customer refuses one replica, no other uses any more.

use keyferry_crypto::{
    id::TenantId,
    news::Refusal,
    tenant::TenantKeys,
    vault::{Call, Evidence, VaultCause},
};
use tokio::{sync::broadcast::error::TryRecvError, time::advance};
use uuid::Uuid;

use crate::fake::{SECOND, cause, open, opening, replica, seal, start, tenant};

/// That of an unwrap under the key that `sealed` names.
fn refusal(sealed: &keyferry_crypto::sealer::Sealed, cause: VaultCause) -> Refusal {
    Refusal {
        call: Call::Unwrap,
        key: sealed.kek.key.clone(),
        version: Some(sealed.kek.version.clone()),
        cause,
        evidence: Evidence::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_elsewhere_evicts_what_it_reaches_and_is_the_answer_for_a_moment() {
    let (vault, sealer) = start();
    let old = seal(&replica(&vault), &tenant()).await.unwrap();
    open(&sealer, &tenant(), &old).await.unwrap();
    vault.rotates();
    let new = seal(&sealer, &tenant()).await.unwrap();
    let before = vault.calls();
    sealer.obey(&tenant(), &refusal(&old, VaultCause::KeyDisabled));
    for _ in 0..10 {
        let opened = open(&sealer, &tenant(), &old).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
        open(&sealer, &tenant(), &new).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
    }
    assert_eq!(vault.calls(), before, "what it does not reach is left alone");
    assert_eq!(sealer.stats().evictions, 1);
    advance(SECOND * 5).await;
    open(&sealer, &tenant(), &old).await.unwrap();
    assert_eq!(vault.unwraps(), before.unwraps + 1);
}

/// A replica whose address the customer does not let in is no reason to refuse where the vault serves.
#[tokio::test(start_paused = true)]
async fn a_refusal_elsewhere_that_may_be_of_an_address_evicts_and_has_the_vault_asked_here() {
    for withdrawal in [VaultCause::FirewallDenied, VaultCause::ConditionalAccess] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        let before = vault.calls();
        sealer.obey(&tenant(), &refusal(&sealed, withdrawal));
        open(&sealer, &tenant(), &sealed).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
        assert_eq!(sealer.stats().evictions, 1);
        assert_eq!(vault.wraps(), before.wraps + 1, "the lease was evicted");
        assert!(vault.unwraps() > before.unwraps, "the data key was evicted");
        sealer.obey(&tenant(), &refusal(&sealed, withdrawal));
        vault.fails(withdrawal);
        assert_eq!(cause(open(&sealer, &tenant(), &sealed).await), Some(withdrawal));
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(withdrawal));
    }
}

/// It may have been taken back since.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_was_told_long_ago_evicts_and_has_the_vault_asked_here() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let before = vault.calls();
    sealer.obey_late(&tenant(), &refusal(&sealed, VaultCause::RoleMissing));
    open(&sealer, &tenant(), &sealed).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(vault.wraps(), before.wraps + 1, "the lease was evicted");
    assert!(vault.unwraps() > before.unwraps, "the data key was evicted");
}

#[tokio::test(start_paused = true)]
async fn it_reaches_as_far_as_if_it_had_been_said_here() {
    for (withdrawal, evicts) in [
        (VaultCause::KeyDisabled, false),
        (VaultCause::KeyNotFound, true),
        (VaultCause::RoleMissing, true),
        (VaultCause::ConsentMissing, true),
    ] {
        let (vault, sealer) = start();
        let old = seal(&replica(&vault), &tenant()).await.unwrap();
        vault.rotates();
        let new = seal(&sealer, &tenant()).await.unwrap();
        let before = vault.calls();
        sealer.obey(&tenant(), &refusal(&old, withdrawal));
        open(&sealer, &tenant(), &new).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
        assert_eq!(vault.calls() != before, evicts, "{withdrawal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_wrap_elsewhere_ends_sealing_and_has_the_vault_asked_before_the_next_open() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let before = vault.calls();
    let refused = Refusal {
        call: Call::Wrap,
        version: None,
        ..refusal(&sealed, VaultCause::RoleMissing)
    };
    sealer.obey(&tenant(), &refused);
    for _ in 0..10 {
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::RoleMissing));
        open(&sealer, &tenant(), &sealed).await.unwrap();
    }
    assert_eq!((vault.wraps(), vault.unwraps()), (before.wraps, before.unwraps + 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_under_way_answers_nobody_who_came_after() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let cold = replica(&vault);
    vault.hangs();
    let before = opening(&cold, &tenant(), &sealed);
    vault.begun(1, 2).await;
    cold.obey(&tenant(), &refusal(&sealed, VaultCause::KeyDisabled));
    vault.goes_on();
    assert!(before.await.unwrap().is_ok(), "the vault had agreed before");
    let after = open(&cold, &tenant(), &sealed).await;
    assert_eq!(cause(after), Some(VaultCause::KeyDisabled));
}

#[tokio::test(start_paused = true)]
async fn no_news_is_made_of_it_and_what_was_got_for_the_tenant_is_forgotten() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let mut news = sealer.news();
    sealer.obey(&tenant(), &refusal(&sealed, VaultCause::ConsentMissing));
    assert_eq!(vault.forgotten(), 1);
    vault.fails(VaultCause::ConsentMissing);
    for _ in 0..5 {
        advance(SECOND * 6).await;
        let opened = open(&sealer, &tenant(), &sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::ConsentMissing));
    }
    assert_eq!(
        news.try_recv().unwrap_err(),
        TryRecvError::Empty,
        "it goes on as was told"
    );
}

#[tokio::test(start_paused = true)]
async fn other_tenants_are_not_touched() {
    let (vault, sealer) = start();
    let neighbour = TenantKeys {
        tenant: TenantId(Uuid::from_u128(99)),
        ..tenant()
    };
    let theirs = seal(&sealer, &neighbour).await.unwrap();
    let before = vault.calls();
    sealer.obey(&tenant(), &refusal(&theirs, VaultCause::ConsentMissing));
    open(&sealer, &neighbour, &theirs).await.unwrap();
    seal(&sealer, &neighbour).await.unwrap();
    assert_eq!(vault.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_refusal_evicts_nothing() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    sealer.obey(&tenant(), &refusal(&sealed, VaultCause::Timeout));
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!((vault.unwraps(), vault.forgotten()), (1, 0));
}

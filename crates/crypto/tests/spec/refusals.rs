//! A customer's no takes effect at once, reaches as far as it is meant, and is not asked for again and again.

use std::sync::Arc;

use keyferry_crypto::{
    sealer::{Sealer, SealerError, SealerLimits},
    vault::{KeyVault, VaultCause},
};
use tokio::time::advance;

use crate::fake::{FakeVault, MINUTE, SECOND, cause, key, made_up, open, replica, seal, start, tenant, tenant_with};

const WHOLE_VAULT: [VaultCause; 3] = [
    VaultCause::RoleMissing,
    VaultCause::FirewallDenied,
    VaultCause::ConsentMissing,
];

#[tokio::test(start_paused = true)]
async fn a_refusal_is_remembered_for_a_moment() {
    for refusal in [VaultCause::KeyDisabled, VaultCause::KeyNotFound] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        let cold = replica(&vault);
        vault.fails(refusal);
        for _ in 0..100 {
            assert_eq!(cause(open(&cold, &tenant(), &sealed).await), Some(refusal));
        }
        assert_eq!(vault.unwraps(), 2);
        assert_eq!(cold.stats().refusals_recalled, 99);
        vault.fails(None);
        advance(SECOND * 5).await;
        open(&cold, &tenant(), &sealed).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_wrap_is_remembered_for_a_moment() {
    let (vault, sealer) = start();
    vault.fails(VaultCause::FirewallDenied);
    for _ in 0..100 {
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::FirewallDenied));
    }
    assert_eq!(vault.wraps(), 1);
    vault.fails(None);
    advance(SECOND * 10).await;
    seal(&sealer, &tenant()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_cause_is_remembered_as_long_as_it_is_worth() {
    for (refusal, seconds) in [
        (VaultCause::KeyDisabled, 5),
        (VaultCause::RoleMissing, 5),
        (VaultCause::FirewallDenied, 10),
        (VaultCause::ConsentMissing, 10),
        (VaultCause::WrappedKeyInvalid, 60),
    ] {
        let (vault, sealer) = start();
        let sealed = seal(&replica(&vault), &tenant()).await.unwrap();
        vault.fails(refusal);
        assert_eq!(cause(open(&sealer, &tenant(), &sealed).await), Some(refusal));
        vault.fails(None);
        advance(SECOND * (seconds - 1)).await;
        assert_eq!(cause(open(&sealer, &tenant(), &sealed).await), Some(refusal));
        advance(SECOND).await;
        open(&sealer, &tenant(), &sealed).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_makes_up_versions_or_bytes_has_no_customers_refusal_forgotten() {
    let vault = FakeVault::new();
    let limits = SealerLimits {
        cached_refusals: 10,
        ..SealerLimits::default()
    };
    let sealer = Sealer::new(Arc::clone(&vault) as Arc<dyn KeyVault>, limits);
    let old = seal(&sealer, &tenant()).await.unwrap();
    vault.rotates();
    advance(MINUTE * 5).await;
    let new = seal(&sealer, &tenant()).await.unwrap();
    vault.fails_at_version(&old.kek, VaultCause::KeyDisabled);
    assert_eq!(
        cause(open(&sealer, &tenant(), &old).await),
        Some(VaultCause::KeyDisabled)
    );
    for number in 0..200_u32 {
        let unknown = open(&sealer, &tenant(), &made_up(&new, number)).await;
        assert_eq!(cause(unknown), Some(VaultCause::KeyNotFound));
        let mut bad = new.clone();
        let wrapped = bad.envelope.len() - 200;
        bad.envelope[wrapped..wrapped + 4].copy_from_slice(&(number + 1).to_be_bytes());
        let bad = open(&sealer, &tenant(), &bad).await;
        assert_eq!(cause(bad), Some(VaultCause::WrappedKeyInvalid));
    }
    let before = vault.calls();
    assert_eq!(
        cause(open(&sealer, &tenant(), &old).await),
        Some(VaultCause::KeyDisabled)
    );
    assert_eq!(vault.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn nor_is_a_vault_that_refuses_all_asked_for_versions_that_may_be_made_up() {
    for refusal in WHOLE_VAULT {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        let canary = sealer.plant(&tenant()).await.unwrap();
        vault.fails(refusal);
        assert!(sealer.probe(&tenant(), &canary).await.is_err());
        let before = vault.calls();
        for number in 0..50 {
            let made_up = open(&sealer, &tenant(), &made_up(&sealed, number)).await;
            assert_eq!(cause(made_up), Some(refusal));
            assert_eq!(cause(open(&sealer, &tenant(), &sealed).await), Some(refusal));
        }
        assert_eq!(vault.calls(), before, "{refusal:?}");
        vault.fails(None);
        sealer.probe(&tenant(), &canary).await.unwrap();
        let made_up = open(&sealer, &tenant(), &made_up(&sealed, 1)).await;
        assert_eq!(cause(made_up), Some(VaultCause::KeyNotFound), "it is asked again");
        vault.fails(refusal);
        assert!(sealer.probe(&tenant(), &canary).await.is_err());
        vault.fails(None);
        sealer.evict(tenant().tenant);
        let made_up = open(&sealer, &tenant(), &crate::fake::made_up(&sealed, 2)).await;
        assert_eq!(cause(made_up), Some(VaultCause::KeyNotFound), "it is asked again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_wrap_says_nothing_of_versions_that_nobody_knows() {
    let (vault, sealer) = start();
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.fails_to_wrap(VaultCause::RoleMissing);
    assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::RoleMissing));
    open(&sealer, &tenant(), &cold).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn eviction_forgets_refusals() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let cold = replica(&vault);
    vault.fails(VaultCause::KeyDisabled);
    assert!(open(&cold, &tenant(), &sealed).await.is_err());
    vault.fails(None);
    cold.evict(tenant().tenant);
    open(&cold, &tenant(), &sealed).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bytes_that_do_not_unwrap_are_remembered_and_harm_no_others() {
    let (vault, sealer) = start();
    let good = seal(&sealer, &tenant()).await.unwrap();
    let mut bad = good.clone();
    let wrapped = bad.envelope.len() - 100;
    bad.envelope[wrapped] ^= 1;
    for _ in 0..10 {
        assert_eq!(
            cause(open(&sealer, &tenant(), &bad).await),
            Some(VaultCause::WrappedKeyInvalid)
        );
    }
    assert_eq!(vault.unwraps(), 2);
    open(&sealer, &tenant(), &good).await.unwrap();
    assert_eq!((vault.unwraps(), sealer.stats().evictions), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn neither_outages_nor_our_own_failures_are_remembered() {
    for failure in [
        VaultCause::Timeout,
        VaultCause::Throttled,
        VaultCause::VaultNotFound,
        VaultCause::AppSecretExpired,
    ] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        let cold = replica(&vault);
        vault.fails(failure);
        assert_eq!(cause(open(&cold, &tenant(), &sealed).await), Some(failure));
        vault.fails(None);
        open(&cold, &tenant(), &sealed).await.unwrap();
        assert_eq!(cold.stats().evictions, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_vault_evicts_all_that_is_in_it() {
    for refusal in WHOLE_VAULT {
        let (vault, sealer) = start();
        let [hot, cold] = two_versions(&vault, &sealer).await;
        vault.fails(refusal);
        assert_eq!(cause(open(&sealer, &tenant(), &cold).await), Some(refusal));
        assert_eq!(
            cause(open(&sealer, &tenant(), &hot).await),
            Some(refusal),
            "{refusal:?}"
        );
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(refusal), "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_one_version_leaves_the_others() {
    for refusal in [
        VaultCause::KeyDisabled,
        VaultCause::KeyNotUsable,
        VaultCause::KeyOperationForbidden,
    ] {
        let (vault, sealer) = start();
        let [hot, cold] = two_versions(&vault, &sealer).await;
        vault.fails_at_version(&cold.kek, refusal);
        let before = vault.calls();
        assert_eq!(cause(open(&sealer, &tenant(), &cold).await), Some(refusal));
        open(&sealer, &tenant(), &hot).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
        assert_eq!((vault.wraps(), vault.unwraps()), (before.wraps, before.unwraps + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_key_is_deleted_with_all_its_versions() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.cache_ttl = MINUTE * 60);
    let cold = seal(&replica(&vault), &tenant).await.unwrap();
    let old = seal(&sealer, &tenant).await.unwrap();
    vault.rotates();
    advance(MINUTE * 5).await;
    let new = seal(&sealer, &tenant).await.unwrap();
    assert_ne!(old.kek, new.kek);
    vault.fails(VaultCause::KeyNotFound);
    let before = vault.calls();
    // It is noticed where a data key is asked for that is not cached.
    for sealed in [&cold, &old, &new] {
        let opened = open(&sealer, &tenant, sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyNotFound));
    }
    assert_eq!(cause(seal(&sealer, &tenant).await), Some(VaultCause::KeyNotFound));
    assert_eq!(vault.wraps(), before.wraps + 1, "the lease is over");
    assert_eq!(sealer.stats().evictions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_may_be_made_up_evicts_nothing_but_has_the_others_asked_for() {
    let (vault, sealer) = start();
    let [hot, cold] = two_versions(&vault, &sealer).await;
    advance(SECOND * 10).await;
    let before = vault.unwraps();
    for number in 0..100 {
        let opened = open(&sealer, &tenant(), &made_up(&hot, number)).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyNotFound));
        open(&sealer, &tenant(), &hot).await.unwrap();
    }
    assert_eq!(vault.unwraps(), before + 100 + 1, "once in a while");
    let stats = sealer.stats();
    assert_eq!((stats.evictions, stats.vault_refusals), (0, 0));
    // The key is deleted indeed: noticed through a version that this replica never used.
    advance(SECOND * 10).await;
    vault.fails(VaultCause::KeyNotFound);
    for sealed in [&cold, &hot] {
        let opened = open(&sealer, &tenant(), sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyNotFound));
    }
    assert_eq!(sealer.stats().evictions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_where_nothing_was_held_is_no_eviction() {
    for refusal in [VaultCause::KeyDisabled, VaultCause::RoleMissing] {
        let (vault, sealer) = start();
        let cold = seal(&replica(&vault), &tenant()).await.unwrap();
        vault.fails(refusal);
        for _ in 0..10 {
            advance(SECOND * 6).await;
            assert_eq!(cause(open(&sealer, &tenant(), &cold).await), Some(refusal));
        }
        sealer.evict(tenant().tenant);
        sealer.evict_all();
        assert_eq!(sealer.stats().evictions, 0);
    }
}

/// An envelope under the present version, whose key this replica holds, and one under the version before, made elsewhere.
async fn two_versions(
    vault: &std::sync::Arc<crate::fake::FakeVault>,
    sealer: &keyferry_crypto::sealer::Sealer,
) -> [keyferry_crypto::sealer::Sealed; 2] {
    let cold = seal(&replica(vault), &tenant()).await.unwrap();
    vault.rotates();
    let hot = seal(sealer, &tenant()).await.unwrap();
    assert_ne!(hot.kek, cold.kek);
    [hot, cold]
}

#[tokio::test(start_paused = true)]
async fn a_former_vault_that_refuses_does_not_touch_the_present_one() {
    let (vault, sealer) = start();
    let mut before = tenant();
    before.current = key("former", "kek");
    let old = seal(&replica(&vault), &before).await.unwrap();
    let mut moved = tenant();
    moved.former = vec![before.current];
    let new = seal(&sealer, &moved).await.unwrap();
    vault.fails_to_unwrap(VaultCause::PublicAccessDisabled);
    assert_eq!(
        cause(open(&sealer, &moved, &old).await),
        Some(VaultCause::PublicAccessDisabled)
    );
    open(&sealer, &moved, &new).await.unwrap();
    assert_eq!(vault.unwraps(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_tenants_refusal_is_not_anothers() {
    let (vault, sealer) = start();
    let mut neighbour = tenant();
    neighbour.tenant = keyferry_crypto::id::TenantId(uuid::Uuid::from_u128(99));
    let theirs = seal(&sealer, &neighbour).await.unwrap();
    let ours = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.fails(VaultCause::ConsentMissing);
    assert_eq!(
        cause(open(&sealer, &tenant(), &ours).await),
        Some(VaultCause::ConsentMissing)
    );
    open(&sealer, &neighbour, &theirs).await.unwrap();
    assert_eq!(vault.unwraps(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_key_opens_nothing_once_the_ttl_is_over_and_at_once_where_it_is_noticed() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::KeyDisabled);
    open(&sealer, &tenant(), &sealed).await.unwrap();
    advance(MINUTE * 42 / 10).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    vault.begun(1, 2).await;
    tokio::task::yield_now().await;
    let opened = open(&sealer, &tenant(), &sealed).await;
    assert!(matches!(opened, Err(SealerError::Vault(error)) if error.cause() == VaultCause::KeyDisabled));
}

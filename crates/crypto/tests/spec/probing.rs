//! A canary finds out how things are, whatever is kept and whatever is under way; and what it finds out counts at once.

use std::sync::Arc;

use keyferry_crypto::{
    canary::Canary,
    sealer::Sealer,
    tenant::{TenantKeys, VersionPolicy},
    vault::{Call, Urgency, VaultCause},
};
use tokio::time::advance;

use crate::fake::{
    FakeVault, MINUTE, MOST_CALLS, SECOND, cause, kek, key, made_up, open, opening, replica, seal, start, tenant,
    tenant_with, version,
};

async fn probe(sealer: &Sealer, canary: &Canary) -> Option<VaultCause> {
    sealer.probe(&tenant(), canary).await.err().map(|error| error.cause())
}

#[tokio::test(start_paused = true)]
async fn a_canary_costs_a_wrap_and_an_unwrap_and_then_an_unwrap_each_time() {
    let (vault, sealer) = start();
    let canary = sealer.plant(&tenant()).await.unwrap();
    assert_eq!((vault.wraps(), vault.unwraps()), (1, 1));
    for _ in 0..5 {
        assert_eq!(probe(&sealer, &canary).await, None);
    }
    assert_eq!((vault.wraps(), vault.unwraps()), (1, 6));
    assert_eq!(sealer.stats().probes, 5);
    assert_eq!(vault.urgencies(Call::Wrap), [Urgency::Watch]);
    assert_eq!(vault.urgencies(Call::Unwrap), [Urgency::Watch; 6]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_proof_of_the_key_that_wrapped_it_alone() {
    let (vault, sealer) = start();
    let canary = sealer.plant(&tenant()).await.unwrap();
    let other = Canary {
        digest: [0; 32],
        ..canary.clone()
    };
    assert_eq!(probe(&sealer, &other).await, Some(VaultCause::AnswerInvalid));
    vault.fails_to_unwrap(VaultCause::WrappedKeyInvalid);
    assert_eq!(
        probe(&sealer, &canary).await,
        Some(VaultCause::AnswerInvalid),
        "no caller's fault"
    );
    vault.fails_to_unwrap(None);
    assert_eq!(probe(&sealer, &canary).await, None, "nor remembered");
    vault.mixes_keys_up();
    assert_eq!(cause(sealer.plant(&tenant()).await), Some(VaultCause::AnswerInvalid));
}

/// One of the vault's machines has wrapped under a new version, and another has not heard of it.
#[tokio::test(start_paused = true)]
async fn a_new_version_that_a_machine_has_not_heard_of_is_no_refusal() {
    let (vault, sealer) = start();
    sealer.plant(&tenant()).await.unwrap();
    vault.rotates();
    vault.fails_at_version(&kek(&tenant(), &version(1)), VaultCause::KeyNotFound);
    for _ in 0..2 {
        assert_eq!(cause(sealer.plant(&tenant()).await), Some(VaultCause::AnswerInvalid));
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::AnswerInvalid));
    }
    vault.fails_to_wrap(VaultCause::KeyNotFound);
    advance(SECOND * 6).await;
    let refused = seal(&sealer, &tenant()).await;
    assert_eq!(cause(refused), Some(VaultCause::KeyNotFound), "the key is gone");
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_not_answered_from_memory() {
    let (vault, sealer) = start();
    let canary = sealer.plant(&tenant()).await.unwrap();
    vault.fails(VaultCause::RoleMissing);
    let before = vault.calls();
    for _ in 0..3 {
        assert_eq!(probe(&sealer, &canary).await, Some(VaultCause::RoleMissing));
        assert_eq!(cause(sealer.plant(&tenant()).await), Some(VaultCause::RoleMissing));
    }
    assert_eq!((vault.wraps(), vault.unwraps()), (before.wraps + 3, before.unwraps + 3));
    assert_eq!(sealer.stats().refusals_recalled, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_canary_is_refused_evicts() {
    for refusal in [
        VaultCause::KeyDisabled,
        VaultCause::KeyNotFound,
        VaultCause::RoleMissing,
        VaultCause::ConsentMissing,
    ] {
        let (vault, sealer) = start();
        let canary = sealer.plant(&tenant()).await.unwrap();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        vault.fails(refusal);
        assert_eq!(probe(&sealer, &canary).await, Some(refusal));
        assert_eq!(sealer.stats().evictions, 1, "{refusal:?}");
        let before = vault.unwraps();
        assert_eq!(cause(open(&sealer, &tenant(), &sealed).await), Some(refusal));
        assert_eq!(vault.unwraps(), before, "{refusal:?}");
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(refusal));
    }
}

/// To a replica that has used nothing of the tenant's at that version, it might be made up; but it was planted.
#[tokio::test(start_paused = true)]
async fn a_canarys_version_is_not_made_up() {
    let (vault, sealer) = start();
    let old = sealer.plant(&tenant()).await.unwrap();
    vault.rotates();
    let cold = replica(&vault);
    let sealed = seal(&cold, &tenant()).await.unwrap();
    assert_ne!(sealed.kek, old.kek);
    vault.fails(VaultCause::KeyNotFound);
    assert_eq!(probe(&cold, &old).await, Some(VaultCause::KeyNotFound));
    assert_eq!(cold.stats().evictions, 1);
}

#[tokio::test(start_paused = true)]
async fn unavailable_is_not_revoked_by_a_canary_either() {
    let (vault, sealer) = start();
    let canary = sealer.plant(&tenant()).await.unwrap();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::Timeout);
    assert_eq!(probe(&sealer, &canary).await, Some(VaultCause::Timeout));
    open(&sealer, &tenant(), &sealed).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(sealer.stats().evictions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_unwraps_ends_at_once_what_it_disproves() {
    for refusal in [
        VaultCause::KeyDisabled,
        VaultCause::KeyNotFound,
        VaultCause::RoleMissing,
        VaultCause::FirewallDenied,
        VaultCause::ConsentMissing,
    ] {
        let (vault, sealer) = start();
        let canary = sealer.plant(&tenant()).await.unwrap();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        vault.fails(refusal);
        assert_eq!(probe(&sealer, &canary).await, Some(refusal));
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(refusal));
        assert_eq!(probe(&sealer, &canary).await, Some(refusal));
        vault.fails(None);
        assert_eq!(
            cause(open(&sealer, &tenant(), &sealed).await),
            Some(refusal),
            "remembered"
        );
        assert_eq!(probe(&sealer, &canary).await, None);
        open(&sealer, &tenant(), &sealed).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn and_nothing_that_it_does_not() {
    let (vault, sealer) = start();
    let old = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.rotates();
    let canary = sealer.plant(&tenant()).await.unwrap();
    vault.fails_at_version(&old.kek, VaultCause::KeyDisabled);
    assert_eq!(
        cause(open(&sealer, &tenant(), &old).await),
        Some(VaultCause::KeyDisabled)
    );
    let mut bad = seal(&sealer, &tenant()).await.unwrap();
    let wrapped = bad.envelope.len() - 100;
    bad.envelope[wrapped] ^= 1;
    assert_eq!(
        cause(open(&sealer, &tenant(), &bad).await),
        Some(VaultCause::WrappedKeyInvalid)
    );
    assert_eq!(probe(&sealer, &canary).await, None);
    let before = vault.calls();
    assert_eq!(
        cause(open(&sealer, &tenant(), &old).await),
        Some(VaultCause::KeyDisabled)
    );
    assert_eq!(
        cause(open(&sealer, &tenant(), &bad).await),
        Some(VaultCause::WrappedKeyInvalid)
    );
    assert_eq!(vault.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_unwraps_clears_a_doubt() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.cache_ttl = MINUTE * 60);
    let canary = sealer.plant(&tenant).await.unwrap();
    let sealed = seal(&sealer, &tenant).await.unwrap();
    advance(MINUTE * 5).await;
    vault.fails_to_wrap(VaultCause::RoleMissing);
    assert_eq!(cause(seal(&sealer, &tenant).await), Some(VaultCause::RoleMissing));
    assert_eq!(probe(&sealer, &canary).await, None);
    let before = vault.calls();
    open(&sealer, &tenant, &sealed).await.unwrap();
    assert_eq!(vault.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn a_canary_gets_through_though_a_vault_that_hangs_has_all_the_tenants_calls() {
    let (vault, sealer) = start();
    let canary = sealer.plant(&tenant()).await.unwrap();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let before = vault.calls();
    vault.hangs();
    let opens: Vec<_> = (0..MOST_CALLS)
        .map(|number| opening(&sealer, &tenant(), &made_up(&sealed, number.try_into().unwrap())))
        .collect();
    vault.begun(before.wraps, before.unwraps + MOST_CALLS).await;
    let full = open(&sealer, &tenant(), &made_up(&sealed, 1_000_000)).await;
    assert_eq!(cause(full), Some(VaultCause::Busy));
    let (probing, canary) = (Arc::clone(&sealer), canary.clone());
    let probing = tokio::spawn(async move { probe(&probing, &canary).await });
    vault.begun(before.wraps, before.unwraps + MOST_CALLS + 1).await;
    vault.goes_on();
    assert_eq!(probing.await.unwrap(), None);
    for open in opens {
        assert_eq!(cause(open.await.unwrap()), Some(VaultCause::KeyNotFound));
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_is_told_and_is_the_pinned_one_where_one_is_pinned() {
    let (vault, sealer) = start();
    vault.rotates();
    assert_eq!(sealer.newest(&tenant()).await.unwrap(), kek(&tenant(), &version(1)));
    let pinned = TenantKeys {
        version: VersionPolicy::Pinned(version(7).parse().unwrap()),
        ..tenant()
    };
    assert_eq!(sealer.newest(&pinned).await.unwrap(), kek(&tenant(), &version(7)));
    assert_eq!(vault.calls(), crate::fake::Calls::default());
}

/// To read a key is a right of its own.
#[tokio::test(start_paused = true)]
async fn who_may_not_be_told_the_newest_version_seals_and_opens_all_the_same() {
    for refusal in [
        VaultCause::RoleMissing,
        VaultCause::AccessPolicyMissing,
        VaultCause::KeyNotFound,
    ] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        vault.fails_to_tell(refusal);
        let told = sealer.newest(&tenant()).await;
        assert_eq!(told.unwrap_err().cause(), refusal);
        let before = vault.calls();
        open(&sealer, &tenant(), &sealed).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
        assert_eq!((vault.calls(), sealer.stats().evictions), (before, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn but_where_the_way_to_the_vault_is_refused_it_is_to_all() {
    for refusal in [VaultCause::FirewallDenied, VaultCause::ConsentMissing] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant()).await.unwrap();
        vault.fails(refusal);
        assert_eq!(sealer.newest(&tenant()).await.unwrap_err().cause(), refusal);
        assert_eq!(cause(open(&sealer, &tenant(), &sealed).await), Some(refusal));
        assert_eq!(sealer.stats().evictions, 1, "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_former_keys_canary_says_nothing_against_the_present_key() {
    let (vault, sealer): (Arc<FakeVault>, _) = start();
    let mut former = tenant();
    former.current = key("former", "kek");
    let canary = sealer.plant(&former).await.unwrap();
    let mut moved = tenant();
    moved.former = vec![former.current];
    let sealed = seal(&sealer, &moved).await.unwrap();
    vault.fails_to_unwrap(VaultCause::RoleMissing);
    let refused = sealer.probe(&moved, &canary).await;
    assert_eq!(refused.unwrap_err().cause(), VaultCause::RoleMissing);
    open(&sealer, &moved, &sealed).await.unwrap();
    advance(SECOND).await;
    seal(&sealer, &moved).await.unwrap();
}

//! A refusal that may pass is confirmed before it is believed; and meanwhile nobody uses what it would take.

use std::{sync::Arc, time::Duration};

use keyferry_crypto::{
    sealer::{Sealed, Sealer},
    tenant::TenantKeys,
    vault::VaultCause,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, advance},
};

use crate::fake::{
    FakeVault, MINUTE, SECOND, all_wait, cause, key, made_up, open, opening, replica, replica_with, seal, sealing,
    tenant_with,
};

const WINDOW: Duration = Duration::from_secs(3);

const DOUBTFUL: [VaultCause; 4] = [
    VaultCause::RoleMissing,
    VaultCause::AccessPolicyMissing,
    VaultCause::AccessDenied,
    VaultCause::KeyNotFound,
];

/// Long enough for its keys that they are not revalidated for their age in these tests.
fn tenant() -> TenantKeys {
    tenant_with(|policy| policy.cache_ttl = MINUTE * 60)
}

/// A vault, and a replica that confirms.
fn start() -> (Arc<FakeVault>, Arc<Sealer>) {
    let vault = FakeVault::new();
    let sealer = replica_with(&vault, |limits| limits.confirmation = WINDOW);
    (vault, sealer)
}

/// A replica that holds a data key, and an envelope with another.
async fn hot() -> (Arc<FakeVault>, Arc<Sealer>, [Sealed; 2]) {
    let (vault, sealer) = start();
    let hot = seal(&sealer, &tenant()).await.unwrap();
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    (vault, sealer, [hot, cold])
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_passes_is_seen_by_no_caller_and_meanwhile_nobody_is_served() {
    for refusal in DOUBTFUL {
        let (vault, sealer, [hot, cold]) = hot().await;
        let before = vault.calls();
        vault.fails(refusal);
        let refused = opening(&sealer, &tenant(), &cold);
        vault.begun(before.wraps, before.unwraps + 1).await;
        all_wait().await;
        let waiting = [
            opening(&sealer, &tenant(), &hot),
            opening(&sealer, &tenant(), &cold),
            opening(&sealer, &tenant(), &hot),
        ];
        let seals = [sealing(&sealer, &tenant()), sealing(&sealer, &tenant())];
        all_wait().await;
        assert!(!waiting.iter().any(JoinHandle::is_finished), "{refusal:?}");
        assert!(!seals.iter().any(JoinHandle::is_finished), "{refusal:?}");
        assert_eq!(
            vault.unwraps(),
            before.unwraps + 1,
            "{refusal:?}: who waits asks for nothing"
        );
        vault.fails(None);
        refused.await.unwrap().unwrap();
        for open in waiting {
            open.await.unwrap().unwrap();
        }
        for seal in seals {
            seal.await.unwrap().unwrap();
        }
        let after = vault.calls();
        assert_eq!((after.wraps, after.unwraps), (before.wraps, before.unwraps + 2));
        let stats = sealer.stats();
        assert_eq!((stats.questions, stats.evictions, stats.vault_refusals), (1, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_stays_is_told_within_the_window_and_takes_what_it_means() {
    for refusal in DOUBTFUL {
        let (vault, sealer, [hot, cold]) = hot().await;
        let before = vault.unwraps();
        vault.fails(refusal);
        let began = Instant::now();
        let [first, second] = [&cold, &hot].map(|sealed| opening(&sealer, &tenant(), sealed));
        assert_eq!(cause(first.await.unwrap()), Some(refusal));
        let lasted = began.elapsed();
        assert!((WINDOW / 2..=WINDOW).contains(&lasted), "{lasted:?}");
        // It came a moment before the refusal, or had to wait for it.
        let _served_or_refused = second.await.unwrap();
        for sealed in [&hot, &cold] {
            assert_eq!(cause(open(&sealer, &tenant(), sealed).await), Some(refusal));
        }
        assert_eq!(vault.unwraps(), before + 4, "{refusal:?}: heard and confirmed");
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(refusal));
        assert_eq!(sealer.stats().evictions, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waited_is_refused_if_the_refusal_stays() {
    let (vault, sealer, [hot, cold]) = hot().await;
    let before = vault.calls();
    vault.fails(VaultCause::RoleMissing);
    let refused = opening(&sealer, &tenant(), &cold);
    vault.begun(before.wraps, before.unwraps + 1).await;
    all_wait().await;
    let waiting = opening(&sealer, &tenant(), &hot);
    let sealing = sealing(&sealer, &tenant());
    for opened in [refused, waiting] {
        assert_eq!(cause(opened.await.unwrap()), Some(VaultCause::RoleMissing));
    }
    assert_eq!(cause(sealing.await.unwrap()), Some(VaultCause::RoleMissing));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_cannot_be_confirmed_stands() {
    let (vault, sealer, [hot, cold]) = hot().await;
    let before = vault.calls();
    vault.fails(VaultCause::RoleMissing);
    let refused = opening(&sealer, &tenant(), &cold);
    vault.begun(before.wraps, before.unwraps + 1).await;
    vault.fails(VaultCause::Timeout);
    assert_eq!(cause(refused.await.unwrap()), Some(VaultCause::RoleMissing));
    let opened = open(&sealer, &tenant(), &hot).await;
    assert_eq!(cause(opened), Some(VaultCause::RoleMissing));
    assert_eq!(sealer.stats().evictions, 1);
}

/// That we keep from asking, as the vault's limits are near or too many calls are under way, is not the vault's silence.
#[tokio::test(start_paused = true)]
async fn what_there_is_no_room_for_is_confirmed_all_the_same() {
    let tenant = tenant_with(|policy| policy.cache_ttl = MINUTE * 5);
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant).await.unwrap();
    advance(MINUTE * 5 * 85 / 100).await;
    let before = vault.calls();
    vault.fails(VaultCause::RoleMissing);
    open(&sealer, &tenant, &sealed).await.unwrap();
    vault.begun(before.wraps, before.unwraps + 1).await;
    all_wait().await;
    vault.fails(None);
    vault.is_full(true);
    open(&sealer, &tenant, &sealed).await.unwrap();
    let stats = sealer.stats();
    assert_eq!((stats.questions, stats.evictions, stats.vault_refusals), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_hangs_does_not_make_anybody_wait_for_more_than_the_window_and_a_call() {
    let (vault, sealer, [hot, cold]) = hot().await;
    let before = vault.calls();
    vault.fails(VaultCause::RoleMissing);
    let refused = opening(&sealer, &tenant(), &cold);
    vault.begun(before.wraps, before.unwraps + 1).await;
    all_wait().await;
    vault.hangs();
    let waiting = opening(&sealer, &tenant(), &hot);
    vault.begun(before.wraps, before.unwraps + 2).await;
    advance(WINDOW).await;
    vault.goes_on();
    for opened in [refused, waiting] {
        assert_eq!(cause(opened.await.unwrap()), Some(VaultCause::RoleMissing));
    }
    assert_eq!(vault.unwraps(), before.unwraps + 2, "no call is begun after the window");
}

#[tokio::test(start_paused = true)]
async fn it_is_the_last_word_of_the_vault_that_counts() {
    let (vault, sealer, [hot, cold]) = hot().await;
    let before = vault.calls();
    vault.fails(VaultCause::RoleMissing);
    let refused = opening(&sealer, &tenant(), &cold);
    vault.begun(before.wraps, before.unwraps + 1).await;
    vault.fails(VaultCause::KeyDisabled);
    assert_eq!(cause(refused.await.unwrap()), Some(VaultCause::KeyDisabled));
    let opened = open(&sealer, &tenant(), &hot).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
    assert_eq!(vault.unwraps(), before.unwraps + 2);
}

#[tokio::test(start_paused = true)]
async fn what_another_refusal_does_not_take_is_asked_for_before_it_is_used() {
    let (vault, sealer) = start();
    let old = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.rotates();
    let new = seal(&sealer, &tenant()).await.unwrap();
    let before = vault.calls();
    vault.fails(VaultCause::RoleMissing);
    let refused = opening(&sealer, &tenant(), &old);
    vault.begun(before.wraps, before.unwraps + 1).await;
    vault.fails(None);
    vault.fails_at_version(&old.kek, VaultCause::KeyDisabled);
    assert_eq!(cause(refused.await.unwrap()), Some(VaultCause::KeyDisabled));
    for _ in 0..10 {
        open(&sealer, &tenant(), &new).await.unwrap();
    }
    assert_eq!(vault.unwraps(), before.unwraps + 2 + 1);
}

#[tokio::test(start_paused = true)]
async fn any_other_refusal_is_believed_at_once() {
    for refusal in [
        VaultCause::KeyDisabled,
        VaultCause::FirewallDenied,
        VaultCause::ConsentMissing,
    ] {
        let (vault, sealer, [_, cold]) = hot().await;
        vault.fails(refusal);
        let (began, before) = (Instant::now(), vault.unwraps());
        assert_eq!(cause(open(&sealer, &tenant(), &cold).await), Some(refusal));
        assert_eq!((began.elapsed(), vault.unwraps()), (Duration::ZERO, before + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_are_refused_at_once_raise_one_question() {
    let (vault, sealer, _) = hot().await;
    let elsewhere = replica(&vault);
    let one_message = tenant_with(|policy| policy.lease_max_messages = 1);
    let mut cold = vec![];
    for _ in 0..50 {
        cold.push(seal(&elsewhere, &one_message).await.unwrap());
    }
    for (stays, most) in [(false, 50 + 50), (true, 50 + 3)] {
        let before = vault.calls();
        vault.fails(VaultCause::RoleMissing);
        vault.hangs();
        let opens: Vec<_> = cold
            .iter()
            .map(|sealed| opening(&sealer, &one_message, sealed))
            .collect();
        vault.begun(before.wraps, before.unwraps + 50).await;
        vault.goes_on();
        if !stays {
            vault.fails(None);
        }
        for open in opens {
            assert_eq!(cause(open.await.unwrap()), stays.then_some(VaultCause::RoleMissing));
        }
        assert!(vault.unwraps() <= before.unwraps + most, "{}", vault.unwraps());
        sealer.evict(tenant().tenant);
    }
    assert_eq!(sealer.stats().questions, 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_given_up_counts_as_refused() {
    let one_message = TenantKeys {
        policy: tenant_with(|policy| policy.lease_max_messages = 1).policy,
        ..tenant()
    };
    let (vault, sealer, [hot, _]) = hot().await;
    advance(MINUTE * 5).await;
    let before = vault.calls();
    vault.fails_to_unwrap(VaultCause::RoleMissing);
    let proving = sealing(&sealer, &one_message);
    vault.begun(before.wraps + 1, before.unwraps + 1).await;
    all_wait().await;
    let waiting = opening(&sealer, &tenant(), &hot);
    all_wait().await;
    assert!(!waiting.is_finished());
    proving.abort();
    assert!(proving.await.unwrap_err().is_cancelled());
    assert_eq!(cause(waiting.await.unwrap()), Some(VaultCause::RoleMissing));
    assert_eq!(vault.unwraps(), before.unwraps + 1);
}

#[tokio::test(start_paused = true)]
async fn a_wrap_that_is_refused_stops_sealing_meanwhile_and_has_the_vault_asked_once_before_the_next_open() {
    let (vault, sealer, [hot, _]) = hot().await;
    advance(MINUTE * 5).await;
    let before = vault.calls();
    vault.fails_to_wrap(VaultCause::RoleMissing);
    let refused = sealing(&sealer, &tenant());
    vault.begun(before.wraps + 1, before.unwraps).await;
    advance(Duration::from_millis(100)).await;
    let waiting = sealing(&sealer, &tenant());
    for _ in 0..10 {
        open(&sealer, &tenant(), &hot).await.unwrap();
    }
    all_wait().await;
    assert!(!waiting.is_finished() && !refused.is_finished());
    for sealed in [refused, waiting] {
        assert_eq!(cause(sealed.await.unwrap()), Some(VaultCause::RoleMissing));
    }
    open(&sealer, &tenant(), &hot).await.unwrap();
    assert_eq!((vault.wraps(), vault.unwraps()), (before.wraps + 4, before.unwraps + 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_renewal_is_refused_is_used_by_nobody_meanwhile_and_not_by_following_a_version_either() {
    let (vault, sealer, [hot, _]) = hot().await;
    advance(MINUTE * 41 / 10).await;
    let before = vault.calls();
    vault.fails_to_wrap(VaultCause::RoleMissing);
    seal(&sealer, &tenant()).await.unwrap();
    vault.begun(before.wraps + 1, before.unwraps).await;
    all_wait().await;
    let waiting = sealing(&sealer, &tenant());
    all_wait().await;
    assert!(!waiting.is_finished());
    sealer.follow(&tenant(), &hot.kek);
    for sealed in [waiting, sealing(&sealer, &tenant())] {
        assert_eq!(cause(sealed.await.unwrap()), Some(VaultCause::RoleMissing));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_another_vault_is_not_in_question() {
    let (vault, sealer) = start();
    let former = TenantKeys {
        current: key("former", "kek"),
        ..tenant()
    };
    let old = seal(&replica(&vault), &former).await.unwrap();
    let moved = TenantKeys {
        former: vec![former.current],
        ..tenant()
    };
    let new = seal(&sealer, &moved).await.unwrap();
    let before = vault.calls();
    vault.fails_to_unwrap(VaultCause::RoleMissing);
    let refused = opening(&sealer, &moved, &old);
    vault.begun(before.wraps, before.unwraps + 1).await;
    all_wait().await;
    open(&sealer, &moved, &new).await.unwrap();
    seal(&sealer, &moved).await.unwrap();
    assert!(!refused.is_finished());
    assert_eq!(cause(refused.await.unwrap()), Some(VaultCause::RoleMissing));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_found_puts_no_other_key_of_its_vault_in_question() {
    let (vault, sealer) = start();
    let former = TenantKeys {
        current: key("acme", "old"),
        ..tenant()
    };
    let old = seal(&sealer, &former).await.unwrap();
    let moved = TenantKeys {
        former: vec![former.current],
        ..tenant()
    };
    let new = seal(&sealer, &moved).await.unwrap();
    sealer.evict(moved.tenant);
    open(&sealer, &moved, &new).await.unwrap();
    let before = vault.calls();
    vault.fails_to_unwrap(VaultCause::KeyNotFound);
    let refused = opening(&sealer, &moved, &old);
    vault.begun(before.wraps, before.unwraps + 1).await;
    all_wait().await;
    open(&sealer, &moved, &new).await.unwrap();
    assert!(!refused.is_finished());
    assert_eq!(cause(refused.await.unwrap()), Some(VaultCause::KeyNotFound));
    open(&sealer, &moved, &new).await.unwrap();
}

/// An envelope may name any.
#[tokio::test(start_paused = true)]
async fn a_version_that_may_be_made_up_is_asked_about_once() {
    let (vault, sealer, [hot, _]) = hot().await;
    let before = vault.unwraps();
    let opened = open(&sealer, &tenant(), &made_up(&hot, 1)).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyNotFound));
    assert_eq!((vault.unwraps(), sealer.stats().questions), (before + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_vault_whose_machines_disagree_serves_all_the_same() {
    let (vault, sealer, [hot, cold]) = hot().await;
    for _ in 0..10 {
        let before = vault.calls();
        vault.fails(VaultCause::RoleMissing);
        sealer.evict(tenant().tenant);
        let refused = opening(&sealer, &tenant(), &cold);
        vault.begun(before.wraps, before.unwraps + 1).await;
        all_wait().await;
        let waiting = opening(&sealer, &tenant(), &hot);
        vault.fails(None);
        refused.await.unwrap().unwrap();
        waiting.await.unwrap().unwrap();
        advance(SECOND).await;
    }
    assert_eq!((sealer.stats().questions, sealer.stats().vault_refusals), (10, 0));
}

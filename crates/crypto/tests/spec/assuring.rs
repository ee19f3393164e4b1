//! What is held is used without asking while somebody is heard to watch over the key. Where nobody is, only the vault's own
//! word counts, and not for long; but unavailable is not revoked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use keyferry_crypto::{
    assurance::Assurance,
    id::TenantId,
    sealer::{Sealed, Sealer},
    tenant::TenantKeys,
    vault::{Call, Urgency, VaultCause},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, advance},
};
use uuid::Uuid;

use crate::fake::{
    FakeVault, MINUTE, MOST_CALLS, SECOND, all_wait, cause, made_up, open, opening, replica, replica_with, seal,
    sealing, tenant_with,
};

const PERIOD: Duration = Duration::from_secs(30);
const HEARING: Duration = Duration::from_secs(10);
const LONGER: Duration = Duration::from_secs(9);

/// Long enough for its keys and leases that none is asked for for its age in these tests.
fn tenant() -> TenantKeys {
    tenant_with(|policy| {
        policy.cache_ttl = MINUTE * 60;
        policy.lease_max_age = MINUTE * 60;
    })
}

fn one_message_a_key() -> TenantKeys {
    TenantKeys {
        policy: tenant_with(|policy| policy.lease_max_messages = 1).policy,
        ..tenant()
    }
}

/// A vault, and a replica that wants assurance.
fn start() -> (Arc<FakeVault>, Arc<Sealer>) {
    start_with(PERIOD, HEARING)
}

fn start_with(period: Duration, hearing: Duration) -> (Arc<FakeVault>, Arc<Sealer>) {
    let vault = FakeVault::new();
    let sealer = replica_with(&vault, |limits| limits.assurance = Some(Assurance { period, hearing }));
    (vault, sealer)
}

/// A replica that holds two data keys under one version: one sealed with here, and one elsewhere.
async fn hot() -> (Arc<FakeVault>, Arc<Sealer>, [Sealed; 2]) {
    let (vault, sealer) = start();
    let theirs = seal(&replica(&vault), &tenant()).await.unwrap();
    let ours = seal(&sealer, &tenant()).await.unwrap();
    open(&sealer, &tenant(), &theirs).await.unwrap();
    sealer.watch_versions(tenant().tenant, std::slice::from_ref(&ours.kek));
    (vault, sealer, [ours, theirs])
}

#[tokio::test(start_paused = true)]
async fn a_deaf_replica_asks_once_for_all_that_is_held_and_all_wait_and_are_served() {
    let (vault, sealer, sealed) = hot().await;
    let before = vault.calls();
    advance(PERIOD).await;
    vault.hangs();
    let opens: Vec<_> = sealed
        .iter()
        .cycle()
        .take(20)
        .map(|sealed| opening(&sealer, &tenant(), sealed))
        .collect();
    let seals: Vec<_> = (0..20).map(|_| sealing(&sealer, &tenant())).collect();
    vault.begun(before.wraps, before.unwraps + 1).await;
    all_wait().await;
    assert!(!opens.iter().any(JoinHandle::is_finished));
    assert!(!seals.iter().any(JoinHandle::is_finished));
    vault.goes_on();
    for open in opens {
        open.await.unwrap().unwrap();
    }
    for seal in seals {
        seal.await.unwrap().unwrap();
    }
    assert_eq!((vault.wraps(), vault.unwraps()), (before.wraps, before.unwraps + 1));
}

#[tokio::test(start_paused = true)]
async fn who_uses_a_key_all_along_never_waits_and_the_vault_is_asked_once_a_period() {
    let (vault, sealer, sealed) = hot().await;
    let before = vault.calls();
    for second in 0..300 {
        advance(SECOND).await;
        // Whoever waited would wait for ever.
        vault.hangs();
        open(&sealer, &tenant(), &sealed[second % 2]).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
        all_wait().await;
        vault.goes_on();
        all_wait().await;
    }
    assert_eq!(vault.wraps(), before.wraps);
    let asked = vault.unwraps() - before.unwraps;
    assert!((10..=15).contains(&asked), "asked {asked} times in five minutes");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_uses_is_not_asked_for() {
    let (vault, _sealer, _) = hot().await;
    let before = vault.calls();
    advance(MINUTE * 10).await;
    all_wait().await;
    assert_eq!(vault.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn while_others_are_heard_the_vault_is_not_asked() {
    let (vault, sealer, sealed) = hot().await;
    let before = vault.calls();
    for second in 0..300 {
        sealer.heard(Instant::now());
        advance(SECOND * 5).await;
        open(&sealer, &tenant(), &sealed[second % 2]).await.unwrap();
        seal(&sealer, &tenant()).await.unwrap();
    }
    all_wait().await;
    assert_eq!(vault.calls(), before);
    advance(HEARING).await;
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    assert_eq!(vault.unwraps(), before.unwraps + 1, "that is long ago");
}

#[tokio::test(start_paused = true)]
async fn what_is_heard_late_counts_from_when_it_was_told_and_takes_nothing_back() {
    let (vault, sealer, sealed) = hot().await;
    let told = Instant::now() + PERIOD;
    advance(PERIOD + SECOND * 9).await;
    sealer.heard(told);
    sealer.heard(told - SECOND * 5);
    let before = vault.unwraps();
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    assert_eq!(vault.unwraps(), before);
    advance(SECOND).await;
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    assert_eq!(vault.unwraps(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_nobody_watches_is_asked_for_and_no_other_until_it_is_watched_again() {
    let (vault, sealer, sealed) = hot().await;
    let neighbour = TenantKeys {
        tenant: TenantId(Uuid::from_u128(99)),
        ..tenant()
    };
    let theirs = seal(&sealer, &neighbour).await.unwrap();
    sealer.watch_versions(neighbour.tenant, std::slice::from_ref(&theirs.kek));
    advance(PERIOD).await;
    sealer.heard(Instant::now());
    sealer.mistrust([(tenant().tenant, Instant::now())].into());
    let before = vault.unwraps();
    open(&sealer, &neighbour, &theirs).await.unwrap();
    assert_eq!(vault.unwraps(), before);
    seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(vault.unwraps(), before + 1);
    advance(PERIOD).await;
    sealer.heard(Instant::now());
    sealer.mistrust([(neighbour.tenant, Instant::now())].into());
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(vault.unwraps(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn for_a_while_after_a_refusal_only_the_vaults_word_counts_though_others_are_heard() {
    let (vault, sealer, sealed) = hot().await;
    vault.fails(VaultCause::KeyDisabled);
    advance(PERIOD).await;
    let opened = open(&sealer, &tenant(), &sealed[0]).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
    // A machine that is late, or the customer has thought better of it.
    vault.fails(None);
    advance(SECOND * 10).await;
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    sealer.watch_versions(tenant().tenant, std::slice::from_ref(&sealed[0].kek));
    for _ in 0..20 {
        let before = vault.unwraps();
        advance(PERIOD).await;
        sealer.heard(Instant::now());
        open(&sealer, &tenant(), &sealed[0]).await.unwrap();
        assert_eq!(vault.unwraps(), before + 1);
    }
    advance(MINUTE * 10).await;
    let before = vault.unwraps();
    for _ in 0..20 {
        advance(PERIOD).await;
        sealer.heard(Instant::now());
        open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    }
    assert_eq!(vault.unwraps(), before);
}

#[tokio::test(start_paused = true)]
async fn of_a_version_that_nobody_looks_at_only_the_vaults_word_counts_though_others_are_heard() {
    let (vault, sealer, [old, _]) = hot().await;
    vault.rotates();
    let new = seal(&replica(&vault), &tenant()).await.unwrap();
    open(&sealer, &tenant(), &new).await.unwrap();
    assert_eq!(sealer.holding_unwatched(), [tenant().tenant]);
    let asked = async |sealed: &Sealed| {
        let before = vault.unwraps();
        advance(PERIOD).await;
        sealer.heard(Instant::now());
        open(&sealer, &tenant(), sealed).await.unwrap();
        vault.unwraps() - before
    };
    assert_eq!((asked(&old).await, asked(&new).await), (0, 1), "it is not known yet");
    sealer.watch_versions(tenant().tenant, &[old.kek.clone(), new.kek.clone()]);
    assert_eq!((asked(&old).await, asked(&new).await), (0, 0));
    assert_eq!(sealer.holding_unwatched(), []);
    sealer.watch_versions(tenant().tenant, std::slice::from_ref(&new.kek));
    assert_eq!(
        (asked(&old).await, asked(&new).await),
        (1, 0),
        "another has taken its place"
    );
}

#[tokio::test(start_paused = true)]
async fn the_vaults_word_is_for_one_version_alone() {
    let (vault, sealer, [old, _]) = hot().await;
    vault.rotates();
    let new = seal(&replica(&vault), &tenant()).await.unwrap();
    advance(SECOND * 15).await;
    open(&sealer, &tenant(), &new).await.unwrap();
    advance(SECOND * 15).await;
    let before = vault.unwraps();
    open(&sealer, &tenant(), &new).await.unwrap();
    assert_eq!(vault.unwraps(), before);
    open(&sealer, &tenant(), &old).await.unwrap();
    assert_eq!(vault.unwraps(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_given_however_the_vault_came_to_be_asked() {
    let (vault, sealer, sealed) = hot().await;
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    advance(SECOND * 20).await;
    open(&sealer, &tenant(), &cold).await.unwrap();
    advance(SECOND * 15).await;
    let before = vault.calls();
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(vault.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn it_counts_from_when_the_vault_was_asked_and_not_from_when_it_answered() {
    let (vault, sealer) = start();
    let sealed = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.hangs();
    let slow = opening(&sealer, &tenant(), &sealed);
    vault.begun(1, 2).await;
    advance(SECOND * 20).await;
    vault.goes_on();
    slow.await.unwrap().unwrap();
    advance(SECOND * 10).await;
    vault.fails(VaultCause::KeyDisabled);
    let opened = open(&sealer, &tenant(), &sealed).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
}

#[tokio::test(start_paused = true)]
async fn where_the_vault_refuses_nobody_is_served_and_not_those_who_waited_either() {
    let (vault, sealer, sealed) = hot().await;
    let before = vault.calls();
    advance(PERIOD).await;
    vault.fails(VaultCause::KeyDisabled);
    vault.hangs();
    let opens: Vec<_> = sealed
        .iter()
        .map(|sealed| opening(&sealer, &tenant(), sealed))
        .collect();
    let seals: Vec<_> = (0..2).map(|_| sealing(&sealer, &tenant())).collect();
    vault.begun(before.wraps, before.unwraps + 1).await;
    all_wait().await;
    vault.goes_on();
    for open in opens {
        assert_eq!(cause(open.await.unwrap()), Some(VaultCause::KeyDisabled));
    }
    for seal in seals {
        assert_eq!(cause(seal.await.unwrap()), Some(VaultCause::KeyDisabled));
    }
    // Another version might have sealed.
    assert_eq!((vault.wraps(), vault.unwraps()), (before.wraps + 1, before.unwraps + 1));
    for sealed in &sealed {
        let opened = open(&sealer, &tenant(), sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
    }
}

/// Nobody has told it yet that the key was rotated, nor that the version before was disabled.
#[tokio::test(start_paused = true)]
async fn where_the_vault_refuses_a_version_alone_the_next_one_seals() {
    let (vault, sealer, [ours, _]) = hot().await;
    advance(PERIOD).await;
    vault.rotates();
    vault.fails_at_version(&ours.kek, VaultCause::KeyDisabled);
    let seals: Vec<_> = (0..2).map(|_| sealing(&sealer, &tenant())).collect();
    for seal in seals {
        assert_ne!(seal.await.unwrap().unwrap().kek, ours.kek);
    }
    assert_eq!(
        cause(open(&sealer, &tenant(), &ours).await),
        Some(VaultCause::KeyDisabled)
    );
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_is_obeyed_within_the_period_though_the_replica_is_deaf() {
    for tenant in [tenant(), one_message_a_key()] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant).await.unwrap();
        open(&sealer, &tenant, &sealed).await.unwrap();
        // The right to wrap is left.
        vault.fails_to_unwrap(VaultCause::RoleMissing);
        let withdrawn = Instant::now();
        let mut last = withdrawn;
        for _ in 0..120 {
            advance(SECOND).await;
            if seal(&sealer, &tenant).await.is_ok() || open(&sealer, &tenant, &sealed).await.is_ok() {
                last = Instant::now();
            }
        }
        assert!(last - withdrawn < PERIOD, "served after {:?}", last - withdrawn);
    }
}

#[tokio::test(start_paused = true)]
async fn who_only_seals_stops_within_the_period_too() {
    for tenant in [tenant(), one_message_a_key()] {
        let (vault, sealer) = start();
        seal(&sealer, &tenant).await.unwrap();
        vault.fails_to_unwrap(VaultCause::KeyDisabled);
        advance(PERIOD).await;
        for _ in 0..3 {
            assert_eq!(cause(seal(&sealer, &tenant).await), Some(VaultCause::KeyDisabled));
            advance(SECOND * 6).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_vault_gives_no_answer_a_key_is_used_to_its_end_and_who_uses_it_waits_once() {
    for failure in [VaultCause::Timeout, VaultCause::Throttled, VaultCause::AppSecretExpired] {
        let (vault, sealer, sealed) = hot().await;
        advance(PERIOD).await;
        vault.fails(failure);
        open(&sealer, &tenant(), &sealed[0]).await.unwrap();
        let before = vault.unwraps();
        for second in 0..60 {
            advance(SECOND).await;
            vault.hangs();
            open(&sealer, &tenant(), &sealed[second % 2]).await.unwrap();
            seal(&sealer, &tenant()).await.unwrap();
            all_wait().await;
            vault.goes_on();
            all_wait().await;
        }
        let asked = vault.unwraps() - before;
        assert!((5..=8).contains(&asked), "{failure:?}: asked {asked} times in a minute");
        vault.fails(VaultCause::KeyDisabled);
        advance(SECOND * 10).await;
        let _noticed_in_the_background = open(&sealer, &tenant(), &sealed[0]).await;
        all_wait().await;
        for sealed in &sealed {
            let opened = open(&sealer, &tenant(), sealed).await;
            assert_eq!(cause(opened), Some(VaultCause::KeyDisabled), "{failure:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_canary_found_no_answer_nobody_waits_to_find_it_again() {
    let (vault, sealer, sealed) = hot().await;
    let canary = sealer.plant(&tenant()).await.unwrap();
    advance(PERIOD).await;
    vault.fails(VaultCause::Timeout);
    sealer.probe(&tenant(), &canary).await.unwrap_err();
    // Whoever waited would wait for ever.
    vault.hangs();
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
    // It is asked in the background all the same, and a refusal is obeyed.
    vault.goes_on();
    all_wait().await;
    vault.fails(VaultCause::KeyDisabled);
    advance(PERIOD).await;
    let opened = open(&sealer, &tenant(), &sealed[0]).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
}

/// A replica that hears is told that those who watch get no answer: what it was told before counts so much longer.
async fn told_of_trouble() -> (Arc<FakeVault>, Arc<Sealer>, [Sealed; 2]) {
    let (vault, sealer, sealed) = hot().await;
    advance(PERIOD).await;
    sealer.heard(Instant::now());
    sealer.mistrust([(tenant().tenant, Instant::now() + LONGER)].into());
    (vault, sealer, sealed)
}

/// Used all along until what was told before does not count any more.
async fn is_used_meanwhile(sealer: &Arc<Sealer>, sealed: &[Sealed; 2]) {
    for second in 0..LONGER.as_secs() {
        sealer.heard(Instant::now());
        open(sealer, &tenant(), &sealed[usize::from(second % 2 == 0)])
            .await
            .unwrap();
        seal(sealer, &tenant()).await.unwrap();
        all_wait().await;
        advance(SECOND).await;
    }
    sealer.heard(Instant::now());
}

#[tokio::test(start_paused = true)]
async fn who_is_told_that_a_vault_gives_no_answer_does_not_wait_for_it() {
    let (vault, sealer, sealed) = told_of_trouble().await;
    let before = vault.unwraps();
    vault.fails(VaultCause::Timeout);
    // Whoever waited would wait for ever.
    vault.hangs();
    is_used_meanwhile(&sealer, &sealed).await;
    assert_eq!(vault.unwraps(), before + 1, "it is asked in the background");
    assert_eq!(vault.urgencies(Call::Unwrap).last(), Some(&Urgency::Watch));
    vault.goes_on();
    all_wait().await;
    vault.hangs();
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    seal(&sealer, &tenant()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_is_told_that_a_vault_gives_no_answer_waits_for_its_word_once_what_was_told_before_is_too_old() {
    let (vault, sealer, sealed) = told_of_trouble().await;
    vault.fails(VaultCause::KeyDisabled);
    vault.hangs();
    is_used_meanwhile(&sealer, &sealed).await;
    let (open, seal) = (opening(&sealer, &tenant(), &sealed[0]), sealing(&sealer, &tenant()));
    all_wait().await;
    assert!(!open.is_finished() && !seal.is_finished());
    vault.goes_on();
    assert_eq!(cause(open.await.unwrap()), Some(VaultCause::KeyDisabled));
    assert_eq!(cause(seal.await.unwrap()), Some(VaultCause::KeyDisabled));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_who_asks_because_a_vault_gave_no_answer_is_obeyed_at_once() {
    let (vault, sealer, sealed) = told_of_trouble().await;
    vault.fails(VaultCause::KeyDisabled);
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    all_wait().await;
    for sealed in &sealed {
        let opened = open(&sealer, &tenant(), sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_deaf_replica_was_told_before_counts_no_longer() {
    let (vault, sealer, sealed) = hot().await;
    advance(PERIOD).await;
    sealer.mistrust([(tenant().tenant, Instant::now() + LONGER)].into());
    vault.hangs();
    let open = opening(&sealer, &tenant(), &sealed[0]);
    all_wait().await;
    assert!(!open.is_finished());
    vault.goes_on();
    open.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn that_the_vault_was_asked_in_vain_is_no_reason_for_longer_than_its_word_would_be() {
    let (vault, sealer, sealed) = hot().await;
    advance(PERIOD).await;
    vault.fails(VaultCause::Timeout);
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    vault.fails(VaultCause::KeyDisabled);
    advance(PERIOD).await;
    for sealed in &sealed {
        let opened = open(&sealer, &tenant(), sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_has_the_vault_asked_as_urgently_as_by_a_canary_and_nobody_is_in_the_way() {
    let (vault, sealer) = start_with(PERIOD, HEARING);
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.hangs();
    let taken: Vec<_> = (0..MOST_CALLS)
        .map(|number| opening(&sealer, &tenant(), &made_up(&sealed, number.try_into().unwrap())))
        .collect();
    vault.begun(1, 1 + MOST_CALLS).await;
    vault.goes_on();
    vault.hangs();
    advance(PERIOD).await;
    let waiting = opening(&sealer, &tenant(), &sealed);
    vault.begun(1, 2 + MOST_CALLS).await;
    assert_eq!(vault.urgencies(Call::Unwrap).last(), Some(&Urgency::Watch));
    vault.goes_on();
    waiting.await.unwrap().unwrap();
    for open in taken {
        assert_eq!(cause(open.await.unwrap()), Some(VaultCause::KeyNotFound));
    }
}

#[tokio::test(start_paused = true)]
async fn ahead_of_time_the_vault_is_left_to_others_where_its_limits_are_near() {
    let (vault, sealer, sealed) = hot().await;
    vault.is_full(true);
    let before = vault.unwraps();
    for _ in 0..29 {
        advance(SECOND).await;
        open(&sealer, &tenant(), &sealed[0]).await.unwrap();
        all_wait().await;
    }
    assert_eq!(vault.unwraps(), before);
    assert_eq!(vault.urgencies(Call::Unwrap).last(), Some(&Urgency::Background));
    advance(SECOND).await;
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    assert_eq!(vault.unwraps(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_failed_ahead_of_time_is_not_taken_for_the_vaults_silence() {
    let (vault, sealer, sealed) = hot().await;
    vault.fails(VaultCause::Timeout);
    advance(SECOND * 29).await;
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    all_wait().await;
    assert_eq!(vault.urgencies(Call::Unwrap).last(), Some(&Urgency::Background));
    vault.fails(VaultCause::KeyDisabled);
    advance(SECOND).await;
    let opened = open(&sealer, &tenant(), &sealed[0]).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
}

#[tokio::test(start_paused = true)]
async fn what_was_rewrapped_before_is_given_out_on_the_vaults_word_too() {
    let (vault, sealer, [old, _]) = hot().await;
    vault.rotates();
    advance(SECOND * 10).await;
    let new = sealer.rewrap(&tenant(), &old.envelope).await.unwrap();
    assert_ne!(new.kek, old.kek);
    advance(PERIOD).await;
    vault.fails_at_version(&new.kek, VaultCause::KeyDisabled);
    let rewrapped = sealer.rewrap(&tenant(), &old.envelope).await;
    assert_eq!(cause(rewrapped), Some(VaultCause::KeyDisabled));
}

#[tokio::test(start_paused = true)]
async fn past_its_ttl_a_key_is_not_used_for_want_of_an_answer() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|_| {});
    let sealed = seal(&sealer, &tenant).await.unwrap();
    vault.fails(VaultCause::Timeout);
    let began = Instant::now();
    while open(&sealer, &tenant, &sealed).await.is_ok() {
        advance(SECOND * 5).await;
    }
    let lasted = began.elapsed();
    assert!((MINUTE * 4..=MINUTE * 5).contains(&lasted), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn after_the_machine_stood_still_nothing_was_heard() {
    let (vault, sealer) = start_with(SECOND, MINUTE * 60);
    let slept = Arc::new(AtomicU64::new(0));
    let maintenance = tokio::spawn({
        let (sealer, slept, began) = (Arc::clone(&sealer), Arc::clone(&slept), Instant::now());
        let wall_clock = move || SystemTime::UNIX_EPOCH + began.elapsed() + Duration::from_secs(slept.load(Relaxed));
        async move { sealer.maintain_by(wall_clock).await }
    });
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    sealer.watch_versions(tenant().tenant, std::slice::from_ref(&sealed.kek));
    let told = Instant::now();
    sealer.heard(told);
    tokio::time::sleep(SECOND * 10).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.unwraps(), 1);
    slept.store(3600, Relaxed);
    tokio::time::sleep(SECOND * 2).await;
    sealer.heard(told);
    for unwraps in 2..5 {
        open(&sealer, &tenant(), &sealed).await.unwrap();
        assert_eq!(vault.unwraps(), unwraps);
        tokio::time::sleep(SECOND).await;
    }
    sealer.watch_versions(tenant().tenant, std::slice::from_ref(&sealed.kek));
    sealer.heard(Instant::now());
    tokio::time::sleep(SECOND * 10).await;
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.unwraps(), 4);
    maintenance.abort();
}

/// There are bounds of our own to how often a vault is asked for its word.
#[tokio::test(start_paused = true)]
async fn a_vault_that_is_not_asked_gives_no_word_and_refuses_nothing() {
    let (vault, sealer, sealed) = hot().await;
    let evictions = sealer.stats().evictions;
    advance(PERIOD).await;
    vault.fails(VaultCause::QuotaSpent);
    for sealed in sealed.iter().cycle().take(4) {
        let opened = open(&sealer, &tenant(), sealed).await;
        assert_eq!(cause(opened), Some(VaultCause::QuotaSpent));
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::QuotaSpent));
    }
    assert_eq!(sealer.stats().evictions, evictions);
    // It is believed of the vault that it gives no answer only if it was asked.
    vault.fails(VaultCause::Timeout);
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    vault.fails(None);
    for sealed in &sealed {
        open(&sealer, &tenant(), sealed).await.unwrap();
    }
}

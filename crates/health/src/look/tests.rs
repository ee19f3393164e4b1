use keyferry_crypto::{
    id::{DirectoryId, KeyRef, TenantId},
    tenant::{Route, SealingPolicy},
    vault::{Evidence, Fault},
};
use keyferry_registry::key::{KeyState, Trouble};
use strum::VariantArray as _;
use time::macros::datetime;
use uuid::Uuid;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-07-01 12:00 UTC);
const BEFORE: OffsetDateTime = datetime!(2026-07-01 11:59:30 UTC);
const PERIOD: Duration = Duration::from_secs(30);

fn key(name: &str) -> KeyRef {
    KeyRef {
        vault: "acme.vault.azure.net".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn kek(version: u8) -> KekId {
    KekId {
        key: key("kek"),
        version: format!("{version:032x}").parse().unwrap(),
    }
}

fn canary(version: u8) -> Canary {
    Canary {
        kek: kek(version),
        wrapped: Box::from([version; 4]),
        digest: [version; 32],
    }
}

fn tenant() -> TenantKeys {
    TenantKeys {
        tenant: TenantId(Uuid::nil()),
        directory: DirectoryId(Uuid::nil()),
        current: key("kek"),
        version: VersionPolicy::FollowLatest,
        former: Vec::new(),
        policy: SealingPolicy::default(),
        route: Route::Public,
    }
}

fn trouble(cause: VaultCause) -> Trouble {
    Trouble {
        cause,
        evidence: Evidence::default(),
    }
}

/// A key that was looked at, whose versions up to the newest have canaries.
fn known(state: KeyState, newest: u8) -> Claimed {
    Claimed {
        health: KeyHealth {
            tenant: TenantId(Uuid::nil()),
            state,
            since: BEFORE,
            checked_at: Some(BEFORE),
            served_at: Some(BEFORE),
            newest: Some(Newest {
                kek: kek(newest),
                seen_at: BEFORE,
            }),
            canaries: (1..=newest).rev().map(canary).collect(),
            failures: 0,
            due_at: NOW,
            owner: None,
            owned_until: None,
            held_at: Some(BEFORE - time::Duration::MINUTE),
        },
        is_held: true,
    }
}

fn terms(others: u32) -> Terms {
    Terms {
        period: PERIOD,
        idle_period: PERIOD * 30,
        version_period: PERIOD * 2,
        others,
        now: NOW,
    }
}

/// The canary of that version, and what the vault answered to it.
fn probe(version: u8, cause: Option<VaultCause>) -> (Canary, Result<(), VaultError>) {
    (canary(version), cause.map_or(Ok(()), |cause| Err(cause.into())))
}

fn probed(probes: impl IntoIterator<Item = (u8, Option<VaultCause>)>) -> Found {
    Found {
        probed: probes
            .into_iter()
            .map(|(version, cause)| probe(version, cause))
            .collect(),
        ..Found::default()
    }
}

fn judge(claimed: Claimed, found: Found) -> Judged {
    judged(&tenant(), claimed, found, &Refused::new(), &terms(0))
}

fn states(judged: &Judged) -> Vec<&KeyState> {
    let states = judged.looked.news.iter();
    states
        .filter_map(|news| {
            if let KeyNews::State(state) = news {
                Some(state)
            } else {
                None
            }
        })
        .collect()
}

fn versions(judged: &Judged) -> Vec<&KekId> {
    let versions = judged.looked.news.iter();
    versions
        .filter_map(|news| {
            if let KeyNews::Version(kek) = news {
                Some(kek)
            } else {
                None
            }
        })
        .collect()
}

fn withdrawn(judged: &Judged) -> Vec<(u8, VaultCause)> {
    let version = |refusal: &Refusal| u8::from_str_radix(refusal.version.as_ref().unwrap().as_str(), 16).unwrap();
    judged
        .withdrawn
        .iter()
        .map(|refusal| (version(refusal), refusal.cause))
        .collect()
}

#[test]
fn each_answer_makes_the_state_that_the_table_has() {
    let (disabled, late) = (VaultCause::KeyDisabled, VaultCause::Timeout);
    let (refused, degraded) = (KeyState::Refused(trouble(disabled)), KeyState::Degraded(trouble(late)));
    let befores = [KeyState::Unknown, KeyState::Healthy, degraded, refused];
    let answers = [
        None,
        Some(disabled),
        Some(late),
        Some(VaultCause::AppSecretExpired),
        Some(VaultCause::Busy),
    ];
    let table = [
        ["healthy", "refused", "degraded", "unknown", "unknown"],
        ["healthy", "refused", "degraded", "unknown", "healthy"],
        ["healthy", "refused", "degraded", "unknown", "degraded"],
        ["healthy", "refused", "refused", "refused", "refused"],
    ];
    for (before, row) in befores.iter().zip(table) {
        for (answer, after) in answers.into_iter().zip(row) {
            let judged = judge(known(before.clone(), 1), probed([(1, answer)]));
            let case = format!("{before:?}, then {answer:?}");
            assert_eq!(judged.looked.health.state.slug(), after, "{case}");
            let is_changed = before.slug() != after;
            assert_eq!(states(&judged).len(), usize::from(is_changed), "{case}");
            let since = if is_changed { NOW } else { BEFORE };
            assert_eq!(judged.looked.health.since, since, "{case}");
        }
    }
}

#[test]
fn every_cause_makes_the_state_that_its_fault_means() {
    for &cause in VaultCause::VARIANTS {
        let judged = judge(known(KeyState::Healthy, 1), probed([(1, Some(cause))]));
        let (state, failures) = match cause.fault() {
            Fault::Customer => ("refused", 0),
            _ if matches!(cause, VaultCause::Busy | VaultCause::QuotaSpent) => ("healthy", 0),
            Fault::Unavailable | Fault::Caller => ("degraded", 1),
            Fault::Service => ("unknown", 1),
        };
        assert_eq!(judged.looked.health.state.slug(), state, "{cause:?}");
        assert_eq!(judged.looked.health.failures, failures, "{cause:?}");
        assert_eq!(!judged.withdrawn.is_empty(), cause.is_refusal(), "{cause:?}");
    }
}

#[test]
fn the_newest_versions_canary_decides_and_another_refused_is_withdrawn_alone() {
    let found = probed([(2, None), (1, Some(VaultCause::KeyDisabled))]);
    let judged = judge(known(KeyState::Healthy, 2), found);
    assert_eq!(judged.looked.health.state, KeyState::Healthy);
    assert_eq!(states(&judged), Vec::<&KeyState>::new());
    assert_eq!(withdrawn(&judged), [(1, VaultCause::KeyDisabled)]);
}

#[test]
fn the_pinned_version_decides_though_a_newer_one_is_watched() {
    let mut tenant = tenant();
    tenant.version = VersionPolicy::Pinned(kek(1).version);
    let found = probed([(2, None), (1, Some(VaultCause::KeyDisabled))]);
    let judged = judged(&tenant, known(KeyState::Healthy, 2), found, &Refused::new(), &terms(0));
    assert_eq!(judged.looked.health.state.slug(), "refused");
    assert_eq!(versions(&judged), Vec::<&KekId>::new());
}

#[test]
fn a_refusal_is_told_once_while_it_lasts() {
    let refused = || probed([(2, None), (1, Some(VaultCause::KeyDisabled))]);
    let first = judge(known(KeyState::Healthy, 2), refused());
    let told = first.refused;
    let again = judged(&tenant(), known(KeyState::Healthy, 2), refused(), &told, &terms(0));
    assert_eq!(withdrawn(&again), []);
    let served = judged(
        &tenant(),
        known(KeyState::Healthy, 2),
        probed([(2, None), (1, None)]),
        &told,
        &terms(0),
    );
    assert_eq!(served.refused, Refused::new(), "it is over");
    let anew = judged(
        &tenant(),
        known(KeyState::Healthy, 2),
        refused(),
        &served.refused,
        &terms(0),
    );
    assert_eq!(withdrawn(&anew), [(1, VaultCause::KeyDisabled)]);
}

#[test]
fn a_refusal_that_another_replica_told_is_not_told_by_whoever_takes_over() {
    let state = KeyState::Refused(trouble(VaultCause::KeyDisabled));
    let judged = judge(known(state.clone(), 1), probed([(1, Some(VaultCause::KeyDisabled))]));
    assert_eq!(withdrawn(&judged), []);
    let other = judge(known(state, 1), probed([(1, Some(VaultCause::RoleMissing))]));
    assert_eq!(withdrawn(&other), [(1, VaultCause::RoleMissing)], "another reason is");
    assert_eq!(states(&other).len(), 1);
}

#[test]
fn a_refusal_is_told_again_once_somebody_says_that_it_holds_something() {
    let mut claimed = known(KeyState::Refused(trouble(VaultCause::KeyDisabled)), 1);
    claimed.health.held_at = Some(BEFORE + time::Duration::SECOND);
    let judged = judge(claimed, probed([(1, Some(VaultCause::KeyDisabled))]));
    assert_eq!(withdrawn(&judged), [(1, VaultCause::KeyDisabled)]);
    assert_eq!(states(&judged), Vec::<&KeyState>::new(), "the state is what it was");
}

#[test]
fn one_withdrawal_says_what_concerns_the_whole_vault_and_each_version_is_told_of_what_concerns_it_alone() {
    let found = probed([(2, Some(VaultCause::RoleMissing)), (1, Some(VaultCause::RoleMissing))]);
    assert_eq!(
        withdrawn(&judge(known(KeyState::Healthy, 2), found)),
        [(2, VaultCause::RoleMissing)]
    );
    let found = probed([(2, Some(VaultCause::KeyDisabled)), (1, Some(VaultCause::KeyDisabled))]);
    let each = [(2, VaultCause::KeyDisabled), (1, VaultCause::KeyDisabled)];
    assert_eq!(withdrawn(&judge(known(KeyState::Healthy, 2), found)), each);
}

#[test]
fn a_new_version_is_followed_once_its_canary_is_planted() {
    let claimed = known(KeyState::Healthy, 1);
    let mut found = probed([(1, None)]);
    found.newest = Some(Ok(kek(2)));
    assert!(wants_planting(&tenant(), &claimed.health, &found));
    found.planted = Some(Ok(canary(2)));
    let judged = judge(claimed, found);
    assert_eq!(versions(&judged), [&kek(2)]);
    let health = &judged.looked.health;
    assert_eq!(health.canaries, [canary(2), canary(1)], "the old version stays watched");
    assert_eq!(health.newest.as_ref().map(|newest| &newest.kek), Some(&kek(2)));
}

#[test]
fn a_new_version_that_cannot_be_used_yet_is_not_followed_and_is_tried_again() {
    let claimed = known(KeyState::Healthy, 1);
    let mut found = probed([(1, None)]);
    found.newest = Some(Ok(kek(2)));
    found.planted = Some(Err(SealerError::Vault(VaultCause::Timeout.into())));
    let judged = judge(claimed, found);
    assert_eq!(versions(&judged), Vec::<&KekId>::new());
    assert_eq!(judged.looked.health.state.slug(), "degraded");
    let newest = judged.looked.health.newest.unwrap();
    assert_eq!(
        (newest.kek, newest.seen_at),
        (kek(1), BEFORE),
        "so that it is looked up again"
    );
}

#[test]
fn a_version_whose_canary_is_there_is_followed_without_another() {
    let mut claimed = known(KeyState::Healthy, 2);
    claimed.health.newest = Some(Newest {
        kek: kek(1),
        seen_at: BEFORE,
    });
    let mut found = probed([(2, None), (1, None)]);
    found.newest = Some(Ok(kek(2)));
    assert!(!wants_planting(&tenant(), &claimed.health, &found));
    assert_eq!(versions(&judge(claimed, found)), [&kek(2)]);
}

#[test]
fn a_first_canary_is_planted_and_its_version_told_as_there_may_have_been_another_before() {
    let mut claimed = known(KeyState::Unknown, 1);
    claimed.health.canaries = Vec::new();
    claimed.health.newest = None;
    claimed.health.checked_at = None;
    assert!(looks_up(&tenant(), &claimed.health, &terms(0)));
    let mut found = Found {
        newest: Some(Ok(kek(1))),
        ..Found::default()
    };
    assert!(wants_planting(&tenant(), &claimed.health, &found));
    found.planted = Some(Ok(canary(1)));
    let judged = judge(claimed, found);
    let news = [KeyNews::State(KeyState::Healthy), KeyNews::Version(kek(1))];
    assert_eq!(judged.looked.news, news);
    assert_eq!(judged.looked.health.canaries, [canary(1)]);
}

#[test]
fn a_canary_that_unwraps_to_something_else_is_planted_anew_in_its_place() {
    let claimed = known(KeyState::Healthy, 2);
    let mut found = probed([(2, Some(VaultCause::AnswerInvalid)), (1, None)]);
    assert!(wants_planting(&tenant(), &claimed.health, &found));
    let anew = Canary {
        digest: [9; 32],
        ..canary(2)
    };
    found.planted = Some(Ok(anew.clone()));
    let judged = judge(claimed, found);
    assert_eq!(judged.looked.health.state, KeyState::Healthy);
    assert_eq!(judged.looked.health.canaries, [anew, canary(1)]);
    assert_eq!(versions(&judged), Vec::<&KekId>::new());
}

#[test]
fn another_current_key_gets_a_canary_and_the_former_ones_stay_watched() {
    let mut tenant = tenant();
    tenant.former = vec![std::mem::replace(&mut tenant.current, key("next"))];
    let claimed = known(KeyState::Healthy, 1);
    assert_eq!(watched(&tenant, &claimed.health), [canary(1)]);
    assert!(looks_up(&tenant, &claimed.health, &terms(0)));
    let mut found = probed([(1, None)]);
    assert!(wants_planting(&tenant, &claimed.health, &found));
    let planted = Canary {
        kek: KekId {
            key: key("next"),
            ..kek(7)
        },
        ..canary(7)
    };
    found.planted = Some(Ok(planted.clone()));
    let judged = judged(&tenant, claimed, found, &Refused::new(), &terms(0));
    assert_eq!(
        versions(&judged),
        [&planted.kek],
        "it may have been rotated since the tenant was changed"
    );
    assert_eq!(judged.looked.health.canaries, [planted, canary(1)]);
    tenant.former = Vec::new();
    assert_eq!(
        watched(&tenant, &judged.looked.health).len(),
        1,
        "a key that was removed is not"
    );
}

#[test]
fn the_eight_versions_that_sealed_last_are_watched() {
    let claimed = known(KeyState::Healthy, 8);
    let mut found = probed((1..=8).rev().map(|version| (version, None)));
    found.newest = Some(Ok(kek(9)));
    found.planted = Some(Ok(canary(9)));
    let judged = judge(claimed, found);
    let kept: Vec<_> = judged
        .looked
        .health
        .canaries
        .into_iter()
        .map(|canary| canary.kek)
        .collect();
    assert_eq!(kept, (2..=9).rev().map(kek).collect::<Vec<_>>());
}

#[test]
fn nothing_is_planted_while_the_vault_gives_no_answer() {
    let mut health = known(KeyState::Unknown, 1).health;
    (health.canaries, health.newest) = (Vec::new(), None);
    let found = Found {
        newest: Some(Err(VaultCause::Timeout.into())),
        ..Found::default()
    };
    assert!(!wants_planting(&tenant(), &health, &found));
    let may_not_look_up = Found {
        newest: Some(Err(VaultCause::RoleMissing.into())),
        ..Found::default()
    };
    assert!(
        wants_planting(&tenant(), &health, &may_not_look_up),
        "it may wrap all the same"
    );
}

#[test]
fn a_refusal_to_look_up_the_newest_version_is_none_of_the_key() {
    let mut found = probed([(1, None)]);
    found.newest = Some(Err(VaultCause::RoleMissing.into()));
    let judged = judge(known(KeyState::Healthy, 1), found);
    assert_eq!(judged.looked.health.state, KeyState::Healthy);
    assert_eq!(withdrawn(&judged), []);
}

#[test]
fn the_newest_version_is_looked_up_before_it_is_known_for_too_long() {
    let claimed = known(KeyState::Healthy, 1);
    assert!(
        looks_up(&tenant(), &claimed.health, &terms(0)),
        "by the next look it would be"
    );
    let young = KeyHealth {
        newest: Some(Newest {
            kek: kek(1),
            seen_at: NOW - time::Duration::SECOND,
        }),
        ..claimed.health.clone()
    };
    assert!(!looks_up(&tenant(), &young, &terms(0)));
    let mut pinned = tenant();
    pinned.version = VersionPolicy::Pinned(kek(1).version);
    assert!(
        !looks_up(&pinned, &claimed.health, &terms(0)),
        "a pinned version is not followed"
    );
}

#[test]
fn held_keys_are_looked_at_each_period_and_idle_ones_rarely() {
    for is_held in [true, false] {
        let mut claimed = known(KeyState::Healthy, 1);
        claimed.is_held = is_held;
        let due_in = judge(claimed, probed([(1, None)])).looked.due_in;
        let pause = if is_held { PERIOD } else { PERIOD * 30 };
        assert!(due_in <= pause && due_in >= pause.mul_f64(0.9), "{due_in:?}");
    }
}

#[test]
fn trouble_is_looked_at_each_period_until_it_is_no_news_any_more() {
    for cause in [VaultCause::KeyDisabled, VaultCause::Timeout] {
        let mut claimed = known(KeyState::Healthy, 1);
        claimed.is_held = false;
        let judged = judge(claimed.clone(), probed([(1, Some(cause))]));
        assert!(judged.looked.due_in <= PERIOD, "{cause:?}");
        claimed.health.state = judged.looked.health.state;
        claimed.health.since = NOW - time::Duration::days(2);
        let judged = judge(claimed.clone(), probed([(1, Some(cause))]));
        assert!(judged.looked.due_in > PERIOD, "{cause:?}");
        claimed.is_held = true;
        let judged = judge(claimed, probed([(1, Some(cause))]));
        assert!(judged.looked.due_in <= PERIOD, "{cause:?}, and somebody needs it");
    }
}

#[test]
fn a_look_in_vain_is_left_to_each_other_replica_at_once_and_then_they_take_turns() {
    let mut claimed = known(KeyState::Healthy, 1);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let found = probed([(1, Some(VaultCause::Timeout))]);
        let Looked {
            health, due_in, keeps, ..
        } = judged(&tenant(), claimed.clone(), found, &Refused::new(), &terms(2)).looked;
        assert!(!keeps);
        pauses.push(due_in.is_zero());
        claimed.health = health;
    }
    assert_eq!(pauses, [true, true, false, false]);
    let alone = judge(known(KeyState::Healthy, 1), probed([(1, Some(VaultCause::Timeout))])).looked;
    assert!(alone.keeps && !alone.due_in.is_zero(), "there is nobody to leave it to");
    let throttled = probed([(1, Some(VaultCause::Throttled))]);
    let throttled = judged(
        &tenant(),
        known(KeyState::Healthy, 1),
        throttled,
        &Refused::new(),
        &terms(2),
    )
    .looked;
    assert!(throttled.keeps, "the vault throttles whoever asks");
}

#[test]
fn a_refusal_that_may_be_of_this_replicas_address_is_left_to_another_once_at_once() {
    let refused = |claimed: Claimed, cause| {
        judged(
            &tenant(),
            claimed,
            probed([(1, Some(cause))]),
            &Refused::new(),
            &terms(2),
        )
        .looked
    };
    let first = refused(known(KeyState::Healthy, 1), VaultCause::FirewallDenied);
    assert!(!first.keeps && first.due_in.is_zero());
    let mut claimed = known(KeyState::Healthy, 1);
    claimed.health = first.health;
    for cause in [VaultCause::FirewallDenied, VaultCause::ConditionalAccess] {
        let next = refused(claimed.clone(), cause);
        assert!(!next.keeps && next.due_in >= PERIOD * 9 / 10, "they take turns");
    }
    let disabled = refused(known(KeyState::Healthy, 1), VaultCause::KeyDisabled);
    assert!(disabled.keeps, "the customer refuses whoever asks");
}

#[test]
fn what_was_not_asked_is_no_look() {
    let judged = judge(known(KeyState::Healthy, 1), probed([(1, Some(VaultCause::QuotaSpent))]));
    let health = &judged.looked.health;
    assert_eq!((health.checked_at, health.failures), (Some(BEFORE), 0));
    assert!(judged.looked.due_in < PERIOD);
    assert_eq!(judged.looked.news, []);
    // Nor is one of which a part was not asked, whatever the rest says.
    let found = probed([(2, None), (1, Some(VaultCause::QuotaSpent))]);
    let judged = judge(known(KeyState::Healthy, 2), found);
    assert_eq!(judged.looked.health.checked_at, Some(BEFORE));
    assert!(judged.looked.due_in < PERIOD);
}

#[test]
fn what_is_looked_at_is_known_once_no_canary_is_to_be_planted() {
    let health = known(KeyState::Healthy, 2).health;
    let watched = |version, canaries: u8| {
        let tenant = TenantKeys { version, ..tenant() };
        let canaries = health.canaries.iter().take(canaries.into()).cloned().collect();
        let health = KeyHealth {
            canaries,
            ..health.clone()
        };
        watched_versions(&tenant, &health)
    };
    let pinned = |version| VersionPolicy::Pinned(kek(version).version);
    assert_eq!(watched(VersionPolicy::FollowLatest, 2), Some(vec![kek(2), kek(1)]));
    assert_eq!(watched(VersionPolicy::FollowLatest, 0), None);
    assert_eq!(watched(pinned(2), 1), Some(vec![kek(2)]));
    assert_eq!(watched(pinned(1), 1), None);
    assert_eq!(watched(pinned(3), 2), None);
}

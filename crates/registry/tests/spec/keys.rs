//! Which replica looks after which key, and what is kept of what it finds.

use std::{collections::HashSet, sync::Arc, time::Duration};

use keyferry_crypto::{tenant::VersionPolicy, vault::VaultCause};
use keyferry_registry::{
    Store,
    key::{KeyHealth, KeyNews, KeyState, Looked, ReplicaId},
};
use time::OffsetDateTime;

use crate::{
    key_world::{
        HELD, LEASE, canary, claimed, claims, claims_one, health, looked, newest, registered, saves, trouble, withdrawn,
    },
    stores::{Raw, at, clock, on_each_database, open_whole},
    world::{key, tenant},
};

on_each_database!(
    a_registered_tenants_key_is_unknown_and_due,
    a_tenant_that_the_release_before_registers_has_its_key_looked_at,
    a_key_that_is_looked_at_is_nobody_elses_until_the_lease_is_over,
    a_key_whose_look_takes_long_stays_with_whoever_looks,
    a_key_is_its_owners_until_it_is_late_by_the_lease,
    a_replicas_own_keys_come_first,
    a_key_that_was_given_up_goes_to_another,
    a_key_that_was_given_up_comes_back_if_nobody_takes_it,
    what_was_found_is_kept_whole,
    the_newest_canaries_are_kept,
    of_a_look_that_comes_too_late_only_a_withdrawal_counts,
    a_look_that_is_asked_for_during_another_is_still_to_be_had,
    a_hint_makes_the_newest_version_be_looked_up,
    a_hint_during_a_look_is_not_lost,
    what_becomes_held_is_due_soon,
    what_becomes_held_during_a_look_is_due_soon,
    what_becomes_held_is_taken_over_from_a_dead_owner,
    what_is_held_still_is_not_due_for_it,
    what_is_held_and_not_looked_at_is_overdue,
    a_look_that_asked_nobody_is_none,
    a_look_counts_from_its_beginning,
    a_look_that_takes_long_counts_from_its_beginning_and_forgets_nothing,
    a_look_of_the_future_is_none,
    only_active_tenants_keys_are_looked_at,
    a_tenants_other_key_is_due_at_once,
    a_purged_tenants_key_is_gone,
    a_replica_that_leaves_gives_up_its_keys,
    keys_are_counted_by_their_states,
    claimants_at_the_same_time_claim_no_key_twice,
    a_row_that_cannot_be_read_keeps_none_from_being_claimed,
);

async fn a_registered_tenants_key_is_unknown_and_due(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let (me, before) = (ReplicaId::generate(), health(&*store, &acme).await);
    assert_eq!(before.state, KeyState::Unknown);
    assert_eq!((&before.newest, &before.canaries[..]), (&None, &[][..]));
    assert_eq!((before.owner, before.checked_at, before.held_at), (None, None, None));
    let claimed = claims_one(&*store, me).await;
    assert_eq!(claimed.owner, Some(me));
    assert!(claimed.owned_until >= Some(before.due_at + LEASE));
    assert_eq!(health(&*store, &acme).await, claimed);
    assert_eq!(
        store.key_health(tenant("other").keys.tenant).await.expect("asked"),
        None
    );
}

async fn a_tenant_that_the_release_before_registers_has_its_key_looked_at(url: &str) {
    let store = open_whole(url).await;
    registered(&*store, "acme").await;
    Raw::connect(url).await.multiply(3).await;
    assert_eq!(claimed(&*store, ReplicaId::generate()).await.len(), 4);
}

async fn a_key_that_is_looked_at_is_nobody_elses_until_the_lease_is_over(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    assert_eq!(claimed(&*store, me).await, [acme.keys.tenant]);
    assert_eq!(claimed(&*store, me).await, [], "it is being looked at");
    raw.passes(5).await;
    assert_eq!(claimed(&*store, other).await, [], "by somebody else");
    raw.passes(5).await;
    assert_eq!(claimed(&*store, other).await, [acme.keys.tenant], "its owner died");
    assert_eq!(claimed(&*store, me).await, []);
}

async fn a_key_is_its_owners_until_it_is_late_by_the_lease(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    raw.passes(20).await;
    assert_eq!(claimed(&*store, me).await, [], "it is not due");
    raw.passes(15).await;
    assert_eq!(claimed(&*store, other).await, [], "its owner may still come");
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    raw.passes(40).await;
    assert_eq!(claimed(&*store, other).await, [acme.keys.tenant], "its owner is silent");
}

/// From half of the lease on, so that no other comes first.
async fn a_key_whose_look_takes_long_stays_with_whoever_looks(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    let look = looked(claims_one(&*store, me).await);
    raw.passes(4).await;
    assert_eq!(claimed(&*store, me).await, [], "it is early");
    raw.passes(2).await;
    assert_eq!(claimed(&*store, me).await, [acme.keys.tenant]);
    raw.passes(9).await;
    assert_eq!(claimed(&*store, other).await, []);
    saves(&*store, me, look).await;
    assert_eq!(
        health(&*store, &acme).await.state,
        KeyState::Healthy,
        "fifteen seconds later"
    );
}

async fn a_replicas_own_keys_come_first(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let me = ReplicaId::generate();
    let acme = registered(&*store, "acme").await;
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    raw.passes(29).await;
    for name in ["b", "c"] {
        registered(&*store, name).await;
    }
    raw.passes(5).await;
    let first = claims(&*store, me, 1).await;
    assert_eq!(first[0].health.tenant, acme.keys.tenant);
    assert_eq!(claims(&*store, me, 1).await.len(), 1, "then those of nobody");
    assert_eq!(claims(&*store, me, 5).await.len(), 1);
}

async fn a_key_that_was_given_up_goes_to_another(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    gives_up(&*store, me).await;
    assert_eq!(health(&*store, &acme).await.owner, None);
    assert_eq!(claimed(&*store, me).await, [], "another may have a way");
    assert_eq!(claimed(&*store, other).await, [acme.keys.tenant]);
}

async fn a_key_that_was_given_up_comes_back_if_nobody_takes_it(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    gives_up(&*store, me).await;
    raw.passes(9).await;
    assert_eq!(claimed(&*store, me).await, []);
    raw.passes(2).await;
    assert_eq!(claimed(&*store, me).await, [acme.keys.tenant]);
}

async fn gives_up(store: &dyn Store, replica: ReplicaId) {
    let look = Looked {
        due_in: Duration::ZERO,
        keeps: false,
        ..looked(claims_one(store, replica).await)
    };
    saves(store, replica, look).await;
}

async fn what_was_found_is_kept_whole(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let (me, mut raw) = (ReplicaId::generate(), Raw::connect(url).await);
    for state in [
        KeyState::Healthy,
        KeyState::Degraded(trouble(VaultCause::Throttled)),
        KeyState::Refused(trouble(VaultCause::KeyDisabled)),
        KeyState::Unknown,
    ] {
        let mut look = looked(claims_one(&*store, me).await);
        look.health = KeyHealth {
            state,
            since: at(1),
            checked_at: Some(at(3)),
            served_at: Some(at(2)),
            newest: Some(newest(2)),
            canaries: vec![canary(2), canary(1)],
            failures: 5,
            ..look.health
        };
        saves(&*store, me, look.clone()).await;
        let kept = health(&*store, &acme).await;
        assert_eq!(kept.owned_until, Some(kept.due_at + LEASE));
        let expected = KeyHealth {
            due_at: kept.due_at,
            owned_until: kept.owned_until,
            ..look.health
        };
        assert_eq!(kept, expected);
        raw.passes(31).await;
    }
}

async fn the_newest_canaries_are_kept(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let mut look = looked(claims_one(&*store, me).await);
    look.health.canaries = (0..10).rev().map(canary).collect();
    saves(&*store, me, look).await;
    let kept = health(&*store, &acme).await.canaries;
    assert_eq!(kept, (2..10).rev().map(canary).collect::<Vec<_>>());
}

async fn of_a_look_that_comes_too_late_only_a_withdrawal_counts(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    let late = claims_one(&*store, me).await;
    raw.passes(11).await;
    let now = claims_one(&*store, other).await;
    let state = KeyState::Refused(trouble(VaultCause::RoleMissing));
    let look = Looked {
        news: vec![KeyNews::State(state.clone()), withdrawn("r-1")],
        ..looked(KeyHealth { state, ..late })
    };
    assert_eq!(saves(&*store, me, look).await, 1);
    assert_eq!(health(&*store, &acme).await, now, "nothing else is kept");
    let events = store.key_events(acme.keys.tenant, None, 10).await.expect("read");
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.by, &event.what), (me, &withdrawn("r-1")));
}

async fn a_look_that_is_asked_for_during_another_is_still_to_be_had(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let look = looked(claims_one(&*store, me).await);
    assert!(store.look_soon(acme.keys.tenant).await.expect("asked"));
    saves(&*store, me, look).await;
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    assert_eq!(claimed(&*store, me).await, [], "it was had");
    assert!(store.look_soon(acme.keys.tenant).await.expect("asked"));
    assert_eq!(claimed(&*store, me).await, [acme.keys.tenant]);
    let nobody = store.look_soon(tenant("nobody").keys.tenant).await;
    assert!(!nobody.expect("asked"));
}

async fn a_hint_makes_the_newest_version_be_looked_up(url: &str) {
    let store = open_whole(url).await;
    registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    knows_its_newest(&*store, me).await;
    assert_eq!(store.hint(&key("other")).await.expect("hinted"), 0);
    assert_eq!(claimed(&*store, me).await, []);
    // Key Vault ignores case, and so may whoever registered the tenant.
    assert_eq!(store.hint(&key("KEK")).await.expect("hinted"), 1);
    let claimed = claims_one(&*store, me).await;
    assert_eq!(
        claimed.newest.expect("known").seen_at,
        OffsetDateTime::UNIX_EPOCH,
        "long ago"
    );
}

async fn a_hint_during_a_look_is_not_lost(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    knows_its_newest(&*store, me).await;
    store.look_soon(acme.keys.tenant).await.expect("asked");
    let mut look = looked(claims_one(&*store, me).await);
    look.health.newest = Some(newest(1));
    store.hint(&key("kek")).await.expect("hinted");
    saves(&*store, me, look.clone()).await;
    let claimed = claims_one(&*store, me).await;
    let known = claimed.newest.expect("known");
    assert_eq!((known.kek, known.seen_at), (newest(1).kek, OffsetDateTime::UNIX_EPOCH));
    saves(&*store, me, look).await;
    assert_eq!(health(&*store, &acme).await.newest, Some(newest(1)), "it was looked up");
}

async fn knows_its_newest(store: &dyn Store, replica: ReplicaId) {
    let mut look = looked(claims_one(store, replica).await);
    look.health.newest = Some(newest(1));
    saves(store, replica, look).await;
}

async fn what_becomes_held_is_due_soon(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let [idle] = <[_; 1]>::try_from(claims(&*store, me, 2).await).expect("one");
    assert!(!idle.is_held);
    saves(&*store, me, idle_for_long(idle.health)).await;
    let within = Duration::from_secs(5);
    let before = health(&*store, &acme).await;
    store.note_held(&[acme.keys.tenant], within).await.expect("noted");
    let after = health(&*store, &acme).await;
    assert!(after.held_at.is_some());
    assert!(before.due_at - after.due_at >= time::Duration::seconds(890));
    Raw::connect(url).await.passes(6).await;
    let [held] = <[_; 1]>::try_from(claims(&*store, me, 2).await).expect("one");
    assert!(held.is_held);
}

async fn what_becomes_held_during_a_look_is_due_soon(url: &str) {
    let store = open_whole(url).await;
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let look = idle_for_long(claims_one(&*store, me).await);
    store
        .note_held(&[acme.keys.tenant], Duration::ZERO)
        .await
        .expect("noted");
    saves(&*store, me, look).await;
    assert!(claims(&*store, me, 2).await[0].is_held);
}

async fn what_becomes_held_is_taken_over_from_a_dead_owner(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    let look = idle_for_long(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    store
        .note_held(&[acme.keys.tenant], Duration::ZERO)
        .await
        .expect("noted");
    assert_eq!(claimed(&*store, other).await, [], "its owner may still come");
    raw.passes(11).await;
    assert_eq!(claimed(&*store, other).await, [acme.keys.tenant]);
}

fn idle_for_long(health: KeyHealth) -> Looked {
    Looked {
        due_in: Duration::from_mins(15),
        ..looked(health)
    }
}

async fn what_is_held_still_is_not_due_for_it(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let held = async || {
        let noted = store.note_held(&[acme.keys.tenant], Duration::ZERO).await;
        noted.expect("noted");
    };
    held().await;
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    let before = health(&*store, &acme).await;
    raw.passes(20).await;
    held().await;
    let after = health(&*store, &acme).await;
    assert!(after.held_at >= before.held_at);
    assert_eq!(claimed(&*store, me).await, []);
    // Held no more: noticed with the next look, and due soon when it is held again.
    raw.passes(300).await;
    assert!(!claims(&*store, me, 2).await[0].is_held);
}

async fn what_is_held_and_not_looked_at_is_overdue(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    registered(&*store, "idle").await;
    let me = ReplicaId::generate();
    let overdue = async || store.overdue(HELD, Duration::from_secs(50)).await.expect("asked");
    assert_eq!(overdue().await, [], "nobody holds anything");
    store
        .note_held(&[acme.keys.tenant], Duration::ZERO)
        .await
        .expect("noted");
    assert_eq!(overdue().await, [acme.keys.tenant], "nobody ever looked");
    let looks = claims(&*store, me, 2).await;
    assert_eq!(overdue().await, [acme.keys.tenant], "to look is not to have looked");
    let looks: Vec<_> = looks.into_iter().map(|claimed| looked(claimed.health)).collect();
    store.save_looks(me, &looks, LEASE).await.expect("saved");
    assert_eq!(overdue().await, []);
    raw.execute("update key_health set state = 'unknown'")
        .await
        .expect("changed");
    assert_eq!(
        overdue().await,
        [acme.keys.tenant],
        "to have looked is not to have been served"
    );
    raw.execute("update key_health set state = 'healthy'")
        .await
        .expect("changed");
    raw.passes(49).await;
    assert_eq!(overdue().await, []);
    raw.passes(2).await;
    assert_eq!(overdue().await, [acme.keys.tenant]);
    raw.passes(70).await;
    assert_eq!(overdue().await, [], "nobody holds anything any more");
}

/// A vault's limits may be too near for a look, too.
async fn a_look_that_asked_nobody_is_none(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let (acme, me) = (registered(&*store, "acme").await, ReplicaId::generate());
    saves(&*store, me, looked(claims_one(&*store, me).await)).await;
    let overdue = async || {
        let held = [acme.keys.tenant];
        store.note_held(&held, Duration::ZERO).await.expect("noted");
        store.overdue(HELD, Duration::from_secs(50)).await.expect("asked")
    };
    assert_eq!(overdue().await, []);
    raw.passes(40).await;
    let health = claims_one(&*store, me).await;
    let before = health.checked_at;
    let mut look = looked(health);
    look.health.checked_at = before;
    saves(&*store, me, look).await;
    raw.passes(11).await;
    assert_eq!(overdue().await, [acme.keys.tenant]);
    raw.passes(20).await;
    saves(&*store, me, looked(claims_one(&*store, me).await)).await;
    assert_eq!(overdue().await, []);
}

/// What a look found is as old as its beginning.
async fn a_look_counts_from_its_beginning(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    store
        .note_held(&[acme.keys.tenant], Duration::ZERO)
        .await
        .expect("noted");
    let look = looked(claims_one(&*store, me).await);
    raw.passes(8).await;
    saves(&*store, me, look).await;
    raw.passes(43).await;
    let overdue = store.overdue(HELD, Duration::from_secs(50)).await.expect("asked");
    assert_eq!(overdue, [acme.keys.tenant]);
}

/// It is claimed again while it is made, as it takes longer than the lease.
async fn a_look_that_takes_long_counts_from_its_beginning_and_forgets_nothing(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let (acme, me) = (registered(&*store, "acme").await, ReplicaId::generate());
    let look = looked(claims_one(&*store, me).await);
    raw.passes(5).await;
    store
        .note_held(&[acme.keys.tenant], Duration::ZERO)
        .await
        .expect("noted");
    raw.passes(5).await;
    claims_one(&*store, me).await;
    raw.passes(9).await;
    saves(&*store, me, look).await;
    assert!(
        claims(&*store, me, 1).await[0].is_held,
        "what became held is due at once"
    );
    let overdue = store.overdue(HELD, Duration::from_secs(18)).await.expect("asked");
    assert_eq!(overdue, [acme.keys.tenant]);
}

/// The server that took over has another clock.
async fn a_look_of_the_future_is_none(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let (acme, me) = (registered(&*store, "acme").await, ReplicaId::generate());
    store
        .note_held(&[acme.keys.tenant], Duration::ZERO)
        .await
        .expect("noted");
    saves(&*store, me, looked(claims_one(&*store, me).await)).await;
    let overdue = async || store.overdue(HELD, Duration::from_secs(50)).await.expect("asked");
    assert_eq!(overdue().await, []);
    raw.is_set_back(60).await;
    assert_eq!(overdue().await, [acme.keys.tenant]);
}

async fn only_active_tenants_keys_are_looked_at(url: &str) {
    let store = open_whole(url).await;
    let mut acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let look = looked(claims_one(&*store, me).await);
    acme.suspend().expect("suspended");
    let mut acme = store.save(&acme).await.expect("saved");
    saves(&*store, me, look).await;
    let suspended = health(&*store, &acme).await;
    assert_eq!(
        (suspended.owner, suspended.state),
        (None, KeyState::Unknown),
        "too late"
    );
    store.look_soon(acme.keys.tenant).await.expect("asked");
    store
        .note_held(&[acme.keys.tenant], Duration::ZERO)
        .await
        .expect("noted");
    assert_eq!(claimed(&*store, me).await, []);
    let overdue = store.overdue(HELD, Duration::ZERO).await.expect("asked");
    assert_eq!(overdue, []);
    acme.resume();
    let acme = store.save(&acme).await.expect("saved");
    assert_eq!(claimed(&*store, me).await, [acme.keys.tenant]);
}

async fn a_tenants_other_key_is_due_at_once(url: &str) {
    let store = open_whole(url).await;
    let mut acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    acme.display_name = "Other".parse().expect("a name");
    let mut acme = store.save(&acme).await.expect("saved");
    assert_eq!(claimed(&*store, me).await, [], "its name is no matter");
    acme.change_key(key("next"), VersionPolicy::FollowLatest)
        .expect("changed");
    store.save(&acme).await.expect("saved");
    assert_eq!(claimed(&*store, me).await, [acme.keys.tenant]);
}

async fn a_purged_tenants_key_is_gone(url: &str) {
    let store = open_whole(url).await;
    let mut acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let told = store
        .tell_key_news(me, acme.keys.tenant, &withdrawn("r-1"), Duration::ZERO)
        .await;
    told.expect("told").expect("new");
    let look = looked(claims_one(&*store, me).await);
    acme.delete(clock(), Duration::ZERO);
    store.save(&acme).await.expect("saved");
    store.purge().await.expect("purged");
    let id = acme.keys.tenant;
    assert_eq!(store.key_health(id).await.expect("asked"), None);
    assert!(!store.look_soon(id).await.expect("asked"));
    assert_eq!(saves(&*store, me, look).await, 0);
    let news = store.tell_key_news(me, id, &withdrawn("r-1"), Duration::ZERO).await;
    assert_eq!(news.expect("asked"), None);
    assert_eq!(
        store.key_events(id, None, 10).await.expect("read").len(),
        1,
        "what happened is kept"
    );
}

async fn a_replica_that_leaves_gives_up_its_keys(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let acme = registered(&*store, "acme").await;
    let globex = registered(&*store, "globex").await;
    let (me, other) = (ReplicaId::generate(), ReplicaId::generate());
    let looks = claims(&*store, me, 2).await.into_iter();
    let looks: Vec<_> = looks.map(|claimed| looked(claimed.health)).collect();
    store.save_looks(me, &looks, LEASE).await.expect("saved");
    store.look_soon(globex.keys.tenant).await.expect("asked");
    claims_one(&*store, me).await;
    store.leave(me).await.expect("left");
    assert_eq!(claimed(&*store, other).await, [globex.keys.tenant], "amid a look");
    raw.passes(31).await;
    let claimed = claimed(&*store, other).await;
    assert!(claimed.contains(&acme.keys.tenant), "without waiting for the lease");
}

async fn keys_are_counted_by_their_states(url: &str) {
    let store = open_whole(url).await;
    assert!(store.key_states().await.expect("counted").is_empty());
    registered(&*store, "a").await;
    let me = ReplicaId::generate();
    let look = looked(claims_one(&*store, me).await);
    saves(&*store, me, look).await;
    for name in ["b", "c"] {
        registered(&*store, name).await;
    }
    let mut suspended = registered(&*store, "d").await;
    suspended.suspend().expect("suspended");
    store.save(&suspended).await.expect("saved");
    let expected = [("healthy".to_owned(), 1), ("unknown".to_owned(), 2)];
    assert_eq!(store.key_states().await.expect("counted"), expected.into());
}

async fn claimants_at_the_same_time_claim_no_key_twice(url: &str) {
    let replicas = [open_whole(url).await, open_whole(url).await];
    registered(&*replicas[0], "acme").await;
    Raw::connect(url).await.multiply(99).await;
    let claimants = (0..8).map(|n| {
        let (store, me) = (Arc::clone(&replicas[n % 2]), ReplicaId::generate());
        tokio::spawn(async move {
            let mut all = Vec::new();
            loop {
                let some = claims(&*store, me, 7).await;
                if some.is_empty() {
                    return all;
                }
                assert!(some.iter().all(|claimed| claimed.health.owner == Some(me)));
                all.extend(some.into_iter().map(|claimed| claimed.health.tenant));
            }
        })
    });
    let mut all = Vec::new();
    for claimant in claimants.collect::<Vec<_>>() {
        all.extend(claimant.await.expect("joined"));
    }
    // One that is just being claimed by another is passed over; whoever comes next takes it.
    all.extend(claimed(&*replicas[0], ReplicaId::generate()).await);
    let each: HashSet<_> = all.iter().collect();
    assert_eq!((all.len(), each.len()), (100, 100));
}

async fn a_row_that_cannot_be_read_keeps_none_from_being_claimed(url: &str) {
    let (store, mut raw) = (open_whole(url).await, Raw::connect(url).await);
    let bad = registered(&*store, "bad").await;
    let good = registered(&*store, "good").await;
    raw.execute(
        "update key_health set canaries = '{\"format\": 2, \"canaries\": []}'
         where tenant_id = (select id from tenants where slug = 'bad')",
    )
    .await
    .expect("written");
    assert_eq!(claimed(&*store, ReplicaId::generate()).await, [good.keys.tenant]);
    let told = store.key_health(bad.keys.tenant).await;
    assert!(told.is_err(), "{told:?}");
}

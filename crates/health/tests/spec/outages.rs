//! The registry, or the way to it, is away: nothing ends, nothing that holds is lost, and nothing is believed to be watched that
//! is not known to be.

use std::time::Duration;

use keyferry_crypto::{news::Learnt, vault::VaultCause};
use keyferry_registry::{Changed, Revision, Tenant, key::KeyNews};
use tokio::time::Instant;

use crate::{
    store::Cut,
    vault::kek,
    world::{HEARING, LEASE, PERIOD, Runs, SECOND, TRY, World},
};

const MINUTE: Duration = Duration::from_mins(1);

fn withdrawals(world: &World) -> usize {
    let (events, _) = world.store.feed(Revision(0));
    events
        .iter()
        .filter(|event| matches!(event.what, KeyNews::Withdrawn(_)))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_was_met_while_the_registry_was_away_is_told_once_it_is_back() {
    for cut in [Cut::Failing, Cut::Silent] {
        let world = World::new();
        let acme = world.tenant();
        let (one, two) = (world.replica(), world.replica());
        two.keys.holds(acme.keys.tenant);
        world.passes(PERIOD).await;
        world.store.is_cut_off(one.id, cut);
        one.keys
            .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
        world.passes(SECOND * 20).await;
        let before = withdrawals(&world);
        world.store.comes_back();
        world.passes(SECOND * 15).await;
        assert_eq!((before, withdrawals(&world)), (0, 1));
        assert_eq!(two.keys.told().obeyed.len(), 1);
    }
}

/// By whoever could not hear of it before: the key may have been given back meanwhile.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_heard_of_long_after_it_was_told_is_obeyed_as_one() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    two.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.store.is_cut_off(two.id, Cut::Failing);
    one.keys
        .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
    world.passes(SECOND * 20).await;
    assert!(two.keys.told().obeyed.is_empty());
    world.store.comes_back();
    world.passes(SECOND * 5).await;
    assert_eq!((two.keys.told().obeyed.len(), two.keys.told().obeyed_late), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn of_refusals_that_wait_the_newest_is_told_and_none_that_is_over() {
    let world = World::new();
    let (acme, globex) = (world.tenant(), world.tenant());
    let one = world.replica();
    world.passes(PERIOD).await;
    world.store.goes_away();
    for cause in [VaultCause::RoleMissing, VaultCause::KeyDisabled] {
        one.keys.is_refused(acme.keys.tenant, &kek(&acme.keys, 1), cause);
        one.keys.is_refused(globex.keys.tenant, &kek(&globex.keys, 1), cause);
    }
    world.passes(SECOND * 5).await;
    one.keys.learns(globex.keys.tenant, Learnt::Serves);
    world.passes(SECOND * 5).await;
    world.store.comes_back();
    world.passes(SECOND * 5).await;
    let causes: Vec<_> = world.store.news(acme.keys.tenant).iter().filter_map(cause).collect();
    assert_eq!(causes, [VaultCause::KeyDisabled]);
    let over: Vec<_> = world.store.news(globex.keys.tenant).iter().filter_map(cause).collect();
    assert_eq!(over, []);
}

fn cause(news: &KeyNews) -> Option<VaultCause> {
    if let KeyNews::Withdrawn(refusal) = news {
        Some(refusal.cause)
    } else {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn looks_go_on_after_an_outage_of_the_registry() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.store.goes_away();
    world.passes(MINUTE * 10).await;
    let since = world.store.looks().len();
    world.store.comes_back();
    world.passes(SECOND * 5).await;
    assert!(!world.looks_at(&acme, since).is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_counts_as_heard_while_the_registry_is_away() {
    let world = World::new();
    let one = world.replica();
    world.passes(SECOND * 5).await;
    let before = one.keys.told().heard_at;
    world.store.goes_away();
    world.passes(MINUTE).await;
    assert_eq!(one.keys.told().heard_at, before);
    assert!(one.watch.stats().since_heard >= MINUTE);
}

/// An alert goes by how long ago it was, and must not wait for a first time.
#[tokio::test(start_paused = true)]
async fn a_replica_that_never_heard_counts_from_its_start() {
    let world = World::new();
    world.store.goes_away();
    let one = world.replica();
    world.passes(MINUTE).await;
    assert_eq!(one.keys.told().heard_at, None);
    assert!(one.watch.stats().since_heard >= MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_is_acknowledged_late_rather_than_never() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    world.passes(SECOND).await;
    one.keys
        .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
    tokio::time::sleep(SECOND).await;
    // It is read, and then the registry goes away before it can be said so.
    two.view.reads();
    world.store.goes_away();
    world.passes(SECOND * 20).await;
    assert_eq!(two.keys.told().obeyed.len(), 1);
    let (events, _) = world.store.feed(Revision(0));
    let withdrawn = events
        .iter()
        .find(|event| matches!(event.what, KeyNews::Withdrawn(_)))
        .unwrap();
    assert!(!world.store.acknowledged(withdrawn.revision).contains(&two.id));
    world.store.comes_back();
    world.passes(SECOND * 5).await;
    assert!(world.store.acknowledged(withdrawn.revision).contains(&two.id));
}

#[tokio::test(start_paused = true)]
async fn whose_key_nobody_looks_at_is_mistrusted() {
    let world = World::new();
    let (acme, globex) = (world.tenant(), world.tenant());
    let one = world.replica();
    for tenant in [&acme, &globex] {
        one.keys.holds(tenant.keys.tenant);
    }
    world.passes(PERIOD * 2).await;
    assert!(one.keys.told().mistrusted.is_empty());
    world.store.is_kept_by_nobody(acme.keys.tenant);
    world.passes(PERIOD + LEASE + TRY + SECOND * 3).await;
    assert_eq!(one.keys.told().mistrusted, [acme.keys.tenant].into());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_ask_whose_keys_are_looked_at_mistrusts_all() {
    for cut in [Cut::Failing, Cut::Silent] {
        let world = World::new();
        let acme = world.tenant();
        let one = world.replica();
        one.keys.holds(acme.keys.tenant);
        world.passes(PERIOD).await;
        world.store.is_cut_off(one.id, cut);
        world.passes(SECOND * 25).await;
        assert_eq!(one.keys.told().mistrusted, [acme.keys.tenant].into());
        world.store.comes_back();
        world.passes(SECOND * 15).await;
        assert!(one.keys.told().mistrusted.is_empty());
    }
}

/// A registry that takes nothing, as one that fails over or whose disk is full, answers what it knew: after a while that nobody
/// holds anything, so that nobody is overdue.
#[tokio::test(start_paused = true)]
async fn a_registry_that_only_answers_is_not_believed_for_long() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD * 2).await;
    assert!(one.keys.told().mistrusted.is_empty());
    world.store.is_cut_off(one.id, Cut::ReadOnly);
    world.passes(PERIOD + LEASE + TRY + SECOND * 3).await;
    for _ in 0..10 {
        assert_eq!(one.keys.told().mistrusted, [acme.keys.tenant].into());
        world.passes(MINUTE).await;
    }
    world.store.comes_back();
    world.passes(SECOND * 15).await;
    assert!(one.keys.told().mistrusted.is_empty());
}

/// Who uses it need not wait for a vault that gives no answer: it is asked meanwhile.
#[tokio::test(start_paused = true)]
async fn what_was_watched_counts_for_as_long_as_the_feed_and_a_call_longer() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.vault.fails(acme.keys.tenant, VaultCause::VaultFailed);
    let from = || one.keys.told().mistrusted_from.get(&acme.keys.tenant).copied();
    while from().is_none() {
        world.passes(SECOND).await;
    }
    let told = Instant::now();
    let counts = from().unwrap();
    assert!(counts > told + HEARING + TRY - SECOND * 5 && counts <= told + HEARING + TRY);
    world.passes(PERIOD * 2).await;
    assert_eq!(from(), Some(counts), "not for longer, however often it is told");
    let two = world.replica();
    two.keys.holds(acme.keys.tenant);
    world.passes(SECOND * 5).await;
    assert!(two.keys.told().mistrusted_from[&acme.keys.tenant] <= Instant::now());
}

/// The registry may have forgotten that it was held, or its key was refused in between.
#[tokio::test(start_paused = true)]
async fn what_is_held_anew_is_said_to_be_held_anew() {
    type Eviction = fn(&Runs, &Tenant);
    let evictions: [Eviction; 3] = [
        |one, _| one.view.tells(Changed::Everything),
        |one, acme| one.view.tells(Changed::Tenant(acme.keys.tenant)),
        |one, acme| {
            one.keys
                .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
        },
    ];
    for evicts in evictions {
        let world = World::new();
        let acme = world.tenant();
        let one = world.replica();
        one.keys.holds(acme.keys.tenant);
        world.passes(SECOND * 15).await;
        let before = world.store.health(acme.keys.tenant).held_at;
        evicts(&one, &acme);
        tokio::time::sleep(Duration::from_millis(1)).await;
        one.keys.holds(acme.keys.tenant);
        world.passes(SECOND * 5).await;
        assert!(world.store.health(acme.keys.tenant).held_at > before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_starts_later_mistrusts_what_the_watch_gets_no_answer_about() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.vault.fails(acme.keys.tenant, VaultCause::VaultFailed);
    world.passes(PERIOD * 2).await;
    let two = world.replica();
    two.keys.holds(acme.keys.tenant);
    world.passes(SECOND * 15).await;
    assert_eq!(two.keys.told().mistrusted, [acme.keys.tenant].into());
}

/// A replica was killed when it had saved that the customer refuses, and had not told it yet.
#[tokio::test(start_paused = true)]
async fn what_is_refused_and_was_never_told_is_mistrusted() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.store.is_refused_untold(acme.keys.tenant, VaultCause::KeyDisabled);
    world.passes(SECOND * 4).await;
    assert_eq!(one.keys.told().mistrusted, [acme.keys.tenant].into());
}

#[tokio::test(start_paused = true)]
async fn a_tenant_of_whom_it_cannot_be_said_that_it_is_held_is_mistrusted() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    world.passes(SECOND).await;
    world.store.is_cut_off(one.id, Cut::Failing);
    one.keys.holds(acme.keys.tenant);
    world.passes(SECOND * 5).await;
    assert!(one.keys.told().mistrusted.contains(&acme.keys.tenant));
    world.store.comes_back();
    world.passes(SECOND * 5).await;
    assert!(one.keys.told().mistrusted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_key_the_watch_gets_no_answer_about_is_mistrusted() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.vault.fails(acme.keys.tenant, VaultCause::VaultFailed);
    world.passes(PERIOD + SECOND * 4).await;
    assert!(one.keys.told().mistrusted.contains(&acme.keys.tenant));
    world.vault.fails(acme.keys.tenant, None);
    world.passes(PERIOD + SECOND * 4).await;
    assert!(one.keys.told().mistrusted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replica_ends_though_the_registry_gives_no_answer() {
    let world = World::new();
    world.tenant();
    let one = world.replica();
    world.passes(SECOND).await;
    world.store.is_cut_off(one.id, Cut::Silent);
    let before = tokio::time::Instant::now();
    one.ends().await;
    assert!(before.elapsed() <= SECOND * 2);
}

//! A refusal, wherever it was met, is obeyed by every replica and acknowledged.

use std::collections::BTreeSet;

use keyferry_crypto::{
    news::Learnt,
    tenant::Route,
    vault::{VaultCause, VaultError},
};
use keyferry_registry::{
    Changed, Revision,
    key::{KeyNews, KeyState},
};

use crate::{
    store::Cut,
    vault::kek,
    world::{PERIOD, SECOND, World},
};

/// The revisions of the withdrawals that were told.
fn withdrawals(world: &World) -> Vec<Revision> {
    let (events, _) = world.store.feed(Revision(0));
    let withdrawn = events
        .iter()
        .filter(|event| matches!(event.what, KeyNews::Withdrawn(_)));
    withdrawn.map(|event| event.revision).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_a_look_meets_is_obeyed_and_acknowledged_by_all() {
    let world = World::new();
    let acme = world.tenant();
    let replicas = [world.replica(), world.replica(), world.replica()];
    for replica in &replicas {
        replica.keys.holds(acme.keys.tenant);
    }
    world.passes(PERIOD * 2).await;
    world.vault.fails(acme.keys.tenant, VaultCause::KeyDisabled);
    world.passes(PERIOD + SECOND * 3).await;
    let told = withdrawals(&world);
    assert_eq!(told.len(), 1, "it is told once");
    let all: BTreeSet<_> = replicas.iter().map(|replica| replica.id).collect();
    assert_eq!(world.store.acknowledged(told[0]), all);
    let obeyed: usize = replicas.iter().map(|replica| replica.keys.told().obeyed.len()).sum();
    assert_eq!(obeyed, 2, "the one who met it has obeyed by meeting it");
    assert_eq!(world.store.health(acme.keys.tenant).state.slug(), "refused");
    world.passes(PERIOD * 10).await;
    assert_eq!(withdrawals(&world).len(), 1, "and not again while it lasts");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_a_request_meets_is_obeyed_by_all_before_any_look() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    two.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.vault.fails(acme.keys.tenant, VaultCause::KeyDisabled);
    one.keys
        .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
    world.passes(SECOND * 3).await;
    let obeyed = two.keys.told().obeyed;
    assert_eq!(obeyed.len(), 1);
    assert_eq!(two.keys.told().obeyed_late, 0, "it was told just now");
    assert_eq!(obeyed[0].1.cause, VaultCause::KeyDisabled);
    assert!(one.keys.told().obeyed.is_empty(), "it is not told back");
    let told = withdrawals(&world);
    assert_eq!(told.len(), 1, "the look that it brought forward does not tell it again");
    assert_eq!(world.store.acknowledged(told[0]), [one.id, two.id].into());
    assert_eq!(world.store.health(acme.keys.tenant).state.slug(), "refused");
    assert_eq!(two.watch.stats().withdrawals_obeyed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_returns_is_found_healthy_and_its_next_refusal_is_told_anew() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    for round in 1..=3 {
        for replica in [&one, &two] {
            replica.keys.holds(acme.keys.tenant);
        }
        world.passes(PERIOD * 2).await;
        assert_eq!(world.store.health(acme.keys.tenant).state, KeyState::Healthy);
        world.vault.fails(acme.keys.tenant, VaultCause::RoleMissing);
        world.passes(PERIOD + SECOND * 3).await;
        assert_eq!(withdrawals(&world).len(), round);
        world.vault.fails(acme.keys.tenant, None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_got_while_a_key_was_back_unnoticed_is_withdrawn_by_the_next_look() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.vault.fails(acme.keys.tenant, VaultCause::KeyDisabled);
    world.passes(PERIOD * 2).await;
    let told = withdrawals(&world).len();
    // Between two looks the key serves for a moment, in which the one that does not look gets a data key.
    let owner = world.store.health(acme.keys.tenant).owner;
    let other = [&one, &two]
        .into_iter()
        .find(|replica| Some(replica.id) != owner)
        .expect("one looks");
    let obeyed = other.keys.told().obeyed.len();
    other.keys.holds(acme.keys.tenant);
    world.passes(PERIOD + SECOND * 4).await;
    assert!(withdrawals(&world).len() > told);
    assert!(other.keys.told().obeyed.len() > obeyed);
    assert!(other.keys.told().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_old_version_that_is_refused_is_withdrawn_alone_and_once() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    for replica in [&one, &two] {
        replica.keys.holds(acme.keys.tenant);
    }
    world.passes(PERIOD * 2).await;
    world.vault.rotates(&acme.keys);
    world.passes(PERIOD * 4).await;
    world.vault.fails_at(acme.keys.tenant, Some(1), VaultCause::KeyDisabled);
    world.passes(PERIOD * 10).await;
    let told: Vec<_> = world.store.news(acme.keys.tenant);
    let told: Vec<_> = told
        .iter()
        .filter_map(|news| {
            if let KeyNews::Withdrawn(refusal) = news {
                Some(refusal)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].version, Some(kek(&acme.keys, 1).version));
    assert_eq!(world.store.health(acme.keys.tenant).state, KeyState::Healthy);
}

/// What serves may be another version; so that a refusal was not told as something serves again does not count as told.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_was_kept_from_being_told_by_another_version_that_serves_is_told_by_the_next_look() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    world.vault.rotates(&acme.keys);
    world.passes(PERIOD * 4).await;
    world.store.is_cut_off(one.id, Cut::Untold);
    world.vault.fails_at(acme.keys.tenant, Some(1), VaultCause::KeyDisabled);
    world.passes(PERIOD).await;
    one.keys.learns(acme.keys.tenant, Learnt::Serves);
    world.passes(SECOND).await;
    assert_eq!(withdrawals(&world), []);
    world.store.comes_back();
    world.passes(SECOND * 5).await;
    assert_eq!(withdrawals(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_changes_is_evicted_and_so_are_all_when_changes_were_missed() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    world.passes(SECOND).await;
    one.view.tells(Changed::Tenant(acme.keys.tenant));
    world.passes(SECOND).await;
    assert_eq!(one.keys.told().evicted, [acme.keys.tenant]);
    one.view.tells(Changed::Everything);
    world.passes(SECOND).await;
    assert_eq!(one.keys.told().evicted_all, 1);
    for _ in 0..300 {
        one.view.tells(Changed::Tenant(acme.keys.tenant));
    }
    world.passes(SECOND).await;
    assert_eq!(one.keys.told().evicted_all, 2, "more was told than the channel keeps");
}

#[tokio::test(start_paused = true)]
async fn what_was_heard_is_obeyed_before_it_counts_as_heard() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    world.passes(SECOND).await;
    let before = two.keys.told().heard_at;
    one.keys
        .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
    world.passes(SECOND * 2).await;
    let told = two.keys.told();
    assert!(told.heard_at > before);
    assert_eq!(told.obeyed.len(), 1);
    assert!(two.watch.stats().since_heard <= SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_private_vault_that_is_asked_in_vain_has_its_endpoint_doubted_and_no_other_has() {
    let world = World::new();
    let private = world.tenant_that(|tenant| tenant.keys.route = Route::Private([10, 0, 0, 4].into()));
    let public = world.tenant();
    let one = world.replica();
    world.passes(SECOND).await;
    for tenant in [&private, &public] {
        let error = VaultError::from(VaultCause::ConnectionFailed);
        one.keys.learns(tenant.keys.tenant, Learnt::Unavailable(error));
    }
    world.passes(SECOND).await;
    assert_eq!(*one.doubted.lock().unwrap(), [private.keys.tenant]);
}

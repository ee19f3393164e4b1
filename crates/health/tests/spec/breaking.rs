//! A part of the watch that meets a defect breaks off: it is begun anew, and nothing is believed meanwhile that it did not do.

use keyferry_crypto::vault::VaultCause;
use keyferry_registry::Changed;

use crate::{
    keys::Defect,
    vault::kek,
    world::{HEARING, PERIOD, SECOND, World},
};

#[tokio::test(start_paused = true)]
async fn a_replica_that_breaks_off_obeying_evicts_everything_and_obeys_what_is_told_next() {
    let world = World::new();
    let (acme, globex) = (world.tenant(), world.tenant());
    let (one, two) = (world.replica(), world.replica());
    world.passes(PERIOD).await;
    two.keys.has(Defect::Obeying);
    one.keys
        .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
    world.passes(SECOND).await;
    two.keys.has(None);
    world.passes(SECOND * 2).await;
    assert_eq!((two.watch.stats().breaks, two.keys.told().evicted_all), (1, 1));
    one.keys
        .is_refused(globex.keys.tenant, &kek(&globex.keys, 1), VaultCause::KeyDisabled);
    world.passes(SECOND * 2).await;
    let obeyed: Vec<_> = two.keys.told().obeyed.iter().map(|(tenant, _)| *tenant).collect();
    assert_eq!(obeyed, [globex.keys.tenant]);
    assert!(two.lives());
}

#[tokio::test(start_paused = true)]
async fn what_was_told_while_nobody_obeyed_is_not_missed() {
    let world = World::new();
    let acme = world.tenant();
    let (one, two) = (world.replica(), world.replica());
    world.passes(PERIOD).await;
    two.keys.has(Defect::Obeying);
    one.keys
        .is_refused(acme.keys.tenant, &kek(&acme.keys, 1), VaultCause::KeyDisabled);
    world.passes(SECOND).await;
    two.view.tells(Changed::Tenant(acme.keys.tenant));
    two.keys.has(None);
    world.passes(SECOND * 2).await;
    assert_eq!(two.keys.told().evicted, [acme.keys.tenant]);
}

/// Whose keys nobody looks at is told to the sealer; if it is not, what it was told last may be long untrue.
#[tokio::test(start_paused = true)]
async fn nothing_counts_as_heard_while_it_cannot_be_told_who_is_watched() {
    let world = World::new();
    let one = world.replica();
    world.passes(PERIOD).await;
    one.keys.has(Defect::Holding);
    world.passes(HEARING + SECOND).await;
    let heard_at = one.keys.told().heard_at;
    world.passes(PERIOD).await;
    assert_eq!(one.keys.told().heard_at, heard_at);
    assert!(one.watch.stats().since_heard >= PERIOD);
    one.keys.has(None);
    world.passes(SECOND * 3).await;
    assert!(one.keys.told().heard_at > heard_at);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_breaks_off_is_made_again() {
    let world = World::new();
    let acme = world.tenant();
    let one = world.replica();
    one.keys.holds(acme.keys.tenant);
    world.passes(PERIOD).await;
    one.keys.has(Defect::Looking);
    world.passes(PERIOD * 2).await;
    assert!(one.keys.told().mistrusted.contains(&acme.keys.tenant));
    one.keys.has(None);
    let since = world.store.looks().len();
    world.passes(PERIOD).await;
    assert!(!world.looks_at(&acme, since).is_empty());
}

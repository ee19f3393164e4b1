//! The whole: replicas that seal and open under load, a key that is taken away, and the bound.

use std::time::Duration;

use keyferry_crypto::{sealer::SealerError, vault::VaultCause};
use tokio::time::Instant;

use crate::{
    load::Load,
    store::Cut,
    world::{CONFIRMATION, HEARING, PERIOD, SECOND, Seals, TRY, World},
};

/// W + T + C + H.
const HEARS: Duration = Duration::from_secs(48 + 8 + 3 + 10);
/// P + T + C.
const DEAF: Duration = PERIOD.saturating_add(TRY).saturating_add(CONFIRMATION);

fn three(world: &World) -> [Seals; 3] {
    [
        world.sealing_replica(),
        world.sealing_replica(),
        world.sealing_replica(),
    ]
}

fn is_refused_for(outcome: &Result<(), SealerError>, cause: VaultCause) -> bool {
    matches!(outcome, Err(SealerError::Vault(error)) if error.cause() == cause)
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_key_is_used_by_no_replica_after_the_next_look_and_all_say_why() {
    for cause in [
        VaultCause::KeyDisabled,
        VaultCause::KeyNotFound,
        VaultCause::RoleMissing,
        VaultCause::ConsentMissing,
    ] {
        let world = World::new();
        let replicas = three(&world);
        let mut load = Load::on(&world, &replicas).await;
        load.passes(PERIOD * 2).await;
        let before = load.sent_since(Instant::now() - PERIOD);
        assert!(before.iter().all(|answered| answered.outcome.is_ok()), "{cause:?}");
        let act = Instant::now();
        world.vault.fails(load.tenant().keys.tenant, cause);
        load.passes(PERIOD + CONFIRMATION + SECOND * 3).await;
        let last = load.last_success(None).expect("served");
        assert!(last - act <= PERIOD + SECOND * 2, "{cause:?}: {:?}", last - act);
        let end = Instant::now();
        load.passes(SECOND * 5).await;
        load.ends().await;
        for answered in load.sent_since(end) {
            assert!(is_refused_for(&answered.outcome, cause), "{cause:?}: {answered:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_though_the_replica_that_was_to_look_dies_with_the_key() {
    let world = World::new();
    let replicas = three(&world);
    let mut load = Load::on(&world, &replicas).await;
    load.passes(PERIOD * 2).await;
    let owner = world.store.health(load.tenant().keys.tenant).owner;
    let act = Instant::now();
    world.vault.fails(load.tenant().keys.tenant, VaultCause::KeyDisabled);
    replicas
        .iter()
        .find(|replica| Some(replica.id) == owner)
        .expect("one looks")
        .dies();
    load.passes(HEARS * 2).await;
    load.ends().await;
    let last = load.last_success(None).expect("served");
    assert!(last - act <= HEARS, "{:?}", last - act);
}

#[tokio::test(start_paused = true)]
async fn replicas_that_are_deaf_find_out_for_themselves() {
    for cut in [Cut::Failing, Cut::Silent] {
        let world = World::new();
        let replicas = three(&world);
        let mut load = Load::on(&world, &replicas).await;
        load.passes(PERIOD * 2).await;
        for replica in &replicas {
            world.store.is_cut_off(replica.id, cut);
        }
        load.passes(PERIOD * 2).await;
        let since = Instant::now() - PERIOD * 2;
        assert!(
            load.sent_since(since).iter().all(|answered| answered.outcome.is_ok()),
            "nobody notices"
        );
        let act = Instant::now();
        world.vault.fails(load.tenant().keys.tenant, VaultCause::KeyDisabled);
        load.passes(DEAF * 2).await;
        load.ends().await;
        for replica in &replicas {
            let last = load.last_success(Some(replica.id)).expect("served");
            assert!(last - act <= DEAF, "{cut:?}: {:?}", last - act);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_cut_off_when_the_key_goes_is_bound_by_what_it_heard_last() {
    let world = World::new();
    let replicas = three(&world);
    let mut load = Load::on(&world, &replicas).await;
    load.passes(PERIOD * 2).await;
    world.store.is_cut_off(replicas[1].id, Cut::Silent);
    let act = Instant::now();
    world.vault.fails(load.tenant().keys.tenant, VaultCause::KeyDisabled);
    load.passes(HEARS * 2).await;
    load.ends().await;
    let last = load.last_success(Some(replicas[1].id)).expect("served");
    assert!(last - act <= DEAF.max(HEARING + TRY + CONFIRMATION), "{:?}", last - act);
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_gives_no_answer_is_no_revocation() {
    let world = World::new();
    let replicas = three(&world);
    let mut load = Load::on(&world, &replicas).await;
    load.passes(PERIOD * 2).await;
    let ttl = load.tenant().keys.policy.cache_ttl;
    let act = Instant::now();
    world.vault.fails(load.tenant().keys.tenant, VaultCause::VaultFailed);
    load.passes(ttl / 2).await;
    assert!(
        load.last_success(None).expect("served") - act > PERIOD * 2,
        "what is held is used"
    );
    load.passes(ttl).await;
    load.ends().await;
    assert!(load.last_success(None).expect("served") - act <= ttl, "to its end");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_returns_serves_again_by_itself() {
    let world = World::new();
    let replicas = three(&world);
    let mut load = Load::on(&world, &replicas).await;
    load.passes(PERIOD * 2).await;
    world.vault.fails(load.tenant().keys.tenant, VaultCause::RoleMissing);
    load.passes(PERIOD * 2).await;
    world.vault.fails(load.tenant().keys.tenant, None);
    load.passes(PERIOD).await;
    let since = Instant::now();
    load.passes(PERIOD).await;
    load.ends().await;
    let after = load.sent_since(since);
    assert!(after.iter().all(|answered| answered.outcome.is_ok()), "{after:?}");
    assert_eq!(world.store.health(load.tenant().keys.tenant).state.slug(), "healthy");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_fails_nothing_and_every_replica_seals_under_the_new_version() {
    let world = World::new();
    let replicas = three(&world);
    let mut load = Load::on(&world, &replicas).await;
    load.passes(PERIOD * 2).await;
    let since = Instant::now();
    let newest = world.vault.rotates(&load.tenant().keys);
    load.passes(PERIOD * 3).await;
    load.ends().await;
    assert!(load.sent_since(since).iter().all(|answered| answered.outcome.is_ok()));
    for replica in &replicas {
        let context = keyferry_crypto::context::EncryptionContext::default();
        let content = keyferry_crypto::sealer::Content::Data;
        let sealed = replica
            .sealer
            .seal(&load.tenant().keys, content, &context, b"after")
            .await
            .expect("sealed");
        assert_eq!(sealed.kek, newest);
    }
}

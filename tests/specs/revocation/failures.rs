//! A replica dies, stands still, or is cut off, and the bound holds.

use keyferry_tests::{
    Fleet, Lane, Ways, World,
    revocation::{Cause, Subject, Trial},
};

use super::{PER_SECOND, holds, three};

const CAUSE: Cause = Cause::KeyDisabled;

async fn hot(world: &World, fleet: &Fleet, slug: &str) -> Trial {
    let subject = Subject::prepare(world, fleet, CAUSE, slug).await;
    subject.heat(world, fleet, PER_SECOND).await
}

/// Whichever of them looked at the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_replica_is_killed_the_others_refuse_within_the_bound() {
    let Some((world, mut fleet)) = three(Ways::Straight).await else {
        return;
    };
    for dead in 0..3 {
        let mut trial = hot(&world, &fleet, &format!("killed-{dead}")).await;
        fleet.replica_mut(dead).kill();
        trial.act(&world);
        let living: Vec<_> = (0..3).filter(|&replica| replica != dead).collect();
        trial.until_past(CAUSE.bound(&fleet.pace), &living).await;
        let loss = trial.end(&world, &fleet, living[0]).await;
        holds(&loss, CAUSE.bound(&fleet.pace));
        fleet.replica_mut(dead).begin().await;
    }
}

/// It does not know how long it stood still. What it holds is as old as that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stood_still_serves_nothing_that_was_withdrawn_meanwhile() {
    let Some((world, fleet)) = three(Ways::Straight).await else {
        return;
    };
    for still in 0..3 {
        let mut trial = hot(&world, &fleet, &format!("paused-{still}")).await;
        fleet.replica(still).pause();
        trial.act(&world);
        let moving: Vec<_> = (0..3).filter(|&replica| replica != still).collect();
        trial.until_past(CAUSE.bound(&fleet.pace), &moving).await;
        fleet.replica(still).resume();
        // Everybody, and so what was sent to it while it stood still and waited there.
        trial.until_past(CAUSE.bound(&fleet.pace), &[0, 1, 2]).await;
        let loss = trial.end(&world, &fleet, 0).await;
        holds(&loss, CAUSE.bound(&fleet.pace));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_its_registry_asks_the_vault_itself_and_refuses_within_its_bound() {
    let Some((world, fleet)) = three(Ways::Apart).await else {
        return;
    };
    for deaf in 0..3 {
        let mut trial = hot(&world, &fleet, &format!("deaf-{deaf}")).await;
        fleet.replica(deaf).cut(Lane::Registry);
        trial.act(&world);
        let bound = CAUSE.bound(&fleet.pace).max(CAUSE.deaf_bound(&fleet.pace));
        trial.until_past(bound, &[0, 1, 2]).await;
        let loss = trial.so_far(3);
        assert!(
            loss.last_success[deaf] <= CAUSE.deaf_bound(&fleet.pace),
            "{loss:?}, and the bound of the deaf one is {:?}",
            CAUSE.deaf_bound(&fleet.pace)
        );
        holds(&loss, bound);
        fleet.replica(deaf).mend(Lane::Registry);
        trial.end(&world, &fleet, (deaf + 1) % 3).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_reaches_no_vault_hears_of_it_from_those_who_do() {
    let Some((world, fleet)) = three(Ways::Apart).await else {
        return;
    };
    for cut_off in 0..3 {
        let mut trial = hot(&world, &fleet, &format!("cut-off-{cut_off}")).await;
        fleet.replica(cut_off).cut(Lane::Azure);
        trial.act(&world);
        trial.until_past(CAUSE.bound(&fleet.pace), &[0, 1, 2]).await;
        let loss = trial.so_far(3);
        holds(&loss, CAUSE.bound(&fleet.pace));
        fleet.replica(cut_off).mend(Lane::Azure);
        trial.end(&world, &fleet, (cut_off + 1) % 3).await;
    }
}

/// The customer did nothing: being cut off is no withdrawal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_cut_off_from_everything_serves_who_is_known() {
    let Some((world, fleet)) = three(Ways::Apart).await else {
        return;
    };
    let trial = hot(&world, &fleet, "alone").await;
    for lane in [Lane::Registry, Lane::Azure] {
        fleet.replica(1).cut(lane);
    }
    trial.until_served(1, fleet.pace.deaf_bound() * 2).await;
    let failures = trial.failures();
    assert!(failures.is_empty(), "{failures:?}");
}

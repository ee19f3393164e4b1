//! Each way to take a key away, with three replicas under load.

use keyferry_tests::{
    Ways,
    revocation::{Cause, lose},
};

use super::{PER_SECOND, holds, three};

/// Twice each; `benches/src/bin/revocation.rs` does it twenty times.
async fn is_obeyed_within_the_bound(cause: Cause) {
    let Some((world, fleet)) = three(Ways::Straight).await else {
        return;
    };
    for run in 1..=2 {
        let loss = lose(&world, &fleet, cause, &cause.slug(run), PER_SECOND).await;
        holds(&loss, cause.bound(&fleet.pace));
        assert!(loss.failures.contains_key(cause.problem()), "{loss:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_key_is_refused_by_every_replica_within_the_bound() {
    is_obeyed_within_the_bound(Cause::KeyDisabled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_key_is_refused_by_every_replica_within_the_bound() {
    is_obeyed_within_the_bound(Cause::KeyDeleted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_role_is_obeyed_by_every_replica_within_the_bound() {
    is_obeyed_within_the_bound(Cause::RoleRemoved).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawn_consent_is_obeyed_by_every_replica_within_the_bound() {
    is_obeyed_within_the_bound(Cause::ConsentWithdrawn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_firewall_is_obeyed_by_every_replica_within_the_bound() {
    is_obeyed_within_the_bound(Cause::FirewallClosed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_endpoint_is_obeyed_by_every_replica_within_the_bound() {
    is_obeyed_within_the_bound(Cause::EndpointRejected).await;
}

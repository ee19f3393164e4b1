//! The registry dies under load, or another takes over for it.

use std::time::Duration;

use keyferry_client::{Error, NewTenant};
use keyferry_tests::{
    Caller, Database, Fleet, Load, Pace, PostgresServer, Ways, World, eventually,
    revocation::{Cause, Subject},
};

use super::{PER_SECOND, holds};

/// Replicas of a registry on a server that can be killed.
async fn on(server: &PostgresServer) -> (World, Fleet) {
    let world = World::new(Database::Postgres(server.database("registry").await)).await;
    let fleet = Fleet::start(&world, Pace::FAST, 3, Ways::Wires).await;
    (world, fleet)
}

/// Callers of known tenants, whom every replica serves.
async fn hot(world: &World, fleet: &Fleet) -> Load {
    let mut callers = Vec::new();
    for slug in ["acme", "globex", "initech"] {
        world.tenant(fleet.replica(0).process(), slug, None).await;
        for replica in fleet.replicas() {
            eventually("the tenant is known", async || {
                Caller::of(replica.client(), slug).await.is_ok()
            })
            .await;
        }
        callers.push(Caller::of(fleet.replica(0).client(), slug).await.unwrap());
    }
    let load = Load::start(&fleet.clients(), &callers, PER_SECOND);
    served(&load, fleet).await;
    load
}

/// Waits until every replica has served some more calls than by now.
async fn served(load: &Load, fleet: &Fleet) {
    for replica in 0..fleet.replicas().len() {
        let count = || load.so_far(|records| records.of_replica(replica).successes().0.len());
        let before = count();
        eventually("the replica serves", async || count() >= before + 40).await;
    }
}

/// Registers a customer, as often as it takes, and tells of each answer that it was not done.
async fn register(world: &World, fleet: &Fleet, customer: &NewTenant, refused: &mut Vec<u16>) {
    let admin = world.admin(fleet.replica(1).process());
    eventually("it is registered", async || {
        match admin.create(customer, Some(&customer.slug)).await {
            Ok(_) => true,
            Err(Error::Problem(problem)) => {
                refused.push(problem.status);
                false
            }
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_registry_is_dead_every_call_of_a_known_tenant_is_done_and_nothing_is_lost() {
    let Some(server) = PostgresServer::start() else { return };
    let (world, fleet) = on(&server).await;
    let load = hot(&world, &fleet).await;
    server.kill();
    // Longer than the registry counts as heard, and as a key as looked at.
    lasts(&load, &fleet, fleet.pace.bound() * 2).await;
    let late = world.customer("late").registration(None);
    let admin = world.admin(fleet.replica(1).process());
    let refused = admin.create(&late, Some("late")).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().status, 503);
    server.start_again();
    let mut refused = Vec::new();
    register(&world, &fleet, &late, &mut refused).await;
    assert!(refused.iter().all(|&status| status == 503), "{refused:?}");
    for slug in ["acme", "globex", "initech", "late"] {
        admin.get(slug).await.unwrap();
    }
    served(&load, &fleet).await;
    let records = load.stop().await;
    assert!(records.failures().is_empty(), "{:?}", records.failures());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_standby_takes_over_every_call_is_done_and_what_was_answered_is_there() {
    let Some(server) = PostgresServer::start() else { return };
    let (world, fleet) = on(&server).await;
    let load = hot(&world, &fleet).await;
    let standby = server.standby().await;
    let early = world.customer("early").registration(None);
    register(&world, &fleet, &early, &mut Vec::new()).await;
    server.kill();
    standby.promote();
    for replica in fleet.replicas() {
        replica.lead_registry_to(standby.addr());
    }
    let mut refused = Vec::new();
    let late = world.customer("late").registration(None);
    register(&world, &fleet, &late, &mut refused).await;
    assert!(refused.iter().all(|&status| status == 503), "{refused:?}");
    let admin = world.admin(fleet.replica(2).process());
    for slug in ["acme", "early", "late"] {
        admin.get(slug).await.unwrap();
    }
    served(&load, &fleet).await;
    let records = load.stop().await;
    assert!(records.failures().is_empty(), "{:?}", records.failures());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_a_standby_has_taken_over_a_withdrawn_key_is_refused_within_the_bound() {
    let Some(server) = PostgresServer::start() else { return };
    let (world, fleet) = on(&server).await;
    let standby = server.standby().await;
    let cause = Cause::KeyDisabled;
    let subject = Subject::prepare(&world, &fleet, cause, "acme").await;
    let mut trial = subject.heat(&world, &fleet, PER_SECOND).await;
    server.kill();
    standby.promote();
    for replica in fleet.replicas() {
        replica.lead_registry_to(standby.addr());
    }
    trial.act(&world);
    trial.until_past(cause.bound(&fleet.pace), &[0, 1, 2]).await;
    holds(&trial.end(&world, &fleet, 0).await, cause.bound(&fleet.pace));
}

/// A withdrawal is no less obeyed for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_registry_is_dead_each_replica_asks_the_vault_and_refuses_within_its_own_bound() {
    let Some(server) = PostgresServer::start() else { return };
    let (world, fleet) = on(&server).await;
    let cause = Cause::KeyDisabled;
    let subject = Subject::prepare(&world, &fleet, cause, "acme").await;
    let mut trial = subject.heat(&world, &fleet, PER_SECOND).await;
    server.kill();
    trial.act(&world);
    trial.until_past(cause.deaf_bound(&fleet.pace), &[0, 1, 2]).await;
    holds(&trial.so_far(3), cause.deaf_bound(&fleet.pace));
}

/// Waits until calls have been done by every replica that were sent so much later than now.
async fn lasts(load: &Load, fleet: &Fleet, span: Duration) {
    let until = tokio::time::Instant::now() + span;
    for replica in 0..fleet.replicas().len() {
        eventually("the replica serves on", async || {
            load.so_far(|records| {
                let late = records.of_replica(replica).sent_since(until);
                !late.successes().0.is_empty()
            })
        })
        .await;
    }
}

//! What some tenants' vaults do is no trouble of the others'.

use std::time::Duration;

use keyferry_emulator::{Operation, Order};
use keyferry_tests::{Database, Fleet, Load, Neighbour, Pace, Trouble, Ways, World, eventually, well_neighbours};

/// Tenants that are well.
const OTHERS: usize = 196;
/// Calls a second for all of them, over both replicas and both deeds.
const PER_SECOND: f64 = 100.0;
const REPLICAS: usize = 2;
/// Calls that a replica may have under way for one tenant, as `docs/operations.md` has it.
const PER_TENANT: u64 = 64;
/// How long the bad neighbours' callers stay away.
const PAUSE: Duration = Duration::from_secs(3);
/// More memory than a crowd of callers takes, and less than a queue without a bound would.
const ROOM: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_vaults_hang_throttle_and_flap_and_one_tenant_is_huge_every_call_of_the_other_196_is_done() {
    let database = Database::postgres().await.unwrap_or_else(Database::sqlite);
    let world = World::new(database).await;
    let fleet = Fleet::start(&world, UNHURRIED, REPLICAS, Ways::Straight).await;
    let mut bad = Vec::new();
    for trouble in Trouble::ALL {
        bad.push(Neighbour::prepare(&world, &fleet, trouble).await);
    }
    let callers = well_neighbours(&world, &fleet, OTHERS).await;
    let load = Load::start(&fleet.clients(), &callers, PER_SECOND);
    let each = OTHERS * REPLICAS * 2;
    answered(&load, each).await;
    let memory = || -> u64 {
        let replicas = fleet.replicas().iter();
        replicas.map(|replica| replica.process().resident_bytes()).sum()
    };
    let before = memory();

    for neighbour in &bad {
        neighbour.begins(&world);
    }
    let crowds: Vec<_> = bad
        .iter()
        .map(|neighbour| neighbour.crowd(&fleet.clients(), PAUSE))
        .collect();
    for (neighbour, crowd) in bad.iter().zip(&crowds) {
        let met: &[&str] = match neighbour.trouble {
            Trouble::Hangs => &["vault-busy", "vault-timeout"],
            Trouble::Throttled => &["vault-throttled"],
            Trouble::Flaps => &["ok", "vault-unreachable"],
            Trouble::Huge => &["ok"],
        };
        eventually("the trouble is met", async || {
            met.iter().all(|outcome| crowd.outcomes().contains_key(*outcome))
        })
        .await;
    }
    // Each tenant is sealed for and opened for at each replica: what was met by then goes on.
    let so_far = load.so_far(|records| records.0.len());
    answered(&load, so_far + each).await;
    let grown = memory().saturating_sub(before);
    assert!(grown <= ROOM, "{grown} bytes");
    let hanging = &bad[0].customer;
    // Canaries have places besides, one for each replica; and a call that was given up is under way in Azure until that is
    // heard there.
    let most = world.emulator.most_at_once(&hanging.vault, Operation::UnwrapKey);
    let allowed = (REPLICAS as u64) * PER_TENANT;
    assert!(most <= allowed + allowed / 8, "{most}");

    drop(crowds);
    world.order(Order::ClearFaults);
    for (neighbour, client) in bad
        .iter()
        .flat_map(|neighbour| fleet.clients().into_iter().map(move |client| (neighbour, client)))
    {
        eventually("it is served when its trouble is over", async || {
            neighbour.is_served(&client).await
        })
        .await;
    }
    let records = load.stop().await;
    assert!(records.failures().is_empty(), "{:?}", records.failures());
}

/// Waits until so many calls were answered.
async fn answered(load: &Load, count: usize) {
    eventually("calls are answered", async || {
        load.so_far(|records| records.0.len()) >= count
    })
    .await;
}

/// As the two hundred tenants of one small machine can be looked at.
const UNHURRIED: Pace = Pace {
    period_seconds: 10.0,
    lease_seconds: 5.0,
    hearing_seconds: 5.0,
    version_period_seconds: 60.0,
    try_seconds: 5.0,
    token_max_age_seconds: 2_700.0,
    ..Pace::FAST
};

//! Azure throttles whoever asks a vault for too much. It is not asked for too much.

use std::sync::Arc;

use keyferry_client::Context;
use keyferry_emulator::{Operation, Order, RsaKey};
use keyferry_tests::{Database, Fleet, Pace, Ways, World, cold_keys, eventually, multiplexed, storm};

/// Three times what ten seconds buy at the vault, less the margin.
const KEYS: usize = 1_200;
const REPLICAS: usize = 2;
/// A handful.
const FEW: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_storm_is_kept_under_the_vaults_limit_and_whoever_comes_back_when_told_is_served() {
    let database = Database::postgres().await.unwrap_or_else(Database::sqlite);
    let world = World::new(database).await;
    let pace = Pace {
        period_seconds: 10.0,
        try_seconds: 10.0,
        ..Pace::FAST
    };
    let fleet = Fleet::start(&world, pace, REPLICAS, Ways::Straight).await;
    let first = fleet.replica(0).process();
    let customer = world.tenant(first, "acme", None).await;
    let key = tokio::task::spawn_blocking(|| RsaKey::generate(4_096).unwrap())
        .await
        .unwrap();
    let key_id = world.import_version(&customer, key.pkcs8());
    let tenant = world.admin(first).get("acme").await.unwrap();
    let keys = cold_keys(&tenant, &key_id, Arc::new(key), KEYS).await;
    for replica in fleet.replicas() {
        let client = replica.client().tenant("acme");
        eventually("the tenant is known", async || {
            client.generate_data_key(&Context::new()).await.is_ok()
        })
        .await;
    }
    // Each takes its share of the limit once it knows of the others.
    for replica in fleet.replicas() {
        eventually("the replica knows of the others", async || {
            let metrics = replica.process().get("/metrics").await;
            let mut lines = metrics.lines().filter(|line| line.starts_with("keyferry_replicas"));
            lines.any(|line| line.ends_with(&format!(" {REPLICAS}")))
        })
        .await;
    }
    world.order(Order::SetThrottled {
        host: customer.vault.clone(),
        throttled: true,
    });
    world.order(Order::ResetCalls);

    let tokens = world.service();
    let clients: Vec<_> = fleet
        .replicas()
        .iter()
        .flat_map(|replica| multiplexed(replica, "acme", &tokens, 8))
        .collect();
    let aftermath = storm(&clients, keys, None).await;
    assert_eq!(aftermath.opened, KEYS, "{aftermath:?}");
    assert!(aftermath.without_advice.is_empty(), "{aftermath:?}");
    // Whoever came first may have met the bound on calls under way instead.
    let met = [&aftermath.at_first, &aftermath.later];
    assert!(
        met.iter().any(|answers| answers.contains_key("vault-quota-spent")),
        "there was no storm: {aftermath:?}"
    );
    let calls = world.emulator.calls();
    let of_vault = || calls.iter().filter(|call| call.host == customer.vault);
    let throttled: u64 = of_vault()
        .filter(|call| call.status == 429)
        .map(|call| call.count)
        .sum();
    assert!(throttled <= FEW, "{throttled}: {aftermath:?}");
    let unwraps = of_vault().filter(|call| call.operation == Operation::UnwrapKey && call.status == 200);
    let unwraps: u64 = unwraps.map(|call| call.count).sum();
    assert!(unwraps >= KEYS as u64, "{unwraps}");
}

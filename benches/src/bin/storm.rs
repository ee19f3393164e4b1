//! A cold storm: very many wrapped keys of one vault with RSA-4096, at its real limits, all asked for at once.
//!
//! `cargo run --release -p keyferry-benches --bin storm` starts itself twice more as replicas, on a Postgres of its own, with an
//! emulator in Azure's place. Each caller comes back when it is told to. The first argument says how many keys (100,000), the second
//! for how many seconds callers come back (60; all of 100,000 take three quarters of an hour).
#![expect(clippy::print_stdout, reason = "it prints its table")]

use std::{process::ExitCode, sync::Arc, time::Duration};

use keyferry_client::Context;
use keyferry_emulator::{Operation, Order, RsaKey};
use keyferry_tests::{
    Database, Fleet, Pace, PostgresServer, Ways, World, cold_keys, eventually, multiplexed, stand_in, storm,
};
use tokio::time::Instant;

/// The command's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REPLICAS: usize = 2;
/// For each replica, each with two hundred requests under way.
const CONNECTIONS: usize = 16;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    // The command reads its own arguments, which follow its name.
    if std::env::args()
        .nth(1)
        .is_some_and(|first| COMMANDS.contains(&first.as_str()))
    {
        return Ok(keyferry::main());
    }
    stand_in(std::env::current_exe()?);
    let mut arguments = std::env::args().skip(1);
    let keys = arguments.next().map_or(Ok(100_000), |keys| keys.parse())?;
    let seconds = arguments.next().map_or(Ok(60), |seconds| seconds.parse())?;
    let key = RsaKey::generate(4_096).map_err(|error| format!("{error:?}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(keys, Duration::from_secs(seconds), key))?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(count: usize, span: Duration, key: RsaKey) -> Result<(), keyferry_client::Error> {
    let server = PostgresServer::new();
    let world = World::new(Database::Postgres(server.database("registry").await)).await;
    let fleet = Fleet::start(&world, Pace::DEFAULT, REPLICAS, Ways::Straight).await;
    let first = fleet.replica(0).process();
    let customer = world.tenant(first, "acme", None).await;
    let key_id = world.import_version(&customer, key.pkcs8());
    let tenant = world.admin(first).get("acme").await?;
    let keys = cold_keys(&tenant, &key_id, Arc::new(key), count).await;
    for replica in fleet.replicas() {
        let client = replica.client().tenant("acme");
        eventually("the tenant is known, and all replicas", async || {
            let metrics = replica.process().get("/metrics").await;
            let mut lines = metrics.lines().filter(|line| line.starts_with("keyferry_replicas"));
            lines.any(|line| line.ends_with(&format!(" {REPLICAS}")))
                && client.generate_data_key(&Context::new()).await.is_ok()
        })
        .await;
    }
    world.order(Order::SetThrottled {
        host: customer.vault.clone(),
        throttled: true,
    });
    world.order(Order::ResetCalls);
    let tokens = world.service();
    let replicas = fleet.replicas().iter();
    let clients: Vec<_> = replicas
        .flat_map(|replica| multiplexed(replica, "acme", &tokens, CONNECTIONS))
        .collect();
    let began = Instant::now();
    let aftermath = storm(&clients, keys, Some(began + span)).await;
    let took = began.elapsed();

    let calls = world.emulator.calls();
    let unwraps = |status| -> u64 {
        let of_vault = calls.iter().filter(|call| call.host == customer.vault);
        let counted = of_vault.filter(|call| call.operation == Operation::UnwrapKey && call.status == status);
        counted.map(|call| call.count).sum()
    };
    println!("{count} cold keys on one RSA-4096 vault, {REPLICAS} replicas, {took:.1?}\n");
    println!("| | |");
    println!("|---|---|");
    println!("| first answers | {:?} |", aftermath.at_first);
    println!("| further answers | {:?} |", aftermath.later);
    println!(
        "| answers without a time to come back at | {:?} |",
        aftermath.without_advice
    );
    println!("| opened | {} |", aftermath.opened);
    println!(
        "| slowest answer, waiting in this process included | {:.2?} |",
        aftermath.slowest
    );
    println!("| unwraps that the vault did | {} |", unwraps(200));
    println!("| 429s of the vault | {} |", unwraps(429));
    Ok(())
}

/// What the harness starts this program for.
const COMMANDS: [&str; 2] = ["serve", "migrate"];

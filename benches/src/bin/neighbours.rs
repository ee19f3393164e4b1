//! What bad neighbours cost the others, as a ratio within one run.
//!
//! `cargo run --release -p keyferry-benches --bin neighbours` starts itself twice more as replicas, on a Postgres of its own, with an
//! emulator in Azure's place. 196 tenants are sealed and opened for all the time; by turns nothing else happens, and one vault
//! hangs, one throttles, one flaps and one tenant asks for very much. The first argument says how many turns of each (6), the second
//! how many seconds one has (10), the third how many calls a second the others make (300), the fourth for how many seconds a caller
//! of the bad ones stays away (3): all of it shares one machine, and where that is full, nothing else is measured.
#![expect(clippy::print_stdout, reason = "it prints its table")]

use std::{process::ExitCode, time::Duration};

use keyferry_emulator::{Operation, Order};
use keyferry_tests::{
    Database, Fleet, Load, Neighbour, Pace, PostgresServer, Records, Trouble, Ways, World, stand_in, well_neighbours,
};
use tokio::time::{Instant, sleep};

/// The command's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REPLICAS: usize = 2;
const OTHERS: usize = 196;

struct Wanted {
    turns: u32,
    seconds: u64,
    per_second: f64,
    pause: Duration,
}

/// A span of the run in which nothing changed.
struct Turn {
    is_troubled: bool,
    from: Instant,
    to: Instant,
}

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
    let wanted = Wanted {
        turns: arguments.next().map_or(Ok(6), |turns| turns.parse())?,
        seconds: arguments.next().map_or(Ok(10), |seconds| seconds.parse())?,
        per_second: arguments.next().map_or(Ok(300.0), |rate| rate.parse())?,
        pause: Duration::from_secs(arguments.next().map_or(Ok(3), |seconds| seconds.parse())?),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&wanted));
    Ok(ExitCode::SUCCESS)
}

async fn measure(wanted: &Wanted) {
    let server = PostgresServer::new();
    let world = World::new(Database::Postgres(server.database("registry").await)).await;
    let fleet = Fleet::start(&world, UNHURRIED, REPLICAS, Ways::Straight).await;
    let mut bad = Vec::new();
    for trouble in Trouble::ALL {
        bad.push(Neighbour::prepare(&world, &fleet, trouble).await);
    }
    let callers = well_neighbours(&world, &fleet, OTHERS).await;
    let load = Load::start(&fleet.clients(), &callers, wanted.per_second);
    sleep(SETTLING).await;
    let mut turns = Vec::new();
    println!("memory of all replicas at first: {} MiB", memory(&fleet));
    for turn in 0..wanted.turns {
        turns.push(Turn::last(false, wanted.seconds).await);
        for neighbour in &bad {
            neighbour.begins(&world);
        }
        let crowds: Vec<_> = bad
            .iter()
            .map(|neighbour| neighbour.crowd(&fleet.clients(), wanted.pause))
            .collect();
        sleep(SETTLING).await;
        turns.push(Turn::last(true, wanted.seconds).await);
        println!("memory after turn {turn}: {} MiB", memory(&fleet));
        if turn + 1 == wanted.turns {
            for (neighbour, crowd) in bad.iter().zip(&crowds) {
                println!("{}: {:?}", neighbour.trouble.name(), crowd.outcomes());
            }
        }
        drop(crowds);
        world.order(Order::ClearFaults);
        sleep(SETTLING).await;
    }
    let hanging = &bad[0].customer.vault;
    let most = world.emulator.most_at_once(hanging, Operation::UnwrapKey);
    println!("most calls at once to the vault that hangs: {most}, of {REPLICAS} replicas\n");
    tell(&load.stop().await, &turns);
}

/// Prints the table.
fn tell(records: &Records, turns: &[Turn]) {
    println!("| the others | calls | failed | p50 | p99 |");
    println!("|---|---|---|---|---|");
    let [quiet, troubled] = [false, true].map(|is_troubled| {
        let within = records.which(|record| {
            let mut turns = turns.iter().filter(|turn| turn.is_troubled == is_troubled);
            turns.any(|turn| record.sent_at >= turn.from && record.sent_at < turn.to)
        });
        let name = if is_troubled { "with bad neighbours" } else { "without" };
        let (p50, p99) = (within.percentile(50), within.percentile(99));
        let failed: usize = within.failures().values().sum();
        println!("| {name} | {} | {failed} | {p50:.2?} | {p99:.2?} |", within.0.len());
        p99
    });
    println!(
        "\np99 with / without: {:.2}",
        troubled.as_secs_f64() / quiet.as_secs_f64()
    );
    println!("failures of the whole run: {:?}", records.failures());
}

impl Turn {
    async fn last(is_troubled: bool, seconds: u64) -> Self {
        let from = Instant::now();
        sleep(Duration::from_secs(seconds)).await;
        Self {
            is_troubled,
            from,
            to: Instant::now(),
        }
    }
}

fn memory(fleet: &Fleet) -> u64 {
    let replicas = fleet.replicas().iter();
    replicas.map(|replica| replica.process().resident_bytes()).sum::<u64>() >> 20
}

/// As the two hundred tenants of one small machine can be looked at.
const UNHURRIED: Pace = Pace {
    period_seconds: 30.0,
    lease_seconds: 10.0,
    hearing_seconds: 10.0,
    version_period_seconds: 60.0,
    try_seconds: 8.0,
    poll_seconds: 2.0,
    token_max_age_seconds: 2_700.0,
    ..Pace::FAST
};

/// Between turns, until what began in the one before is over.
const SETTLING: Duration = Duration::from_secs(3);

/// What the harness starts this program for.
const COMMANDS: [&str; 2] = ["serve", "migrate"];

//! What bad neighbours cost the others, as a ratio within one run.
//!
//! `cargo run --release -p keyferry-benches --bin neighbours` starts itself twice more as replicas, on a Postgres of its own, with an
//! emulator in Azure's place. 196 tenants are sealed and opened for all the time; by turns nothing else happens, and one vault
//! hangs, one throttles, one flaps and one tenant asks for very much. Each turn with them is compared with the one before it, and
//! the median of these ratios is what counts: what else the machine does comes and goes.
//!
//! All of it shares one machine. So what would be elsewhere (Azure, Postgres, the bad ones' callers) gets of the processors what
//! the replicas and the others' callers leave, and how much is left by all is told for every turn: where that is next to nothing,
//! it is the machine that was measured.
//!
//! Its arguments: how many turns of each (11), how many seconds one has (8), how many calls a second the others make (200), for how
//! many seconds a caller of the bad ones stays away (3), and the names of the troubles, with commas between them (all four), or
//! `none`, which tells how far turns differ by themselves.
#![expect(clippy::print_stdout, reason = "it prints its table")]
#![expect(clippy::cast_precision_loss, reason = "ticks of a run are far below 2^52")]

use std::{
    fs,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use keyferry_emulator::{Operation, Order};
use keyferry_tests::{
    Database, Fleet, Load, Neighbour, Pace, PostgresServer, Records, Trouble, Ways, World, eventually, stand_in,
    well_neighbours,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, sleep},
};

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
    troubles: Vec<Trouble>,
}

/// What would be on other machines. It runs when nothing else would.
struct Elsewhere(Runtime);

/// A span of the run in which nothing changed.
struct Turn {
    from: Instant,
    to: Instant,
    /// The share of the processors' time that nobody wanted.
    idle: f64,
    /// That of all replicas, at its end, in MiB.
    memory: u64,
}

/// A turn without bad neighbours, and one with them.
struct Pair([Turn; 2]);

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    // The command reads its own arguments, which follow its name.
    if std::env::args()
        .nth(1)
        .is_some_and(|first| COMMANDS.contains(&first.as_str()))
    {
        return Ok(keyferry::main());
    }
    stand_in(std::env::current_exe()?);
    let wanted = Wanted::read()?;
    let elsewhere = Elsewhere::new()?;
    let here = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (server, world) = elsewhere.run(async || {
        let server = PostgresServer::new();
        let database = Database::Postgres(server.database("registry").await);
        (server, World::new(database).await)
    });
    let fleet = here.block_on(Fleet::start(&world, Pace::DEFAULT, REPLICAS, Ways::Straight));
    let (bad, callers) = elsewhere.run(async || {
        let mut bad = Vec::new();
        for trouble in &wanted.troubles {
            bad.push(Neighbour::prepare(&world, &fleet, *trouble).await);
        }
        (bad, well_neighbours(&world, &fleet, OTHERS).await)
    });
    let load = here.block_on(async {
        let token = world.service_token().await;
        // On connections of their own, which are not tended elsewhere.
        let client = |replica: &keyferry_tests::Replica| replica.process().client(token.clone().into());
        let clients: Vec<_> = fleet.replicas().iter().map(client).collect();
        let load = Load::start(&clients, &callers, wanted.per_second);
        // Whoever is opened for at a replica for the first time waits for its vault, which would count in some turn.
        eventually("each tenant is sealed for and opened for at each replica", async || {
            load.so_far(|records| records.0.len()) >= OTHERS * REPLICAS * 2
        })
        .await;
        load
    });
    let turns = elsewhere.run(async || turns(&wanted, &world, &fleet, &bad).await);
    tell(&here.block_on(load.stop()), &turns);
    drop((fleet, server));
    Ok(ExitCode::SUCCESS)
}

impl Wanted {
    fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let mut arguments = std::env::args().skip(1);
        Ok(Self {
            turns: arguments.next().map_or(Ok(11), |turns| turns.parse())?,
            seconds: arguments.next().map_or(Ok(8), |seconds| seconds.parse())?,
            per_second: arguments.next().map_or(Ok(200.0), |rate| rate.parse())?,
            pause: Duration::from_secs(arguments.next().map_or(Ok(3), |seconds| seconds.parse())?),
            troubles: arguments
                .next()
                .map_or_else(|| Ok(Trouble::ALL.into()), |names| troubles(&names))?,
        })
    }
}

fn troubles(names: &str) -> Result<Vec<Trouble>, String> {
    let named = |name| Trouble::ALL.into_iter().find(|trouble| trouble.name() == name);
    let names = names.split(',').filter(|name| *name != "none");
    names
        .map(|name| named(name).ok_or_else(|| format!("no trouble: {name}")))
        .collect()
}

impl Elsewhere {
    fn new() -> std::io::Result<Self> {
        let mut threads = Builder::new_multi_thread();
        threads.on_thread_start(come_last).enable_all().build().map(Self)
    }

    /// Runs `work` there, with the processes that it starts.
    fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        let run = || {
            come_last();
            self.0.block_on(work())
        };
        let done = thread::scope(|scope| scope.spawn(run).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Has this thread run when nothing else would, and what it starts: the scheduler takes a processor from what is idle at once, and
/// from what is merely nice only when its slice is over, which is longer than a call takes.
fn come_last() {
    let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
    let id = thread.file_name().unwrap_or_default();
    let is_idle = Command::new("chrt").args(["--idle", "--pid", "0"]).arg(id).status();
    if !is_idle.is_ok_and(|status| status.success()) {
        // Whoever may do neither measures more of the machine, and less of Keyferry.
        let _ = rustix::process::nice(LAST);
    }
}

async fn turns(wanted: &Wanted, world: &World, fleet: &Fleet, bad: &[Neighbour]) -> Vec<Pair> {
    sleep(SETTLING).await;
    let mut turns = Vec::new();
    println!("memory of all replicas at first: {} MiB", memory(fleet));
    for turn in 1..=wanted.turns {
        let without = Turn::last(fleet, wanted.seconds).await;
        for neighbour in bad {
            neighbour.begins(world);
        }
        let crowds: Vec<_> = bad
            .iter()
            .map(|neighbour| neighbour.crowd(&fleet.clients(), wanted.pause))
            .collect();
        sleep(SETTLING).await;
        turns.push(Pair([without, Turn::last(fleet, wanted.seconds).await]));
        if turn == wanted.turns {
            for (neighbour, crowd) in bad.iter().zip(&crowds) {
                println!("{}: {:?}", neighbour.trouble.name(), crowd.outcomes());
            }
        }
        drop(crowds);
        world.order(Order::ClearFaults);
        sleep(SETTLING).await;
    }
    for neighbour in bad {
        let most = world
            .emulator
            .most_at_once(&neighbour.customer.vault, Operation::UnwrapKey);
        let name = neighbour.trouble.name();
        println!("{name}: at most {most} calls at once to its vault, of {REPLICAS} replicas");
    }
    turns
}

/// Prints the tables.
fn tell(records: &Records, turns: &[Pair]) {
    let of = |turn: &Turn| records.which(|record| record.due_at >= turn.from && record.due_at < turn.to);
    println!("\n| turn | p50 without | with | p99 without | with | ratio | idle without | with | memory |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut ratios = Vec::new();
    for (number, Pair(pair)) in (1..).zip(turns) {
        let [without, with] = pair.each_ref().map(of);
        let [quiet, troubled] = [&without, &with].map(|records| records.percentile(99));
        let ratio = troubled.as_secs_f64() / quiet.as_secs_f64();
        let [p50, p50_with] = [&without, &with].map(|records| records.percentile(50));
        let [idle, idle_with] = pair.each_ref().map(|turn| turn.idle * 100.0);
        let memory = pair[1].memory;
        println!(
            "| {number} | {p50:.2?} | {p50_with:.2?} | {quiet:.2?} | {troubled:.2?} | {ratio:.2} | {idle:.0} % | {idle_with:.0} % | {memory} MiB |"
        );
        ratios.push(ratio);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    println!(
        "\np99 with / without, the median of {} turns: {:.2}",
        ratios.len(),
        ratios[ratios.len() / 2]
    );
    println!("calls: {}, failures: {:?}", records.0.len(), records.failures());
}

impl Turn {
    async fn last(fleet: &Fleet, seconds: u64) -> Self {
        let (from, [idle, all]) = (Instant::now(), processors());
        sleep(Duration::from_secs(seconds)).await;
        let (to, [idle_then, all_then]) = (Instant::now(), processors());
        Self {
            from,
            to,
            idle: (idle_then - idle) as f64 / (all_then - all).max(1) as f64,
            memory: memory(fleet),
        }
    }
}

/// For how long the processors were idle, and all of their time, in ticks since this machine started.
fn processors() -> [u64; 2] {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let of_all = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // Guests' time is in users' already.
    let ticks: Vec<u64> = of_all.take(8).filter_map(|ticks| ticks.parse().ok()).collect();
    [ticks.iter().skip(3).take(2).sum(), ticks.iter().sum()]
}

fn memory(fleet: &Fleet) -> u64 {
    let replicas = fleet.replicas().iter();
    replicas.map(|replica| replica.process().resident_bytes()).sum::<u64>() >> 20
}

/// Between turns, until what began in the one before is over.
const SETTLING: Duration = Duration::from_secs(3);

/// As much nicer as a thread can be.
const LAST: i32 = 39;

/// What the harness starts this program for.
const COMMANDS: [&str; 2] = ["serve", "migrate"];

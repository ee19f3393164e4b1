//! How long a key is used after its customer took it away: the table of `docs/revocation.md`.
//!
//! `cargo run --release -p keyferry-benches --bin revocation` starts itself three times more as replicas, on a Postgres of its own,
//! with an emulator in Azure's place and a configuration that lives some thirty times faster than the default one. For each cause
//! a tenant at a time, or a few, is sealed and opened for at all replicas until it loses its key. The first argument says how often
//! (20), the second how many at once (4), the third for which cause alone. Ends with 1 if anything was served after its bound.
#![expect(clippy::print_stdout, reason = "it prints its table")]

use std::{process::ExitCode, time::Duration};

use futures::future::join_all;
use keyferry_tests::{
    Database, Fleet, Pace, PostgresServer, Setup, Ways, World,
    revocation::{Cause, Loss, Subject, Trial},
    stand_in,
};

/// The command's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REPLICAS: usize = 3;
/// Calls a second over all tenants that are tried at once, all replicas and both deeds.
const PER_SECOND: f64 = 180.0;

struct Wanted {
    runs: usize,
    at_once: usize,
    cause: Option<String>,
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
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |number| number.parse());
    let (runs, at_once) = (number(20)?, number(4)?);
    let wanted = Wanted {
        runs,
        at_once,
        cause: arguments.next(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(measure(&wanted)))
}

async fn measure(wanted: &Wanted) -> ExitCode {
    let server = PostgresServer::new();
    let mut world = World::new(Database::Postgres(server.database("registry").await)).await;
    world.offer_onboarding(Setup::default());
    let pace = Pace::FAST;
    let fleet = Fleet::start(&world, pace, REPLICAS, Ways::Straight).await;
    println!("{pace:?}\n");
    println!("| cause | runs | p50 | maximum | bound | beyond it |");
    println!("|---|---|---|---|---|---|");
    let mut beyond = 0;
    let causes = Cause::ALL.into_iter();
    for cause in causes.filter(|cause| wanted.cause.as_deref().is_none_or(|only| only == cause.name())) {
        let losses = lose_all(&world, &fleet, cause, wanted).await;
        beyond += tell(cause, &losses, cause.bound(&pace));
    }
    if beyond == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Some tenants at once, then the next.
async fn lose_all(world: &World, fleet: &Fleet, cause: Cause, wanted: &Wanted) -> Vec<Loss> {
    let mut losses = Vec::new();
    while losses.len() < wanted.runs {
        let first = losses.len();
        let next = wanted.runs.min(first + wanted.at_once.max(1));
        let at_once = u32::try_from(next - first).unwrap_or(1);
        let heated = join_all((first..next).map(|run| heat(world, fleet, cause, run, f64::from(at_once)))).await;
        let share = fleet.pace.watch() / at_once;
        let trials = heated.into_iter().zip(0_u32..).map(|(mut trial, turn)| async move {
            // At another moment between two looks each.
            tokio::time::sleep(share * turn).await;
            trial.act(world);
            let all: Vec<_> = (0..REPLICAS).collect();
            trial.until_past(cause.bound(&fleet.pace), &all).await;
            trial.end(world, fleet, 0).await
        });
        losses.extend(join_all(trials).await);
    }
    losses
}

async fn heat(world: &World, fleet: &Fleet, cause: Cause, run: usize, at_once: f64) -> Trial {
    let subject = Subject::prepare(world, fleet, cause, &cause.slug(run)).await;
    subject.heat(world, fleet, PER_SECOND / at_once).await
}

/// Prints a row, and counts the runs in which anything was served after the bound.
fn tell(cause: Cause, losses: &[Loss], bound: Duration) -> usize {
    let mut longest: Vec<_> = losses.iter().map(Loss::longest).collect();
    longest.sort_unstable();
    let median = longest.get(longest.len() / 2).copied().unwrap_or_default();
    let maximum = longest.last().copied().unwrap_or_default();
    let beyond = longest.iter().filter(|&&longest| longest > bound).count();
    println!(
        "| {} | {} | {:.2} s | {:.2} s | {:.2} s | {beyond} |",
        cause.name(),
        losses.len(),
        median.as_secs_f64(),
        maximum.as_secs_f64(),
        bound.as_secs_f64()
    );
    for loss in losses.iter().filter(|loss| loss.longest() > bound) {
        println!("{loss:?}");
    }
    beyond
}

/// What the harness starts this program for.
const COMMANDS: [&str; 2] = ["serve", "migrate"];

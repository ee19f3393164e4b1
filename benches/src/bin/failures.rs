//! What is lost when replicas and their registry fail, and how long a key that is taken away then is used all the same: the second
//! table of `docs/revocation.md`, in real time and with the configuration's defaults.
//!
//! `cargo run --release -p keyferry-benches --bin failures` starts itself three times more as replicas, each in a network namespace of
//! its own, on a Postgres of its own, with an emulator in Azure's place. First customers disable their keys while one replica is
//! killed, stands still for half a minute, or is cut off; then the registry is killed for a minute, and replaced by its standby,
//! while known tenants are served. The first argument says for how many tenants at once (10), the second which row alone.
//! Ends with 1 if a key was used after its bound, if a call failed while only the registry was away, or if it lost anything.
#![expect(clippy::print_stdout, reason = "it prints its tables")]

use std::{process::ExitCode, time::Duration};

use futures::future::join_all;
use keyferry_client::Error;
use keyferry_tests::{
    Caller, Database, Fleet, Lane, Load, Pace, PostgresServer, Ways, World, eventually,
    revocation::{Cause, Loss, Subject, Trial},
    stand_in,
};
use tokio::time::{Instant, sleep};

/// The command's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REPLICAS: usize = 3;
/// The one that something is done to.
const VICTIM: usize = 1;
/// Calls a second over all tenants, all replicas and both deeds.
const PER_SECOND: f64 = 180.0;
const CAUSE: Cause = Cause::KeyDisabled;
/// For how long a replica stands still.
const PAUSE: Duration = Duration::from_secs(30);
/// For how long the registry is dead.
const DEATH: Duration = Duration::from_mins(1);

/// What happens to a replica as keys are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    None,
    Killed,
    Paused,
    NoRegistry,
    NoVault,
}

/// What becomes of the registry while nothing is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    ForAMinute,
    Replaced,
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
    let tenants = arguments.next().map_or(Ok(10), |tenants| tenants.parse())?;
    let only = arguments.next();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(async {
        let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
        // One after the other: each takes the machine.
        let holds = withdraw_all(tenants, is_wanted).await;
        if holds & bury_all(tenants, is_wanted).await {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }))
}

impl Failure {
    const ALL: [Self; 5] = [Self::None, Self::Killed, Self::Paused, Self::NoRegistry, Self::NoVault];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Killed => "killed",
            Self::Paused => "paused",
            Self::NoRegistry => "without-registry",
            Self::NoVault => "without-vault",
        }
    }

    /// The bound for the replica to which it happens.
    fn bound(self, pace: &Pace) -> Duration {
        match self {
            Self::NoRegistry => CAUSE.deaf_bound(pace),
            Self::None | Self::Killed | Self::Paused | Self::NoVault => CAUSE.bound(pace),
        }
    }

    fn begin(self, fleet: &mut Fleet) {
        match self {
            Self::None => (),
            Self::Killed => fleet.replica_mut(VICTIM).kill(),
            Self::Paused => fleet.replica(VICTIM).pause(),
            Self::NoRegistry => fleet.replica(VICTIM).cut(Lane::Registry),
            Self::NoVault => fleet.replica(VICTIM).cut(Lane::Azure),
        }
    }

    async fn end(self, fleet: &mut Fleet) {
        match self {
            Self::None | Self::Paused => (),
            Self::Killed => fleet.replica_mut(VICTIM).begin().await,
            Self::NoRegistry => fleet.replica(VICTIM).mend(Lane::Registry),
            Self::NoVault => fleet.replica(VICTIM).mend(Lane::Azure),
        }
    }
}

/// Prints a row for each failure. Whether all bounds held.
async fn withdraw_all(tenants: usize, is_wanted: impl Fn(&str) -> bool) -> bool {
    let failures = Failure::ALL.into_iter().filter(|failure| is_wanted(failure.name()));
    let failures: Vec<_> = failures.collect();
    if failures.is_empty() {
        return true;
    }
    let server = PostgresServer::new();
    let world = World::new(Database::Postgres(server.database("registry").await)).await;
    let mut fleet = Fleet::start(&world, Pace::DEFAULT, REPLICAS, Ways::Apart).await;
    println!("{:?}\n", fleet.pace);
    println!("| replica 1 is | tenants | p50 | maximum | bound | maximum of replica 1 | its bound |");
    println!("|---|---|---|---|---|---|---|");
    let mut holds = true;
    for failure in failures {
        let losses = withdraw(&world, &mut fleet, failure, tenants).await;
        holds &= tell(failure, &losses, &fleet.pace);
    }
    holds
}

/// All customers take their keys away at once.
async fn withdraw(world: &World, fleet: &mut Fleet, failure: Failure, tenants: usize) -> Vec<Loss> {
    let mut trials = join_all((0..tenants).map(async |tenant| {
        let slug = format!("{}-{tenant}", failure.name());
        let subject = Subject::prepare(world, fleet, CAUSE, &slug).await;
        subject.heat(world, fleet, share(tenants)).await
    }))
    .await;
    failure.begin(fleet);
    for trial in &mut trials {
        trial.act(world);
    }
    if failure == Failure::Paused {
        sleep(PAUSE).await;
        fleet.replica(VICTIM).resume();
    }
    // Who has no way to the vault says that, once it has forgotten what it heard.
    let is_mute = matches!(failure, Failure::Killed | Failure::NoVault);
    let answering: Vec<_> = (0..REPLICAS).filter(|&replica| !is_mute || replica != VICTIM).collect();
    let past = trials.iter().map(|trial| past(trial, fleet, failure, &answering));
    join_all(past).await;
    let losses = trials.iter().map(|trial| trial.so_far(REPLICAS)).collect();
    failure.end(fleet).await;
    join_all(trials.into_iter().map(|trial| trial.end(world, fleet, answering[0]))).await;
    losses
}

async fn past(trial: &Trial, fleet: &Fleet, failure: Failure, answering: &[usize]) {
    trial
        .until_past(CAUSE.bound(&fleet.pace).max(failure.bound(&fleet.pace)), answering)
        .await;
}

/// Prints the row.
fn tell(failure: Failure, losses: &[Loss], pace: &Pace) -> bool {
    let mut longest: Vec<_> = losses.iter().map(Loss::longest).collect();
    longest.sort_unstable();
    let median = longest.get(longest.len() / 2).copied().unwrap_or_default();
    let maximum = longest.last().copied().unwrap_or_default();
    let of_victim = losses
        .iter()
        .map(|loss| loss.last_success[VICTIM])
        .max()
        .unwrap_or_default();
    let (bound, victims) = (CAUSE.bound(pace), failure.bound(pace));
    println!(
        "| {} | {} | {:.1} s | {:.1} s | {:.1} s | {:.1} s | {:.1} s |",
        failure.name(),
        losses.len(),
        median.as_secs_f64(),
        maximum.as_secs_f64(),
        bound.as_secs_f64(),
        of_victim.as_secs_f64(),
        victims.as_secs_f64()
    );
    let holds = maximum <= bound && of_victim <= victims;
    for loss in losses.iter().filter(|_| !holds) {
        println!("{loss:?}");
    }
    holds
}

impl Death {
    const ALL: [Self; 2] = [Self::ForAMinute, Self::Replaced];

    fn name(self) -> &'static str {
        match self {
            Self::ForAMinute => "registry-dead",
            Self::Replaced => "registry-replaced",
        }
    }
}

/// Prints a row for each death of the registry. Whether every call was done, and nothing lost.
async fn bury_all(tenants: usize, is_wanted: impl Fn(&str) -> bool) -> bool {
    let deaths = Death::ALL.into_iter().filter(|death| is_wanted(death.name()));
    let mut holds = true;
    for (number, death) in deaths.enumerate() {
        if number == 0 {
            println!(
                "\n| registry | away for | calls meanwhile | of them failed | calls in all | of them failed | p99 meanwhile, before | changes refused with 503, otherwise | lost |"
            );
            println!("|---|---|---|---|---|---|---|---|---|");
        }
        holds &= bury(death, tenants).await;
    }
    holds
}

/// Kills a registry under load.
async fn bury(death: Death, tenants: usize) -> bool {
    let server = PostgresServer::new();
    let world = World::new(Database::Postgres(server.database("registry").await)).await;
    let fleet = Fleet::start(&world, Pace::DEFAULT, REPLICAS, Ways::Wires).await;
    let mut slugs: Vec<_> = (0..tenants).map(|tenant| format!("known-{tenant}")).collect();
    let callers = join_all(slugs.iter().map(|slug| known(&world, &fleet, slug))).await;
    let load = Load::start(&fleet.clients(), &callers, PER_SECOND);
    sleep(SETTLING).await;
    let standby = match death {
        Death::ForAMinute => None,
        Death::Replaced => Some(server.standby().await),
    };
    let killed_at = Instant::now();
    server.kill();
    match &standby {
        None => {
            // Asked for all the time, and all of it refused.
            let dead = async {
                sleep(DEATH).await;
                server.start_again();
            };
            let (refusals, ()) = futures::join!(register(&world, &fleet, "late"), dead);
            return tell_death(death, &world, &fleet, load, killed_at, refusals, &mut slugs).await;
        }
        Some(standby) => {
            standby.promote();
            for replica in fleet.replicas() {
                replica.lead_registry_to(standby.addr());
            }
        }
    }
    let refusals = register(&world, &fleet, "late").await;
    tell_death(death, &world, &fleet, load, killed_at, refusals, &mut slugs).await
}

/// A tenant that every replica knows.
async fn known(world: &World, fleet: &Fleet, slug: &str) -> Caller {
    world.tenant(fleet.replica(0).process(), slug, None).await;
    let mut callers = Vec::new();
    for replica in fleet.replicas() {
        eventually("the tenant is known", async || {
            callers.extend(Caller::of(replica.client(), slug).await);
            !callers.is_empty()
        })
        .await;
    }
    callers.swap_remove(0)
}

/// Registers a customer as often as it takes. Answers the statuses of all that was not done.
async fn register(world: &World, fleet: &Fleet, slug: &str) -> Vec<u16> {
    let customer = world.customer(slug).registration(None);
    let admin = world.admin(fleet.replica(0).process());
    let mut refusals = Vec::new();
    eventually("it is registered", async || {
        match admin.create(&customer, Some(slug)).await {
            Ok(_) => true,
            Err(Error::Problem(problem)) => {
                refusals.push(problem.status);
                false
            }
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    refusals
}

/// Prints the row, once the registry is back.
async fn tell_death(
    death: Death,
    world: &World,
    fleet: &Fleet,
    load: Load,
    killed_at: Instant,
    refusals: Vec<u16>,
    slugs: &mut Vec<String>,
) -> bool {
    let back_at = Instant::now();
    sleep(SETTLING).await;
    let records = load.stop().await;
    let meanwhile = records.which(|record| record.sent_at >= killed_at && record.sent_at < back_at);
    let before = records.which(|record| record.sent_at < killed_at);
    slugs.push("late".to_owned());
    let admin = world.admin(fleet.replica(2).process());
    let read = join_all(slugs.iter().map(|slug| admin.get(slug))).await;
    let lost = read.iter().filter(|read| read.is_err()).count();
    let failed: usize = records.failures().values().sum();
    let others = refusals.iter().filter(|&&status| status != 503).count();
    println!(
        "| {} | {:.1} s | {} | {} | {} | {failed} | {:.1?}, {:.1?} | {}, {others} | {lost} of {} |",
        death.name(),
        (back_at - killed_at).as_secs_f64(),
        meanwhile.0.len(),
        meanwhile.failures().values().sum::<usize>(),
        records.0.len(),
        meanwhile.percentile(99),
        before.percentile(99),
        refusals.len() - others,
        slugs.len()
    );
    if failed > 0 {
        println!("{:?}", records.failures());
    }
    failed == 0 && others == 0 && lost == 0
}

fn share(tenants: usize) -> f64 {
    PER_SECOND / f64::from(u32::try_from(tenants).unwrap_or(u32::MAX))
}

/// How long all is let settle.
const SETTLING: Duration = Duration::from_secs(10);

/// What the harness starts this program for.
const COMMANDS: [&str; 2] = ["serve", "migrate"];

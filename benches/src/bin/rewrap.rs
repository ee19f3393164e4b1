//! A bulk rewrap that is killed twice and resumed: `cargo run --release -p keyferry-benches --bin rewrap` starts itself once more as
//! a replica, and three times as `keyferry rewrap`. The first argument says how many envelopes (100,000), the second how many of
//! them share a data key (1,000). It fails if any line is missing, doubled, out of order, under the old version or changed.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it prints its figures; counts are below 2^52"
)]

use std::process::ExitCode;

use keyferry_tests::{Database, Fleet, Pace, Ways, World, rewrap_though_killed, stand_in};

/// The command's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let envelopes = arguments.next().map_or(Ok(100_000), |count| count.parse())?;
    let each = arguments.next().map_or(Ok(1_000), |each| each.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(measure(envelopes, each)))
}

async fn measure(envelopes: usize, each: u64) -> ExitCode {
    let world = World::new(Database::sqlite()).await;
    let fleet = Fleet::start(&world, Pace::FAST, 1, Ways::Straight).await;
    let done = rewrap_though_killed(&world, &fleet, envelopes, each).await;
    println!(
        "{envelopes} envelopes, killed at a quarter and at half: {:.1?}, {:.0} a second",
        done.took,
        envelopes as f64 / done.took.as_secs_f64()
    );
    println!("{} data keys, {} wraps", done.data_keys, done.wraps);
    if done.wraps == done.data_keys {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What the harness starts this program for.
const COMMANDS: [&str; 3] = ["serve", "migrate", "rewrap"];

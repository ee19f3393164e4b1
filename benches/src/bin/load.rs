//! The load test: Keyferry's hot paths as ratios to a bare echo of the same run.
//!
//! `cargo run --release -p keyferry-benches --bin load` starts itself twice more on the first core, as `keyferry dev` and as
//! the echo, and drives both from the second. Results are thrown away, loudly, when the echo differs from itself by more
//! than 5 %. An argument limits it to rows whose name holds that text.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "it prints its table; counts are below 2^52"
)]

use std::{io, process::ExitCode, time::Duration};

use keyferry_benches::{
    compare::compare,
    driver::{Driver, Target},
    echo,
    stage::{Row, Stage, Yardstick},
};

/// The command's own, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Kept-alive connections on each side.
const CONNECTIONS: usize = 32;
/// Turns of echo, measured, echo; each turn is three slices of 60 ms.
const TURNS: usize = 100;
/// How often a row is tried until the machine holds still.
const TRIES: usize = 4;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        // The command reads its own arguments, which follow its name.
        Some("dev") => {
            pin(SERVERS);
            Ok(keyferry::main())
        }
        Some("echo") => {
            pin(SERVERS);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(echo::announce_and_serve())?;
            Ok(ExitCode::SUCCESS)
        }
        wanted => {
            pin(GENERATOR);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::spawn(never_sleep());
                measure(wanted.unwrap_or_default()).await
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Keeps the generator looking for answers. Were it to sleep when the server is the slower one, then the server would pay for
/// waking it with every answer (a quarter of its time, on a virtual machine), and the echo, which keeps it busy, would not.
async fn never_sleep() {
    loop {
        tokio::task::yield_now().await;
    }
}

/// Before any thread is started: each inherits its parent's core, and a runtime makes a worker per core that it has.
fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}

const SERVERS: usize = 0;
const GENERATOR: usize = 1;

async fn measure(wanted: &str) -> Result<(), Box<dyn std::error::Error>> {
    let stage = Stage::start().await?;
    println!(
        "{:<44} {:>7} {:>15} {:>9} {:>10}",
        "", "ratio", "quartiles", "echo/echo", "echo 1/s"
    );
    for row in stage.rows().iter().filter(|row| row.name.contains(wanted)) {
        saturate(&stage, row).await?;
    }
    println!();
    println!(
        "{:<44} {:>7} {:>15} {:>15}",
        "at half of its maximum rate", "ratio", "p99.9", "echo's p99.9"
    );
    tail(&stage, &stage.rows()[0]).await?;
    Ok(())
}

async fn saturate(stage: &Stage, row: &Row) -> io::Result<()> {
    let (measured, echo) = sides(stage, row).await?;
    let (mut measured, mut echo) = (
        Driver::connect(&measured, CONNECTIONS).await?,
        Driver::connect(&echo, CONNECTIONS).await?,
    );
    for _ in 0..TRIES {
        let ratio = compare(&mut echo, &mut measured, TURNS).await?;
        let verdict = if ratio.counts() {
            ""
        } else {
            "  thrown away: the machine did not hold still"
        };
        println!(
            "{:<44} {:>7.3} {:>7.3} – {:<5.3} {:>9.3} {:>10.0}{verdict}",
            row.name, ratio.median, ratio.quartiles.0, ratio.quartiles.1, ratio.echo_to_echo, ratio.echo_per_second
        );
        if ratio.counts() {
            break;
        }
    }
    Ok(())
}

/// The slowest thousandth of the answers when the server is half busy, beside the echo's at the same rate.
async fn tail(stage: &Stage, row: &Row) -> io::Result<()> {
    let (measured, echo) = sides(stage, row).await?;
    let (mut measured, mut echo) = (
        Driver::connect(&measured, CONNECTIONS).await?,
        Driver::connect(&echo, CONNECTIONS).await?,
    );
    let rate = measured.saturate(Duration::from_secs(2)).await? as f64 / 2.0 / 2.0;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        theirs.extend(echo.pace(rate, Duration::from_millis(500)).await?);
        ours.extend(measured.pace(rate, Duration::from_millis(500)).await?);
    }
    let (ours, theirs) = (per_mille(ours), per_mille(theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("{:<44} {ratio:>7.3} {ours:>15.1?} {theirs:>15.1?}", row.name);
    Ok(())
}

fn per_mille(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 999 / 1000).copied().unwrap_or_default()
}

async fn sides(stage: &Stage, row: &Row) -> io::Result<(Target, Target)> {
    let measured = Target::post(stage.service, &row.path, &stage.token, row.content_type, &row.body);
    let len = measured.answer().await?.len();
    let path = match row.yardstick {
        Yardstick::Bytes => format!("/bytes/{len}"),
        Yardstick::SameAuth => format!("/same-auth/{len}"),
        Yardstick::SameMiddleware => format!("/same-middleware/{len}"),
        Yardstick::Json => "/json".into(),
    };
    Ok((
        measured,
        Target::post(stage.echo, &path, &stage.token, row.content_type, &row.body),
    ))
}

//! What Keyferry promises, tried on real parts: the real command as a process, a real database, and an Azure that is reached
//! over HTTPS through the official SDK. `specs/` holds the promises, this crate what they stand on; `docs/testing.md` says how
//! to run them.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]
#![expect(clippy::missing_panics_doc, reason = "a harness fails by panicking")]

mod answer;
mod apart;
mod bulk;
mod cold;
mod collector;
mod credential;
mod cut;
mod database;
mod fleet;
mod load;
mod neighbours;
mod onboarding;
mod pace;
mod postgres;
mod process;
pub mod revocation;
mod storm;
mod world;

use std::{io::Write, path::PathBuf, time::Duration};

pub use self::{
    answer::Answer,
    apart::{Apart, Lane},
    bulk::{Bulk, rewrap_though_killed},
    cold::{COLD_KEY, cold_keys},
    collector::Collector,
    credential::Credential,
    cut::Cut,
    database::Database,
    fleet::{Fleet, Replica, Ways},
    load::{Caller, Deed, Load, Record, Records, outcome_of},
    neighbours::{Crowd, Neighbour, Trouble, well_neighbours},
    onboarding::{Browser, PUBLIC_URL, SIGNING_KEY, Setup, check, findings, has_all},
    pace::Pace,
    postgres::PostgresServer,
    process::{Keyferry, command, ended, output_of, program, signal as process_signal, stand_in},
    storm::{Aftermath, multiplexed, storm},
    world::{Customer, KEY, LOCATION, SECRET, Site, World, data_key_of, wrapped_data_key_of},
};

/// As long as a slow machine may need for anything that is waited for. What takes longer does not come.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// Waits until something holds; how long it took is never looked at.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let (poll, _) = polls();
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(poll).await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(came.is_ok(), "in {PATIENCE:?} it did not come to this: {what}");
}

/// How long to wait before looking again, and how often.
fn polls() -> (Duration, u32) {
    let poll = Duration::from_millis(50);
    (poll, u32::try_from(PATIENCE.as_millis() / poll.as_millis()).unwrap())
}

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A tool that a full run has and a quick one may lack: its value from the environment, or `None`, said aloud.
#[must_use]
pub fn needs(variable: &str, what: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(
            std::env::var_os("KEYFERRY_REQUIRE_ALL").is_none(),
            "{variable} is required, and not set"
        );
        // Past the capture of a test's output, which would hide it as long as the test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no {what} ({variable} is not set)");
    }
    found
}

//! What Keyferry promises, tried on real parts: the real command as a process, a real database, and an Azure that is reached
//! over HTTPS through the official SDK. `specs/` holds the promises, this crate what they stand on; `docs/testing.md` says how
//! to run them.

#![expect(clippy::unwrap_used, reason = "in a test, a failure's place is its message")]
#![expect(clippy::missing_panics_doc, reason = "a harness fails by panicking")]

mod collector;
mod cut;
mod database;
mod process;
mod world;

use std::{io::Write, path::PathBuf, time::Duration};

pub use self::{
    collector::Collector,
    cut::Cut,
    database::Database,
    process::{Keyferry, command, signal as process_signal},
    world::{Customer, KEY, SECRET, World, data_key_of},
};

/// Waits until something holds, for as long as a slow machine may need; how long it took is never looked at.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("in a minute it did not come to this: {what}");
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

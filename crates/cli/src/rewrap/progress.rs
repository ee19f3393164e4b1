//! How far it is, told on standard error.

use std::{
    io::{IsTerminal, Write, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{checkpoint::Checkpoint, pace::Pace};

/// Tells how far it is, now and then.
pub(super) struct Progress {
    /// How long the input is, if that is known.
    total: Option<u64>,
    /// How many lines were done before this run.
    before: u64,
    begun: Instant,
    pace: Arc<Pace>,
    bytes: AtomicU64,
    done: AtomicU64,
    rejected: AtomicU64,
}

impl Progress {
    pub(super) fn new(at: &Checkpoint, total: Option<u64>, pace: Arc<Pace>) -> Self {
        let progress = Self {
            total: total.filter(|bytes| *bytes > 0),
            before: at.done + at.rejected,
            begun: Instant::now(),
            pace,
            bytes: AtomicU64::new(0),
            done: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        };
        progress.note(at);
        progress
    }

    /// Notes how far it is.
    pub(super) fn note(&self, at: &Checkpoint) {
        self.bytes.store(at.input.bytes, Ordering::Relaxed);
        self.done.store(at.done, Ordering::Relaxed);
        self.rejected.store(at.rejected, Ordering::Relaxed);
    }

    /// Tells until it is dropped: on a terminal each second in the same line, else in a line every ten.
    pub(super) async fn tell(&self) {
        let is_terminal = stderr().is_terminal();
        let mut ticks = interval(Duration::from_secs(if is_terminal { 1 } else { 10 }));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let line = self.line();
            if is_terminal {
                // What cannot be told is done all the same.
                let _ = write!(stderr().lock(), "\r\u{1b}[2K{line}");
            } else {
                say(&line);
            }
        }
    }

    /// Ends the line that was drawn on.
    pub(super) fn end(&self) {
        if stderr().is_terminal() && self.begun.elapsed() > Duration::from_secs(1) {
            say("");
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "it is read by people")]
    fn line(&self) -> String {
        let (done, rejected) = (self.done.load(Ordering::Relaxed), self.rejected.load(Ordering::Relaxed));
        let share = self.total.map_or_else(String::new, |total| {
            let share = 100.0 * self.bytes.load(Ordering::Relaxed) as f64 / total as f64;
            format!(", {share:.0} % of the input")
        });
        let rate = (done + rejected - self.before) as f64 / self.begun.elapsed().as_secs_f64().max(1.0);
        let wait = self.pace.held_for().map_or_else(String::new, |wait| {
            format!(", asked to wait for another {:.0} s", wait.as_secs_f64().ceil())
        });
        format!("{done} rewrapped, {rejected} rejected{share}, {rate:.0} lines/s{wait}")
    }
}

/// Says a line, if anybody is there to read it: a run does not end because nobody is.
pub(super) fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::{super::input::Position, *};

    #[tokio::test(start_paused = true)]
    async fn a_run_that_is_taken_up_tells_all_that_is_done_and_its_own_speed() {
        let mut at = Checkpoint::new(
            "acme",
            Position {
                bytes: 1_000,
                lines: 100,
                sha256: String::new(),
            },
            false,
        );
        at.done = 100;
        let pace = Arc::new(Pace::new(Duration::from_secs(1)));
        let progress = Progress::new(&at, Some(4_000), Arc::clone(&pace));
        tokio::time::advance(Duration::from_secs(10)).await;
        (at.input.bytes, at.done, at.rejected) = (2_000, 195, 5);
        progress.note(&at);
        assert_eq!(
            progress.line(),
            "195 rewrapped, 5 rejected, 50 % of the input, 10 lines/s"
        );
        pace.hold(Some(Duration::from_secs(7)), 1);
        assert!(progress.line().ends_with(", asked to wait for another 7 s"));
    }
}

//! The customer's act, and the moment of it.

use std::{
    io::{stderr, stdin},
    process::Stdio,
    thread,
};

use clap::Args;
use keyferry_api::clock::Clock;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{process::Command, sync::oneshot, time::Instant};

use crate::failure::Failure;

/// How the moment comes to be known.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(super) struct ActOptions {
    /// A command that takes the key away; the moment is when it returns. Without it, you are asked to press Enter at that moment
    #[arg(long, value_name = "COMMAND")]
    act: Option<String>,
    /// The moment, where it is known otherwise (RFC 3339): one that is to come is waited for
    #[arg(long, value_name = "TIME", value_parser = parse)]
    at: Option<OffsetDateTime>,
}

/// A moment, by this machine's clock, from which others are counted by one that nobody turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// When it was.
    pub(super) at: OffsetDateTime,
    /// How it came to be known.
    pub(super) known: Known,
    /// How many seconds the command took that returned then: the act itself may be as much earlier.
    pub(super) took: f64,
    steady: Instant,
    /// How much earlier than `steady` it was.
    earlier: f64,
}

/// How a moment came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Known {
    /// Somebody pressed Enter.
    Enter,
    /// A command returned.
    Command,
    /// It was given, and the drill ran already.
    Given,
    /// It was given, and was over when the drill began.
    GivenAfterwards,
}

impl ActOptions {
    /// Whether the key may have been taken away already.
    pub(super) fn may_be_over(&self) -> bool {
        self.at.is_some()
    }

    /// Waits for the act.
    pub(super) async fn wait(&self, clock: Clock) -> Result<Moment, Failure> {
        match (&self.act, self.at) {
            (Some(command), _) => {
                let began = Instant::now();
                returned(command).await?;
                Ok(Moment {
                    took: began.elapsed().as_secs_f64(),
                    ..Moment::now(Known::Command, clock)
                })
            }
            (None, Some(at)) => Ok(Moment::given(at, clock).await),
            (None, None) => {
                eprintln!("Have the customer take its key away, and press Enter at that moment.");
                entered().await?;
                Ok(Moment::now(Known::Enter, clock))
            }
        }
    }
}

impl Moment {
    pub(super) fn now(known: Known, clock: Clock) -> Self {
        Self {
            at: clock(),
            known,
            took: 0.0,
            steady: Instant::now(),
            earlier: 0.0,
        }
    }

    async fn given(at: OffsetDateTime, clock: Clock) -> Self {
        if let Ok(to_come) = (at - clock()).try_into() {
            tokio::time::sleep(to_come).await;
            return Self {
                at,
                ..Self::now(Known::Given, clock)
            };
        }
        let earlier = (clock() - at).as_seconds_f64();
        Self {
            at,
            earlier,
            ..Self::now(Known::GivenAfterwards, clock)
        }
    }

    /// How many seconds after it something was; before it if negative.
    pub(super) fn until(&self, other: Instant) -> f64 {
        let later = other.saturating_duration_since(self.steady).as_secs_f64();
        let sooner = self.steady.saturating_duration_since(other).as_secs_f64();
        self.earlier + later - sooner
    }

    /// The same of what another clock told the time of.
    pub(super) fn until_told(&self, at: &str) -> Option<f64> {
        let at = OffsetDateTime::parse(at, &Rfc3339).ok()?;
        Some((at - self.at).as_seconds_f64())
    }
}

/// Runs a command. What it prints goes to standard error, as the report goes to standard output.
async fn returned(command: &str) -> Result<(), Failure> {
    let status = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(stderr())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| Failure::start(format!("the command of --act cannot be run: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::start(format!("the command of --act failed: {status}")))
    }
}

async fn entered() -> Result<(), Failure> {
    let (tell, told) = oneshot::channel();
    // It may wait for ever, and is not waited for.
    thread::spawn(move || tell.send(stdin().read_line(&mut String::new())));
    match told.await {
        Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) | Err(_) => Err(Failure::usage(
            "standard input ended: nobody can press Enter there. Give --act or --at",
        )),
        Ok(Err(error)) => Err(Failure::start(format!("standard input cannot be read: {error}"))),
    }
}

fn parse(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("not a time as RFC 3339 writes it: {error}"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;

    pub(crate) fn noon() -> OffsetDateTime {
        datetime!(2026-11-25 12:00:00 UTC)
    }

    #[tokio::test(start_paused = true)]
    async fn seconds_are_counted_from_the_act_whether_it_is_to_come_or_over() {
        let over = Moment::given(datetime!(2026-11-25 11:59:50 UTC), noon).await;
        assert_eq!(over.known, Known::GivenAfterwards);
        let seconds = over.until(Instant::now() + Duration::from_secs(5));
        assert!((seconds - 15.0).abs() < 1e-6, "{seconds}");
        let begun = Instant::now();
        let to_come = Moment::given(datetime!(2026-11-25 12:00:30 UTC), noon).await;
        assert_eq!((to_come.known, begun.elapsed().as_secs()), (Known::Given, 30));
        assert!((to_come.until(begun) + 30.0).abs() < 0.01);
        assert_eq!(to_come.until_told("2026-11-25T12:00:31.5Z"), Some(1.5));
    }

    #[tokio::test]
    async fn a_command_that_fails_took_nothing_away() {
        let act = |command: &str| ActOptions {
            act: Some(command.into()),
            at: None,
        };
        assert_eq!(act("true").wait(noon).await.unwrap().known, Known::Command);
        let failure = act("exit 7").wait(noon).await.unwrap_err();
        assert!(failure.to_string().contains('7'), "{failure}");
    }
}

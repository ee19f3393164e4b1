//! Follows an onboarding live.

mod display;
mod news;

use std::{future::pending, time::Duration};

use clap::{Args, ValueEnum};
use keyferry_client::onboarding::{Onboarding, Onboardings};

use self::display::Display;
use super::{Named, is_absent};
use crate::{failure::Failure, output::Output, serve::Signals};

/// What to follow, and until when.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    #[command(flatten)]
    named: Named,
    /// What to wait for
    #[arg(long, value_enum, default_value = "active")]
    until: Until,
    /// Give up after so long, with exit code 4; goes on for as long as it takes if left out
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// How often to look
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
}

/// What an onboarding can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// The tenant exists
    Active,
    /// Nothing has failed, and something only needs its time or an approval; or it is active
    Waiting,
    /// Something has failed: somebody must act
    Failed,
    /// It is over, and nothing is left of it in Azure
    Closed,
}

impl Watch {
    pub(super) async fn run(self, onboardings: &Onboardings, output: Output) -> Result<(), Failure> {
        let slug = &self.named.slug;
        let mut signals = Signals::listen()?;
        tokio::select! {
            ended = self.follow(onboardings, Display::new(output)) => ended,
            () = signals.stop() => Err(Failure::interrupted(format!("{slug} is watched no more; its onboarding goes on"))),
            () = self.patience() => Err(Failure::unavailable(format!(
                "{slug} did not come to that in {} s; its onboarding goes on",
                self.timeout.unwrap_or_default()
            ))),
        }
    }

    /// Ends once it is past the time that was given.
    async fn patience(&self) {
        match self.timeout {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => pending().await,
        }
    }

    async fn follow(&self, onboardings: &Onboardings, mut display: Display) -> Result<(), Failure> {
        let slug = &self.named.slug;
        let mut seen = onboardings.get(slug).await?;
        loop {
            display.show(&seen);
            if self.until.has_come(&seen) {
                return Ok(());
            }
            if is_over(&seen) && self.until != Until::Closed {
                return Err(Failure::start(format!(
                    "{slug} is {}: it will not come to that any more",
                    seen.stage
                )));
            }
            tokio::time::sleep(Duration::from_secs(self.interval)).await;
            match onboardings.get(slug).await {
                Ok(now) => seen = now,
                Err(error) if is_absent(&error) && self.until == Until::Closed => return Ok(()),
                Err(error) if is_absent(&error) => return Err(Failure::start(format!("{slug} is over"))),
                Err(error) => display.trouble(Failure::from(error))?,
            }
        }
    }
}

impl Until {
    fn has_come(self, seen: &Onboarding) -> bool {
        let is_active = seen.stage == "active";
        match self {
            Self::Active => is_active,
            Self::Waiting => is_active || (any_step(seen, "waiting") && !any_step(seen, "failed")),
            Self::Failed => any_step(seen, "failed"),
            Self::Closed => seen.stage == "closed",
        }
    }
}

/// Steps, not checks: what is only advised fails no step.
fn any_step(seen: &Onboarding, status: &str) -> bool {
    seen.steps.iter().any(|step| step.status == status)
}

fn is_over(seen: &Onboarding) -> bool {
    matches!(seen.stage.as_str(), "closing" | "closed")
}

#[cfg(test)]
mod tests {
    use super::{super::sample::onboarding, *};

    #[test]
    fn each_goal_is_met_by_what_it_names_and_by_nothing_before() {
        let stages = [
            (onboarding("open", &["passed", "pending"]), [false, false, false, false]),
            (onboarding("open", &["passed", "waiting"]), [false, true, false, false]),
            (onboarding("open", &["failed", "waiting"]), [false, false, true, false]),
            (onboarding("active", &["passed", "passed"]), [true, true, false, false]),
            (
                onboarding("closing", &["passed", "passed"]),
                [false, false, false, false],
            ),
            (onboarding("closed", &["passed", "passed"]), [false, false, false, true]),
        ];
        for (seen, expected) in stages {
            let goals = [Until::Active, Until::Waiting, Until::Failed, Until::Closed];
            assert_eq!(goals.map(|goal| goal.has_come(&seen)), expected, "{seen:?}");
        }
    }
}

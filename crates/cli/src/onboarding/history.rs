//! Shows what happened to an onboarding.

use clap::Args;
use keyferry_client::onboarding::{Event, Onboardings};

use super::Named;
use crate::{failure::Failure, output::Output};

/// Whose history, and how much of it.
#[derive(Args, Debug)]
pub(crate) struct History {
    #[command(flatten)]
    named: Named,
    /// The most events that are shown
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
}

impl History {
    pub(super) async fn run(self, onboardings: &Onboardings, output: Output) -> Result<(), Failure> {
        let (mut events, mut before) = (Vec::new(), None);
        while events.len() < self.limit {
            let wanted = u32::try_from(self.limit - events.len()).unwrap_or(PAGE).min(PAGE);
            let page = onboardings.history(&self.named.slug, before, wanted).await?;
            events.extend(page.events);
            before = page.next_before;
            if before.is_none() {
                break;
            }
        }
        events.truncate(self.limit);
        output.rows(&events, &["NUMBER", "AT", "WHO", "WHAT", "DETAILS"], |event: &Event| {
            let details = event.details.iter().map(|(name, value)| format!("{name}={value}"));
            vec![
                event.number.to_string(),
                event.at.clone(),
                event.actor.clone(),
                event.kind.clone(),
                details.collect::<Vec<_>>().join(" "),
            ]
        });
        Ok(())
    }
}

/// The most events that are asked for at once.
const PAGE: u32 = 100;

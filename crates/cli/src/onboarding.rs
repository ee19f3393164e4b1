//! `keyferry onboarding …`

mod answers;
mod apply;
mod change;
mod history;
mod instructions;
mod link;
mod open;
#[cfg(test)]
mod sample;
mod view;
mod watch;

use clap::{Args, Subcommand};
use keyferry_client::{
    Client, Error,
    onboarding::{Onboarding as Document, OnboardingChange, Onboardings},
};

pub(crate) use self::{open::Open, view::Unfinished, watch::Watch};
use crate::{access::AccessOptions, failure::Failure, output::Output};

/// Leads customers from a link to an active tenant, and follows how far they are.
#[derive(Args, Debug)]
pub(crate) struct Onboarding {
    #[command(flatten)]
    access: AccessOptions,
    /// How results are printed
    #[arg(long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Act {
    /// Open an onboarding, and print the link for the customer's administrator
    Open(Open),
    /// Open and change what a registration file says, and nothing else
    Apply(apply::Apply),
    /// List the onboardings that are not closed, ordered by slug
    List,
    /// Show an onboarding: its steps, its checks, what was found and what to do next
    Show(Named),
    /// Change an onboarding, or answer in the customer's place; what is left out stays
    Change(change::Change),
    /// Make a new link, and make those before it void
    Link(Named),
    /// Make every link void
    Revoke(Named),
    /// Make all checks now
    Verify(Named),
    /// Follow an onboarding live, until its tenant is active
    Watch(Watch),
    /// Show what happened, newest first
    History(history::History),
    /// Print the customer's instructions, with its own values
    Instructions(instructions::Instructions),
    /// Make a rejected, disconnected or failed private endpoint anew
    RetryEndpoint(Named),
    /// Give an onboarding up: what was made for it in Azure is removed, and its slug is free again
    Close(Named),
}

/// Which onboarding.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The onboarding's slug, which is also the tenant's
    pub(crate) slug: String,
}

impl Onboarding {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        self.act.run(&self.access.client()?, self.output).await
    }
}

impl Act {
    pub(crate) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let onboardings = client.onboardings();
        let shown = match self {
            Self::Open(open) => return open.run(&onboardings, output).await,
            Self::Apply(apply) => return apply.run(&onboardings, output).await,
            Self::List => return list(&onboardings, output).await,
            Self::Link(Named { slug }) => return link::renew(&onboardings, &slug, output).await,
            Self::Watch(watch) => return watch.run(&onboardings, output).await,
            Self::History(history) => return history.run(&onboardings, output).await,
            Self::Instructions(instructions) => return instructions.run(&onboardings, output).await,
            Self::Show(Named { slug }) => onboardings.get(&slug).await?,
            Self::Change(change) => change.run(&onboardings).await?,
            Self::Revoke(Named { slug }) => onboardings.revoke_link(&slug).await?,
            Self::Verify(Named { slug }) => onboardings.verify(&slug).await?,
            Self::RetryEndpoint(Named { slug }) => onboardings.retry_endpoint(&slug).await?,
            Self::Close(Named { slug }) => onboardings.close(&onboardings.get(&slug).await?).await?,
        };
        output.text(&shown, || view::whole(&shown));
        Ok(())
    }
}

async fn list(onboardings: &Onboardings, output: Output) -> Result<(), Failure> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = onboardings.list(cursor.as_deref(), 100).await?;
        all.extend(page.onboardings);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    output.rows(&all, &["SLUG", "STAGE", "CHECKS", "NEEDED", "NAME"], |onboarding| {
        vec![
            onboarding.slug.clone(),
            onboarding.stage.clone(),
            view::progress(onboarding),
            view::needed(onboarding),
            onboarding.display_name.clone(),
        ]
    });
    Ok(())
}

/// Whether Keyferry says that there is no such thing; that it knows no onboardings at all is another matter.
pub(crate) fn is_absent(error: &Error) -> bool {
    error
        .problem()
        .is_some_and(|problem| problem.status == 404 && problem.slug() != "route-not-found")
}

/// Changes an onboarding as `decide` says of what was read; and decides anew, of what there is then, as long as another change
/// came in between. A check that ends is one.
pub(crate) async fn change(
    onboardings: &Onboardings,
    mut read: Document,
    decide: impl Fn(&Document) -> Result<OnboardingChange, Failure>,
) -> Result<Document, Failure> {
    for _ in 1..MOST_TRIES {
        match onboardings.change(&read, &decide(&read)?).await {
            Err(Error::Problem(problem)) if problem.slug() == "precondition-failed" => {
                read = onboardings.get(&read.slug).await?;
            }
            outcome => return Ok(outcome?),
        }
    }
    Ok(onboardings.change(&read, &decide(&read)?).await?)
}

/// A round of checks has fewer.
const MOST_TRIES: usize = 20;

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

/// Changes an onboarding that was read, and again as long as nothing but its checks has changed since: a check that ends is a
/// change like any other, and nothing that an operator decides depends on it.
pub(crate) async fn change(
    onboardings: &Onboardings,
    mut read: Document,
    change: &OnboardingChange,
) -> Result<Document, Error> {
    for _ in 1..MOST_TRIES {
        match onboardings.change(&read, change).await {
            Err(Error::Problem(problem)) if problem.slug() == "precondition-failed" => {
                let now = onboardings.get(&read.slug).await?;
                if !differs_in_checks_only(&read, &now) {
                    return Err(Error::Problem(problem));
                }
                read = now;
            }
            outcome => return outcome,
        }
    }
    onboardings.change(&read, change).await
}

/// Whether whoever decided about the one would decide the same about the other: of the same stage, with the same answers, and set
/// up alike.
fn differs_in_checks_only(one: &Document, other: &Document) -> bool {
    let decided_by = |of: &Document| {
        let Document {
            id,
            display_name,
            stage,
            policy,
            endpoint_policy,
            allows_public_path,
            answers,
            ..
        } = of.clone();
        (
            id,
            display_name,
            stage,
            policy,
            endpoint_policy,
            allows_public_path,
            answers,
        )
    };
    decided_by(one) == decided_by(other)
}

/// A round of checks has fewer.
const MOST_TRIES: usize = 20;

#[cfg(test)]
mod tests {
    use keyferry_client::{Token, TokenSource};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const STALE: &str = r#"{"type":"https://keyferry.dev/problems/precondition-failed","title":"","status":412,"detail":"","fault":"caller"}"#;

    /// The outcome of a change, where it is refused as stale once, and what is read then is `now`; and how often it was asked.
    async fn changed_meanwhile(read: Document, now: &Document) -> (Result<Document, Error>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let now = serde_json::to_string(now).unwrap();
        let client = Client::new(base, TokenSource::Fixed(Token::from("a token".to_owned()))).unwrap();
        let (onboardings, change_nothing) = (client.onboardings(), OnboardingChange::default());
        let mut changes = 0;
        let serving = async {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let len = connection.read(&mut request).await.unwrap();
                let is_change = request[..len].starts_with(b"PATCH");
                changes += usize::from(is_change);
                let (status, body) = if is_change && changes == 1 {
                    (412, STALE)
                } else {
                    (200, now.as_str())
                };
                let kind = if status == 200 { "json" } else { "problem+json" };
                let head = format!(
                    "HTTP/1.1 {status} \r\ncontent-type: application/{kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                connection.write_all(head.as_bytes()).await.unwrap();
                connection.write_all(body.as_bytes()).await.unwrap();
            }
        };
        let outcome = tokio::select! {
            outcome = change(&onboardings, read, &change_nothing) => outcome,
            () = serving => unreachable!("it serves for ever"),
        };
        (outcome, changes)
    }

    #[tokio::test]
    async fn a_change_outlasts_the_end_of_a_check_and_no_other_change() {
        let read = || sample::onboarding("open", &["passed", "pending"]);
        let checked = sample::onboarding("open", &["passed", "failed"]);
        let (outcome, changes) = changed_meanwhile(read(), &checked).await;
        assert_eq!((outcome.unwrap(), changes), (checked.clone(), 2));

        let mut answered = checked;
        answered.answers.directory_id = Some("0d000000-0000-4000-8000-000000000001".into());
        let (outcome, changes) = changed_meanwhile(read(), &answered).await;
        assert_eq!(outcome.unwrap_err().problem().unwrap().slug(), "precondition-failed");
        assert_eq!(changes, 1);
    }

    #[test]
    fn an_end_of_a_check_asks_for_no_other_decision_and_another_answer_or_setting_does() {
        let read = sample::onboarding("open", &["passed", "pending"]);
        let mut checked = sample::onboarding("open", &["passed", "failed"]);
        checked.revision += 1;
        assert!(differs_in_checks_only(&read, &checked));

        // Whoever vouched for a directory has not seen this one.
        let mut answered = checked.clone();
        answered.answers.directory_id = Some("0d000000-0000-4000-8000-000000000001".into());
        let mut named = checked.clone();
        named.display_name = "Another".into();
        let mut set = checked.clone();
        set.policy.cache_ttl_seconds += 1;
        let mut opened = checked.clone();
        opened.allows_public_path = !checked.allows_public_path;
        let active = sample::onboarding("active", &["passed", "failed"]);
        for other in [answered, named, set, opened, active] {
            assert!(!differs_in_checks_only(&read, &other), "{other:?}");
        }
    }
}

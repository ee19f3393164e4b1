//! Shows how tenants' keys are.

use std::{future::pending, time::Duration};

use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt, stream};
use keyferry_client::{Admin, key::KeyHealth};
use serde::Serialize;

use super::key;
use crate::{
    failure::Failure,
    output::{Output, lines},
    serve::Signals,
};

/// Whose key, and for how long.
#[derive(Args, Debug)]
pub(super) struct Health {
    /// The tenant's slug
    #[arg(required_unless_present = "all")]
    slug: Option<String>,
    /// How the keys of all tenants are, ordered by slug
    #[arg(long, conflicts_with_all = ["slug", "watch", "until"])]
    all: bool,
    /// Follow the key live: a line for each change
    #[arg(long)]
    watch: bool,
    /// The same, until the key is so
    #[arg(long, value_enum)]
    until: Option<Until>,
    /// Give up after so long, with exit code 4; goes on for as long as it takes if left out
    #[arg(long, value_name = "SECONDS", conflicts_with = "all")]
    timeout: Option<u64>,
    /// How often to look
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
}

/// How a key can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// The vault unwraps
    Healthy,
    /// The vault is asked in vain
    Degraded,
    /// The customer refuses
    Refused,
}

/// One of several.
#[derive(Serialize)]
struct Row {
    slug: String,
    #[serde(flatten)]
    key: KeyHealth,
}

impl Health {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Result<(), Failure> {
        let Some(slug) = &self.slug else {
            return all(admin, output).await;
        };
        if !self.watch && self.until.is_none() {
            let seen = admin.key(slug).await?;
            output.text(&seen, || lines(&key::fields(&seen)));
            return Ok(());
        }
        let mut signals = Signals::listen()?;
        tokio::select! {
            ended = self.follow(admin, slug, output) => ended,
            () = signals.stop() => Err(Failure::interrupted(format!("{slug} is watched no more"))),
            () = self.patience() => Err(Failure::unavailable(format!(
                "{slug} did not come to that in {} s",
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

    async fn follow(&self, admin: &Admin, slug: &str, output: Output) -> Result<(), Failure> {
        let mut shown: Option<KeyHealth> = None;
        let mut is_in_trouble = false;
        loop {
            match admin.key(slug).await.map_err(Failure::from) {
                Ok(seen) => {
                    is_in_trouble = false;
                    show(shown.as_ref(), &seen, output);
                    if self.until.is_some_and(|until| until.has_come(&seen)) {
                        return Ok(());
                    }
                    shown = Some(seen);
                }
                // A look that fails where there was none before is answered at once.
                Err(failure) if !failure.is_passing() || shown.is_none() => return Err(failure),
                Err(failure) => {
                    if !is_in_trouble {
                        eprintln!("keyferry: {failure}; trying again");
                    }
                    is_in_trouble = true;
                }
            }
            tokio::time::sleep(Duration::from_secs(self.interval)).await;
        }
    }
}

impl Until {
    fn has_come(self, seen: &KeyHealth) -> bool {
        seen.state
            == match self {
                Self::Healthy => "healthy",
                Self::Degraded => "degraded",
                Self::Refused => "refused",
            }
    }
}

fn show(before: Option<&KeyHealth>, seen: &KeyHealth, output: Output) {
    let news = key::news(before, seen);
    match output {
        Output::Json if news.is_empty() => {}
        Output::Json => println!("{}", serde_json::to_string(seen).unwrap_or_default()),
        Output::Table => news.iter().for_each(|line| println!("{line}")),
    }
}

/// There is no list of them: each is asked for, a few at once.
async fn all(admin: &Admin, output: Output) -> Result<(), Failure> {
    let tenants = super::all(admin).await?;
    let keys = stream::iter(tenants).map(async |tenant| {
        let key = admin.key(&tenant.slug).await?;
        Ok::<_, Failure>(Row { slug: tenant.slug, key })
    });
    let rows: Vec<Row> = keys.buffered(AT_ONCE).try_collect().await?;
    output.rows(&rows, &["SLUG", "STATE", "SINCE", "LOOKED AT", "BECAUSE"], |row| {
        vec![
            row.slug.clone(),
            row.key.state.clone(),
            row.key.since.clone(),
            row.key.checked_at.clone().unwrap_or_default(),
            row.key.trouble.as_ref().map(key::because).unwrap_or_default(),
        ]
    });
    Ok(())
}

/// How many are asked for at once.
const AT_ONCE: usize = 8;

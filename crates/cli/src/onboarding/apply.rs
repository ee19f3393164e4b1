//! Brings onboardings to what a registration file says.

mod difference;
mod file;

use std::path::PathBuf;

use clap::Args;
use keyferry_client::onboarding::Onboardings;
use serde::Serialize;

use self::file::{File, Registration};
use super::{is_absent, link};
use crate::{
    failure::Failure,
    output::{Output, table},
};

/// Which file, and whether to do as it says.
#[derive(Args, Debug)]
pub(crate) struct Apply {
    /// The registration file (docs/command.md): YAML, or TOML if its name ends so; `-` reads YAML from standard input
    #[arg(short, long)]
    file: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What became of one of a file's onboardings.
#[derive(Serialize)]
struct Applied {
    slug: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Apply {
    pub(super) async fn run(self, onboardings: &Onboardings, output: Output) -> Result<(), Failure> {
        let file = File::read(&self.file)?;
        let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
        for registration in file.onboardings {
            let slug = registration.slug.clone();
            let applied = apply(onboardings, registration, self.dry_run).await;
            outcomes.push(applied.unwrap_or_else(|failure| {
                let error = Some(failure.to_string());
                failures.push(failure);
                Applied {
                    error,
                    ..Applied::new(&slug, "failed")
                }
            }));
        }
        output.text(&outcomes, || told(&outcomes));
        if outcomes.iter().any(|outcome| outcome.link_url.is_some()) {
            link::warn("SLUG");
        }
        if self.dry_run {
            eprintln!("Nothing was changed: this is what would be done.");
        }
        match Failure::gravest(failures) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

impl Applied {
    fn new(slug: &str, outcome: &'static str) -> Self {
        Self {
            slug: slug.to_owned(),
            outcome,
            changed: Vec::new(),
            link_url: None,
            error: None,
        }
    }
}

/// What became of them, and below it the links, which a table would break where the terminal is narrow.
fn told(all: &[Applied]) -> String {
    let rows = all.iter().map(|applied| {
        let what = applied.error.clone().unwrap_or_else(|| applied.changed.join(", "));
        vec![applied.slug.clone(), applied.outcome.to_owned(), what]
    });
    let links = all
        .iter()
        .filter_map(|applied| Some(format!("\n\n{}\n{}", applied.slug, applied.link_url.as_ref()?)));
    [table(&["SLUG", "OUTCOME", "WHAT"], rows)]
        .into_iter()
        .chain(links)
        .collect()
}

async fn apply(onboardings: &Onboardings, registration: Registration, dry_run: bool) -> Result<Applied, Failure> {
    let slug = registration.slug.clone();
    let read = match onboardings.get(&slug).await {
        Ok(read) => read,
        Err(error) if is_absent(&error) => return open(onboardings, registration, dry_run).await,
        Err(error) => return Err(error.into()),
    };
    let change = difference::between(&read, registration)?;
    let changed = difference::names(&change);
    if changed.is_empty() {
        return Ok(Applied::new(&slug, "unchanged"));
    }
    if !dry_run {
        super::change(onboardings, read, &change).await?;
    }
    Ok(Applied {
        changed,
        ..Applied::new(&slug, "changed")
    })
}

/// Opens what is not there. Needs no idempotency key: whoever applies the file again finds it.
async fn open(onboardings: &Onboardings, registration: Registration, dry_run: bool) -> Result<Applied, Failure> {
    let outcome = Applied::new(&registration.slug, "created");
    if dry_run {
        return Ok(outcome);
    }
    let opened = onboardings.open(&registration.into_new(), None).await?;
    Ok(Applied {
        link_url: Some(opened.link_url.expose().to_owned()),
        ..outcome
    })
}

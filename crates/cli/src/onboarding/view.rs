//! An onboarding, for people.

use keyferry_client::onboarding::{Check, Onboarding, PrivateEndpoint};
use serde::Serialize;

use crate::{
    output::{lines, plain, table},
    policy,
};

/// An onboarding in a tenant's place: there is no tenant yet.
#[derive(Serialize)]
pub(crate) struct Unfinished<'a> {
    status: &'static str,
    #[serde(flatten)]
    onboarding: &'a Onboarding,
}

impl<'a> Unfinished<'a> {
    pub(crate) fn new(onboarding: &'a Onboarding) -> Self {
        Self {
            status: "onboarding",
            onboarding,
        }
    }

    /// The same for people.
    pub(crate) fn text(&self) -> String {
        let onboarding = self.onboarding;
        let head = [
            ("slug", onboarding.slug.clone()),
            ("id", onboarding.id.clone()),
            ("name", onboarding.display_name.clone()),
            ("status", format!("{} ({})", self.status, onboarding.stage)),
        ];
        format!("{}\n\n{}\n\n{}", lines(&head), steps(onboarding), checks(onboarding))
    }
}

/// All that is known of it.
pub(super) fn whole(onboarding: &Onboarding) -> String {
    let parts = [lines(&fields(onboarding)), steps(onboarding), checks(onboarding)];
    let commands = onboarding
        .checks
        .iter()
        .filter(|check| is_open(check))
        .filter_map(|check| {
            let commands = check.commands.as_deref()?.trim_end();
            Some(format!("To set {} right:\n\n{}", check.check, indented(commands)))
        });
    parts.into_iter().chain(commands).collect::<Vec<_>>().join("\n\n")
}

/// The guide's steps, and how each stands.
pub(super) fn steps(onboarding: &Onboarding) -> String {
    let rows = onboarding.steps.iter();
    table(
        &["STEP", "STATUS"],
        rows.map(|step| vec![step.step.clone(), step.status.clone()]),
    )
}

/// The checks, what was found and what to do next.
pub(super) fn checks(onboarding: &Onboarding) -> String {
    let rows = onboarding.checks.iter().map(|check| {
        vec![
            check.check.clone(),
            check.status.clone(),
            check.text.clone(),
            check.next.clone().unwrap_or_default(),
        ]
    });
    table(&["CHECK", "STATUS", "FOUND", "NEXT"], rows)
}

/// How many of the checks need nothing more: "7 of 10".
pub(super) fn progress(onboarding: &Onboarding) -> String {
    format!("{} of {}", done(onboarding), onboarding.checks.len())
}

/// How many of the checks need nothing more.
pub(super) fn done(onboarding: &Onboarding) -> usize {
    let checks = onboarding.checks.iter();
    checks
        .filter(|check| matches!(check.status.as_str(), "passed" | "not-applicable"))
        .count()
}

/// Which checks somebody must do something about.
pub(super) fn needed(onboarding: &Onboarding) -> String {
    let checks = onboarding.checks.iter();
    let failed = checks.filter(|check| check.status == "failed");
    failed.map(|check| check.check.as_str()).collect::<Vec<_>>().join(", ")
}

/// How a private endpoint stands, in a few words.
pub(super) fn endpoint(endpoint: &PrivateEndpoint) -> String {
    let mut text = format!("{} since {}: {}", endpoint.state, endpoint.since, endpoint.name);
    if let Some(address) = &endpoint.address {
        let proof = if endpoint.is_proven { "proven" } else { "not proven" };
        text = format!("{text} at {address}, {proof}");
    }
    match &endpoint.description {
        Some(said) if !said.is_empty() => format!("{text}; the customer's side wrote: {said}"),
        _ => text,
    }
}

fn fields(onboarding: &Onboarding) -> Vec<(&'static str, String)> {
    let answers = &onboarding.answers;
    let known = |answer: &Option<String>| answer.clone().unwrap_or_else(|| "not told yet".to_owned());
    let since = |text: &str| match &onboarding.stage_since {
        Some(since) => format!("{text} since {since}"),
        None => text.to_owned(),
    };
    let public_path = if onboarding.allows_public_path {
        ", and the public network while it cannot be used"
    } else {
        ""
    };
    let link = &onboarding.link;
    let mut fields = vec![
        ("slug", onboarding.slug.clone()),
        ("id", onboarding.id.clone()),
        ("name", onboarding.display_name.clone()),
        ("stage", since(&onboarding.stage)),
        ("cloud", onboarding.cloud.clone()),
        ("directory", known(&answers.directory_id)),
        ("vault", known(&answers.vault)),
        ("key", known(&answers.key_name)),
        ("version", known(&answers.key_version)),
        ("resource", known(&answers.vault_resource_id)),
        (
            "private endpoint",
            format!("{}{public_path}", onboarding.endpoint_policy),
        ),
    ];
    fields.extend(onboarding.private_endpoint.as_ref().map(|made| ("", endpoint(made))));
    fields.extend(policy::fields(&onboarding.policy));
    fields.extend([
        (
            "link",
            if link.is_revoked {
                format!("number {}, void since {}", link.serial, link.expires_at)
            } else {
                format!("number {}, until {}", link.serial, link.expires_at)
            },
        ),
        (
            "next check",
            onboarding.next_check_at.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        ("revision", onboarding.revision.to_string()),
        ("opened", onboarding.created_at.clone()),
        ("changed", onboarding.updated_at.clone()),
    ]);
    fields
}

fn is_open(check: &Check) -> bool {
    matches!(check.status.as_str(), "failed" | "waiting")
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {}", plain(line)));
    lines.collect::<Vec<_>>().join("\n")
}

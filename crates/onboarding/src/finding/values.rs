//! What fills a text's gaps: the values that were kept with a finding, what the onboarding knows besides, and sentences made
//! of them.

use std::collections::BTreeMap;

use keyferry_registry::onboarding::{Finding, Onboarding};

/// All that a text may have a gap for.
#[cfg(test)]
pub(super) const NAMES: [&str; 25] = [
    "slug",
    "vault",
    "key",
    "version",
    "cloud",
    "object_id",
    "vault_directory",
    "returned_at",
    "waiting_since",
    "retry_at",
    "bits",
    "advised",
    "missing",
    "expires",
    "not_before",
    "powers",
    "endpoint",
    "endpoint_id",
    "message",
    "address",
    "said",
    "held",
    "followed",
    "rotates",
    "network",
];

/// The values for a finding's text.
pub(super) fn of(onboarding: &Onboarding, finding: &Finding) -> BTreeMap<String, String> {
    let mut values = finding.values.clone();
    let mut known = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            values.entry(name.to_owned()).or_insert(value);
        }
    };
    let answers = &onboarding.answers;
    known("slug", Some(onboarding.slug.to_string()));
    known("vault", answers.vault.as_ref().map(ToString::to_string));
    known("key", answers.key.as_ref().map(ToString::to_string));
    let sentences = [
        ("held", held(&values)),
        ("followed", followed(&values)),
        ("rotates", rotates(&values)),
        ("network", network(&values)),
        ("said", said(&values)),
    ];
    for (name, sentence) in sentences {
        values.insert(name.to_owned(), sentence);
    }
    values
}

fn value<'a>(values: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    values.get(name).map(String::as_str)
}

fn held(values: &BTreeMap<String, String>) -> String {
    match value(values, "protection") {
        Some("hsm") => "kept in hardware",
        Some("software") => "kept in software",
        _ => "",
    }
    .to_owned()
}

fn followed(values: &BTreeMap<String, String>) -> String {
    match value(values, "pinned") {
        Some("no") => "We follow it when you rotate it: new data is protected by the newest version.".to_owned(),
        Some(version) => format!("We use version {version} only, as you pinned it, whatever you rotate to."),
        None => String::new(),
    }
}

fn rotates(values: &BTreeMap<String, String>) -> String {
    match value(values, "rotation") {
        Some("none") => "It is not rotated automatically.".to_owned(),
        Some(period) => format!("It is rotated automatically, {period}."),
        None => String::new(),
    }
}

fn network(values: &BTreeMap<String, String>) -> String {
    match value(values, "public_network") {
        Some("closed") => "The vault is closed to public networks.",
        Some("chosen") => "The vault is open to chosen public networks.",
        Some("open") => {
            "The vault is open to all public networks; who may do what is decided by roles or policies alone."
        }
        _ => "",
    }
    .to_owned()
}

fn said(values: &BTreeMap<String, String>) -> String {
    value(values, "description").map_or_else(String::new, |said| format!("Beside it stands: “{said}”."))
}

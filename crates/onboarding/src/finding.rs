//! What was found, and what to do next, for people.
//!
//! A check finds one of the catalogue's [`Kind`]s. A kind has one status, one text and one next action for each audience, and
//! the commands that do it; only its name and the values that its text needs are kept.

mod commands;
mod customer;
mod kind;
mod operator;
mod values;
mod words;

use keyferry_crypto::vault::Evidence;
use keyferry_registry::onboarding::{CheckName, CheckStatus, EndpointPolicy, Onboarding};

pub use self::kind::Kind;
pub(crate) use self::kind::With;
use self::words::{Words, filled};
use crate::instructions::{Choices, Facts, az_steps};

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// The customer's administrator: nothing of our internals, nor of our own credential's errors.
    Customer,
    /// The platform's operator.
    Operator,
}

/// A check, told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name for people: "Your key".
    pub title: &'static str,
    /// How it stands.
    pub status: CheckStatus,
    /// The finding's name; `not-checked` if the check was never made.
    pub slug: String,
    /// What was found, in a sentence or two.
    pub text: String,
    /// What to do next, if there is something to do.
    pub next: Option<String>,
    /// Commands that do it.
    pub commands: Option<String>,
}

/// One of the guide's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Authorize our application.
    Authorize,
    /// Set up vault and key.
    VaultAndKey,
    /// Grant access.
    Access,
    /// Complete: the private endpoint, and the whole tried out.
    Complete,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Authorize, Self::VaultAndKey, Self::Access, Self::Complete];

    /// Its name on the wire.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::VaultAndKey => "vault-and-key",
            Self::Access => "access",
            Self::Complete => "complete",
        }
    }

    /// The checks that belong to it.
    #[must_use]
    pub fn checks(self) -> &'static [CheckName] {
        match self {
            Self::Authorize => &[CheckName::Directory, CheckName::Consent],
            Self::VaultAndKey => &[CheckName::Vault, CheckName::Key, CheckName::Protection],
            Self::Access => &[CheckName::Wrap, CheckName::Read, CheckName::LeastPrivilege],
            Self::Complete => &[CheckName::PrivateEndpoint, CheckName::Verification],
        }
    }

    /// How it stands: failed if one of its needed checks is, else waiting, else pending, else passed.
    #[must_use]
    pub fn status(self, onboarding: &Onboarding) -> CheckStatus {
        let needed = self
            .checks()
            .iter()
            .filter(|check| is_needed(**check, onboarding.endpoint_policy));
        let statuses: Vec<_> = needed.map(|check| status(onboarding, *check)).collect();
        let worst = [CheckStatus::Failed, CheckStatus::Waiting, CheckStatus::Pending]
            .into_iter()
            .find(|status| statuses.contains(status));
        worst.unwrap_or(CheckStatus::Passed)
    }
}

/// Whether a check must pass before a tenant can be active. What is not needed is told and holds nothing up.
#[must_use]
pub fn is_needed(check: CheckName, policy: EndpointPolicy) -> bool {
    match check {
        CheckName::Directory
        | CheckName::Consent
        | CheckName::Vault
        | CheckName::Key
        | CheckName::Wrap
        | CheckName::Verification => true,
        CheckName::Read | CheckName::LeastPrivilege | CheckName::Protection => false,
        CheckName::PrivateEndpoint => policy == EndpointPolicy::Required,
    }
}

/// Tells of a check to one of the two who want to know, without commands: those need to know us, so
/// [`Onboardings::told`](crate::Onboardings::told) adds them.
#[must_use]
pub fn told(onboarding: &Onboarding, check: CheckName, audience: Audience) -> Told {
    let title = title(check);
    let Some(made) = onboarding.checks.get(&check) else {
        return Told {
            title,
            status: CheckStatus::Pending,
            slug: "not-checked".to_owned(),
            text: "Not looked at yet.".to_owned(),
            next: None,
            commands: None,
        };
    };
    let status = made.observed.status;
    let Some(kind) = Kind::of(&made.observed.finding) else {
        // Kept by a newer release beside this one.
        return Told {
            title,
            status,
            slug: made.observed.finding.slug.clone(),
            text: "Found by another version of this service than the one that tells of it.".to_owned(),
            next: None,
            commands: None,
        };
    };
    let (slug, Words { text, next }) = match audience {
        Audience::Customer if kind.is_ours() => ("our-side", customer::words(kind)),
        Audience::Customer => (kind.slug(), customer::words(kind)),
        Audience::Operator => (kind.slug(), operator::words(kind)),
    };
    let values = values::of(onboarding, &made.observed.finding);
    Told {
        title,
        status,
        slug: slug.to_owned(),
        text: filled(text, &values),
        next: next.map(|next| filled(next, &values)),
        commands: None,
    }
}

/// What the other side said, as far as that one may know it: a customer is shown nothing of what was said to us about ourselves.
#[must_use]
pub fn evidence(onboarding: &Onboarding, check: CheckName, audience: Audience) -> Option<&Evidence> {
    let observed = &onboarding.checks.get(&check)?.observed;
    let is_theirs = Kind::of(&observed.finding).is_some_and(|kind| !kind.is_ours());
    let is_shown = match audience {
        Audience::Customer => is_theirs,
        Audience::Operator => true,
    };
    observed.evidence.as_ref().filter(|_| is_shown)
}

/// The commands that do what a check's finding asks for, if there are some.
pub(crate) fn commands(onboarding: &Onboarding, check: CheckName, facts: &Facts, choices: Choices) -> Option<String> {
    let made = onboarding.checks.get(&check)?;
    let steps = commands::steps(Kind::of(&made.observed.finding)?, choices.access);
    (!steps.is_empty()).then(|| az_steps(facts, choices, steps))
}

/// How a check stands; pending if it was never made.
pub(crate) fn status(onboarding: &Onboarding, check: CheckName) -> CheckStatus {
    let made = onboarding.checks.get(&check);
    made.map_or(CheckStatus::Pending, |made| made.observed.status)
}

/// What a check found, if it was made and this release knows it.
pub(crate) fn kind(onboarding: &Onboarding, check: CheckName) -> Option<Kind> {
    Kind::of(&onboarding.checks.get(&check)?.observed.finding)
}

fn title(check: CheckName) -> &'static str {
    match check {
        CheckName::Directory => "Your directory",
        CheckName::Consent => "Our application in it",
        CheckName::Vault => "Your vault",
        CheckName::Key => "Your key",
        CheckName::Wrap => "Wrapping and unwrapping",
        CheckName::Read => "Reading the key's settings",
        CheckName::LeastPrivilege => "No more access than needed",
        CheckName::Protection => "Protection against deletion",
        CheckName::PrivateEndpoint => "Private endpoint",
        CheckName::Verification => "All of it together",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn no_two_findings_say_the_same() {
        let operators: BTreeSet<_> = Kind::iter().map(|kind| operator::words(kind).text).collect();
        assert_eq!(operators.len(), Kind::iter().count());
        let theirs: Vec<_> = Kind::iter().filter(|kind| !kind.is_ours()).collect();
        let customers: BTreeSet<_> = theirs.iter().map(|kind| customer::words(*kind).text).collect();
        assert_eq!(customers.len(), theirs.len());
    }

    #[test]
    fn whatever_failed_or_waits_says_what_to_do_next() {
        for kind in Kind::iter() {
            let is_open = matches!(kind.status(), CheckStatus::Failed | CheckStatus::Waiting);
            for words in [customer::words(kind), operator::words(kind)] {
                assert!(!is_open || words.next.is_some(), "{kind:?}");
            }
        }
    }

    #[test]
    fn no_two_failures_ask_for_the_same() {
        let failures: Vec<_> = Kind::iter()
            .filter(|kind| kind.status() == CheckStatus::Failed && !kind.is_ours())
            .collect();
        let asked: BTreeSet<_> = failures.iter().map(|kind| customer::words(*kind).next).collect();
        assert_eq!(asked.len(), failures.len());
        assert!(failures.len() >= 25, "the catalogue of wrong turns");
    }

    #[test]
    fn a_customer_is_told_the_same_of_whatever_is_on_our_side() {
        let ours: Vec<_> = Kind::iter().filter(|kind| kind.is_ours()).collect();
        let told: BTreeSet<_> = ours.iter().map(|kind| customer::words(*kind).text).collect();
        assert!(ours.len() > 8 && told.len() == 1);
        for kind in Kind::iter() {
            let words = customer::words(kind);
            let all = format!("{} {}", words.text, words.next.unwrap_or_default());
            for internal in ["AADSTS", "[azure", "secret", "assertion", "replica"] {
                assert!(!all.contains(internal), "{kind:?}");
            }
        }
    }

    #[test]
    fn every_finding_is_found_by_a_check() {
        let checks = [
            include_str!("checks.rs"),
            include_str!("checks/consent.rs"),
            include_str!("checks/directory.rs"),
            include_str!("checks/key.rs"),
            include_str!("checks/least_privilege.rs"),
            include_str!("checks/private_endpoint.rs"),
            include_str!("checks/protection.rs"),
            include_str!("checks/read.rs"),
            include_str!("checks/trouble.rs"),
            include_str!("checks/vault.rs"),
            include_str!("checks/verification.rs"),
            include_str!("checks/wrap.rs"),
        ];
        let made: Vec<_> = checks
            .iter()
            .filter_map(|check| check.split("#[cfg(test)]").next())
            .flat_map(|check| check.split("Kind::").skip(1))
            .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next())
            .collect();
        for kind in Kind::iter() {
            assert!(made.contains(&format!("{kind:?}").as_str()), "{kind:?}");
        }
    }

    #[test]
    fn a_finding_is_known_again_by_its_name() {
        for kind in Kind::iter() {
            assert_eq!(Kind::of(&kind.observed().finding), Some(kind));
        }
    }

    #[test]
    fn a_text_has_no_gap_but_those_that_are_filled() {
        for kind in Kind::iter() {
            for words in [customer::words(kind), operator::words(kind)] {
                let text = format!("{} {}", words.text, words.next.unwrap_or_default());
                for gap in text.split('{').skip(1) {
                    let name = gap.split('}').next().unwrap();
                    assert!(values::NAMES.contains(&name), "{kind:?}: {name}");
                }
            }
        }
    }
}

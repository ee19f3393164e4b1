//! A check, as the customer is told of it.

use keyferry_onboarding::finding::{Audience, evidence};
use keyferry_registry::onboarding::{CheckName, CheckStatus, Onboarding};
use time::Duration;

use super::{moment::Moment, words};
use crate::onboarding::Pages;

/// A check.
pub(in crate::onboarding) struct CheckView {
    pub(in crate::onboarding) id: &'static str,
    pub(in crate::onboarding) title: &'static str,
    pub(in crate::onboarding) status: &'static str,
    pub(in crate::onboarding) status_words: &'static str,
    pub(in crate::onboarding) text: String,
    pub(in crate::onboarding) next: Option<String>,
    pub(in crate::onboarding) commands: Option<String>,
    /// What the other side calls it, and its id of the request: for a support case.
    pub(in crate::onboarding) code: Option<String>,
    pub(in crate::onboarding) request_id: Option<String>,
    pub(in crate::onboarding) checked_at: Option<Moment>,
    /// Since when it has stood so, if that is not just as long ago.
    pub(in crate::onboarding) since: Option<Moment>,
}

impl CheckView {
    pub(super) fn new(pages: &Pages, onboarding: &Onboarding, name: CheckName) -> Self {
        let told = pages.onboardings.told(onboarding, name, Audience::Customer);
        let made = onboarding.checks.get(&name);
        let evidence = evidence(onboarding, name, Audience::Customer);
        Self {
            id: name.slug(),
            title: told.title,
            status: told.status.slug(),
            status_words: words(told.status, told.next.is_some()),
            text: told.text,
            next: told.next,
            commands: told.commands,
            code: evidence.and_then(|evidence| evidence.code.clone()),
            request_id: evidence.and_then(|evidence| evidence.request_id.clone()),
            checked_at: made.map(|made| Moment::of(made.checked_at)),
            since: made
                .filter(|made| made.checked_at - made.since >= Duration::MINUTE)
                .map(|made| Moment::of(made.since)),
        }
    }

    /// Whether it is the customer's move.
    pub(super) fn asks(&self) -> bool {
        let is_over = [CheckStatus::Passed, CheckStatus::NotApplicable].map(CheckStatus::slug);
        self.next.is_some() && !is_over.contains(&self.status)
    }
}

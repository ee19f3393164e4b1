//! An onboarding as a service would show it, for tests.

use keyferry_client::onboarding::{Answers, Check, Link, Onboarding, Step};

use crate::policy::DEFAULT_POLICY;

/// One at that stage, with a check of each of these statuses, each a step of its own.
pub(super) fn onboarding(stage: &str, statuses: &[&str]) -> Onboarding {
    let names = ["directory", "consent", "vault", "key"];
    let checks = names.iter().zip(statuses).map(|(name, status)| Check {
        check: (*name).to_owned(),
        status: (*status).to_owned(),
        finding: format!("{name}-{status}"),
        text: format!("{name} is {status}."),
        next: (*status == "failed").then(|| format!("see to {name}")),
        commands: None,
        values: [].into(),
        evidence: None,
        checked_at: (*status != "pending").then(|| "2026-11-25T19:01:00Z".to_owned()),
        since: None,
        attempts: 1,
    });
    let steps = names.iter().zip(statuses).map(|(name, status)| Step {
        step: (*name).to_owned(),
        status: (*status).to_owned(),
    });
    Onboarding {
        id: "0199".into(),
        slug: "globex".into(),
        display_name: "Globex".into(),
        cloud: "public".into(),
        stage: stage.into(),
        stage_since: None,
        policy: DEFAULT_POLICY,
        endpoint_policy: "off".into(),
        allows_public_path: false,
        answers: Answers::default(),
        private_endpoint: None,
        steps: steps.collect(),
        checks: checks.collect(),
        link: Link {
            serial: 1,
            expires_at: "2026-12-09T19:00:00Z".into(),
            is_revoked: false,
        },
        next_check_at: None,
        revision: 1,
        created_at: "2026-11-25T19:00:00Z".into(),
        updated_at: "2026-11-25T19:00:00Z".into(),
    }
}

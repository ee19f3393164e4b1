//! What the page shows, as its templates take it.

mod check;
mod field;
mod moment;

use askama::Template;
use keyferry_crypto::{id::Cloud, tenant::VersionPolicy};
use keyferry_onboarding::{
    finding::Step,
    instructions::{self, Facts, Role, consent_links},
    intake::Field,
};
use keyferry_registry::onboarding::{CheckStatus, EndpointPolicy, EndpointState, Onboarding, Stage};
use url::Url;

pub(super) use self::field::Entered;
use self::{
    check::CheckView,
    field::FieldView,
    moment::{Moment, span},
};
use super::{Form, Pages, assets::Assets, holder::Holder};

/// What all pages have in common.
pub(super) struct Frame<'a> {
    /// What customers know the platform by.
    pub(super) platform: &'a str,
    /// Where customers find help.
    pub(super) support: Option<&'a str>,
    /// The files that pages load.
    pub(super) assets: &'a Assets,
}

/// The page.
#[derive(Template)]
#[template(path = "onboarding/page.html")]
pub(super) struct PageView<'a> {
    frame: Frame<'a>,
    /// The page's own address, without a slash at its end.
    base: String,
    customer: &'a str,
    revision: i64,
    stage: StageView,
    steps: Vec<StepView>,
    errors: Vec<&'a FieldError>,
    directory: FieldView,
    vault: FieldView,
    key: FieldView,
    resource: FieldView,
    /// Our application's client id.
    client_id: String,
    /// The two roles of the guide, and the tighter choice.
    roles: [Role; 2],
    tighter: Role,
    endpoint: EndpointView,
    scripts: Vec<ScriptView>,
    /// Within how long the customer's data goes dark once its key is taken away.
    dark_within: String,
    /// Until when the link is good.
    link_until: Moment,
    sign_in: String,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StageView {
    Open,
    Active,
    Ending,
}

/// One of the guide's steps.
struct StepView {
    number: usize,
    id: &'static str,
    title: &'static str,
    status: &'static str,
    status_words: &'static str,
    is_current: bool,
    checks: Vec<CheckView>,
}

/// The private endpoint.
struct EndpointView {
    is_wanted: bool,
    is_required: bool,
    /// Whether the vault's resource id may be told. The way of a tenant in use hangs on the one that was.
    asks_resource: bool,
    /// Its resource id, once it has been asked for.
    resource_id: Option<String>,
    state: Option<EndpointState>,
    /// What the customer's side wrote beside its decision against it.
    description: Option<String>,
    /// Commands that approve it.
    approve: Option<String>,
}

/// Instructions that can be copied or downloaded.
struct ScriptView {
    form: Form,
    title: &'static str,
    hint: &'static str,
    text: String,
}

pub(super) use self::field::FieldError;

impl<'a> PageView<'a> {
    /// The page of whoever holds a link, with what was entered in vain.
    pub(super) fn new(pages: &'a Pages, holder: &'a Holder, entered: &'a Entered) -> Self {
        let onboarding = &holder.onboarding;
        let onboardings = &pages.onboardings;
        let facts = onboardings.facts(onboarding);
        let answers = &onboarding.answers;
        let key = match (&answers.version, answers.key_ref()) {
            (VersionPolicy::Pinned(version), Some(key)) => Some(format!("{key}/{version}")),
            _ => answers.key.as_ref().map(ToString::to_string),
        };
        let field = |field, value: Option<String>| FieldView::new(field, value, entered);
        Self {
            frame: pages.frame(),
            base: format!("/onboarding/{}", holder.token.expose()),
            customer: onboarding.display_name.as_str(),
            revision: onboarding.revision.0,
            stage: StageView::of(onboarding.stage),
            steps: StepView::all(pages, onboarding),
            errors: entered.errors(),
            directory: field(Field::Directory, answers.directory.as_ref().map(ToString::to_string)),
            vault: field(
                Field::Vault,
                answers.vault.as_ref().map(|vault| format!("https://{vault}/")),
            ),
            key: field(Field::Key, key),
            resource: field(Field::Resource, answers.resource.as_ref().map(ToString::to_string)),
            client_id: facts.application.client_id.to_string(),
            roles: [Role::CryptoUser, Role::Reader],
            tighter: Role::CryptoServiceEncryptionUser,
            endpoint: EndpointView::new(pages, onboarding, &facts),
            scripts: ScriptView::all(pages, onboarding),
            dark_within: span(onboarding.policy.cache_ttl),
            link_until: Moment::of(onboarding.link.expires_at),
            sign_in: sign_in(onboarding.cloud, onboardings.config()),
        }
    }

    /// The origin of the sign-in page of the customer's cloud.
    pub(super) fn sign_in(&self) -> &str {
        &self.sign_in
    }

    /// How many steps are done.
    fn done(&self) -> usize {
        self.steps.iter().filter(|step| step.status == DONE).count()
    }

    fn is_active(&self) -> bool {
        self.stage == StageView::Active
    }

    /// Whether one version of the key is used, whatever the customer rotates to.
    fn is_pinned(&self) -> bool {
        self.key.value.contains('/')
    }

    fn is_ending(&self) -> bool {
        self.stage == StageView::Ending
    }

    /// What stands first in the window's title.
    fn progress(&self) -> String {
        match self.stage {
            StageView::Active => "Active".to_owned(),
            StageView::Ending => "Ending".to_owned(),
            StageView::Open => format!("{} of {} done", self.done(), self.steps.len()),
        }
    }
}

impl StageView {
    fn of(stage: Stage) -> Self {
        match stage {
            Stage::Open => Self::Open,
            Stage::Active { .. } => Self::Active,
            Stage::Closing { .. } | Stage::Closed { .. } => Self::Ending,
        }
    }
}

impl StepView {
    fn all(pages: &Pages, onboarding: &Onboarding) -> Vec<Self> {
        let statuses = Step::ALL.map(|step| step.status(onboarding));
        let current = current(&statuses);
        let steps = Step::ALL.into_iter().zip(statuses).enumerate();
        steps
            .map(|(place, (step, status))| {
                let checks = step.checks().iter();
                let checks: Vec<_> = checks.map(|check| CheckView::new(pages, onboarding, *check)).collect();
                Self {
                    number: place + 1,
                    id: step.slug(),
                    title: title(step),
                    status: status.slug(),
                    status_words: words(status, checks.iter().any(CheckView::asks)),
                    is_current: current == Some(place),
                    checks,
                }
            })
            .collect()
    }
}

impl EndpointView {
    fn new(pages: &Pages, onboarding: &Onboarding, facts: &Facts) -> Self {
        let state = onboarding.endpoint.as_ref().map(|endpoint| endpoint.state);
        let ours = facts.endpoint.as_ref().and_then(|endpoint| endpoint.ours.as_ref());
        let approve = (state == Some(EndpointState::Pending)).then(|| {
            let choices = pages.onboardings.choices(onboarding);
            instructions::az_steps(facts, choices, &[instructions::Step::ApproveEndpoint])
        });
        Self {
            is_wanted: onboarding.endpoint_policy != EndpointPolicy::Off,
            is_required: onboarding.endpoint_policy == EndpointPolicy::Required,
            asks_resource: onboarding.stage == Stage::Open || onboarding.answers.resource.is_none(),
            resource_id: ours.map(ToString::to_string),
            state,
            description: onboarding
                .endpoint
                .as_ref()
                .filter(|endpoint| is_lost(endpoint.state))
                .and_then(|endpoint| endpoint.description.clone()),
            approve,
        }
    }

    fn is_pending(&self) -> bool {
        self.state == Some(EndpointState::Pending)
    }

    /// Whether another is to be made in its place.
    fn is_lost(&self) -> bool {
        self.state.is_some_and(is_lost)
    }

    fn state_words(&self) -> &'static str {
        match self.state {
            None => "not requested yet",
            Some(EndpointState::Requested) => "being requested",
            Some(EndpointState::Pending) => "waiting for your approval",
            Some(EndpointState::Approved) => "approved",
            Some(EndpointState::Rejected) => "rejected",
            Some(EndpointState::Disconnected) => "removed",
            Some(EndpointState::Failed) => "not made: Azure could not",
            Some(EndpointState::Leaving) => "being removed",
        }
    }
}

impl ScriptView {
    fn all(pages: &Pages, onboarding: &Onboarding) -> Vec<Self> {
        [
            (
                Form::Az,
                "Azure CLI",
                "A script for Azure Cloud Shell, Linux or macOS. It does all steps, and can be run again.",
            ),
            (
                Form::Bicep,
                "Bicep",
                "A template for your vault's resource group. It cannot authorize our application: do that in step 1.",
            ),
            (
                Form::Terraform,
                "Terraform",
                "A configuration for azuread, azurerm and azapi. It does all steps.",
            ),
        ]
        .into_iter()
        .map(|(form, title, hint)| Self {
            form,
            title,
            hint,
            text: form.write(&pages.onboardings, onboarding),
        })
        .collect()
    }
}

fn title(step: Step) -> &'static str {
    match step {
        Step::Authorize => "Authorize our application",
        Step::VaultAndKey => "Set up your vault and key",
        Step::Access => "Grant access to the key",
        Step::Complete => "Complete the connection",
    }
}

/// The step that is next: the first that was begun and is not done; else the first that was not begun. One that only waits
/// for a later one, as the key does for access, is not what anybody can go on with.
fn current(statuses: &[CheckStatus]) -> Option<usize> {
    let is_begun = |status: &CheckStatus| matches!(status, CheckStatus::Failed | CheckStatus::Waiting);
    let begun = statuses.iter().position(is_begun);
    begun.or_else(|| statuses.iter().position(|status| *status == CheckStatus::Pending))
}

/// A status in words; what is not done yet is either asked of the customer or comes by itself.
fn words(status: CheckStatus, is_asked: bool) -> &'static str {
    match status {
        CheckStatus::Pending if is_asked => "To do",
        CheckStatus::Pending => "Later",
        CheckStatus::Passed => "Done",
        CheckStatus::Failed => "Needs attention",
        CheckStatus::Waiting => "Waiting",
        CheckStatus::NotApplicable => "Not needed",
    }
}

/// Whether an endpoint does not come back.
fn is_lost(state: EndpointState) -> bool {
    matches!(
        state,
        EndpointState::Rejected | EndpointState::Disconnected | EndpointState::Failed
    )
}

/// The origin of a cloud's sign-in page, or of what stands in its place.
fn sign_in(cloud: Cloud, config: &keyferry_onboarding::OnboardingConfig) -> String {
    let page = config.sign_in_url.clone().or_else(|| {
        let links = consent_links(cloud, uuid::Uuid::nil(), None, &config.public_url, "");
        Url::parse(&links.v1).ok()
    });
    page.map(|page| page.origin().ascii_serialization()).unwrap_or_default()
}

/// The status of a step that is done.
const DONE: &str = "passed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_that_is_next_is_one_that_somebody_can_go_on_with() {
        use CheckStatus::{Failed, Passed, Pending, Waiting};
        for (statuses, expected) in [
            ([Pending, Pending, Pending, Pending], Some(0)),
            ([Passed, Pending, Pending, Pending], Some(1)),
            ([Passed, Pending, Waiting, Pending], Some(2)),
            ([Passed, Failed, Waiting, Pending], Some(1)),
            ([Passed, Passed, Passed, Waiting], Some(3)),
            ([Passed, Passed, Passed, Passed], None),
        ] {
            assert_eq!(current(&statuses), expected, "{statuses:?}");
        }
    }
}

//! Takes answers: all of them, or none.

use keyferry_crypto::{id::TenantId, tenant::VersionPolicy};
use keyferry_registry::onboarding::{Actor, Answers, Event, Onboarding, Stage};
use uuid::Uuid;

use super::{OnboardingError, Onboardings, Typed, Which};
use crate::intake::{self, Field, Refusal, VaultAnswer};

impl Onboardings {
    /// Takes the customer's answers. The checks are due at once.
    pub async fn answer(&self, tenant: TenantId, typed: Typed) -> Result<Onboarding, OnboardingError> {
        self.edit(Which::Of(tenant), None, |onboarding| {
            self.answered(onboarding, Actor::Customer, &typed)
        })
        .await
    }

    /// What happened to the answers, by field; what was typed is not told. Of an active onboarding the tenant's own key counts,
    /// so nothing but the resource is answered there any more; and on the page not even that is changed, for the private way to
    /// the vault hangs on it.
    pub(super) fn answered(
        &self,
        onboarding: &mut Onboarding,
        actor: Actor,
        typed: &Typed,
    ) -> Result<Vec<Event>, OnboardingError> {
        let client_id = self.application(onboarding.cloud);
        let client_id = client_id.ok_or(OnboardingError::CloudNotServed)?;
        let before = onboarding.answers.clone();
        take(onboarding, client_id, typed)?;
        let after = &onboarding.answers;
        let is_key_changed = before.key != after.key || before.version != after.version;
        let parts = [
            ("directory", before.directory != after.directory),
            ("vault", before.vault != after.vault),
            ("key", is_key_changed),
            ("resource", before.resource != after.resource),
        ];
        let fields: Vec<_> = parts.iter().filter(|part| part.1).map(|part| part.0).collect();
        let (told, confirmed) = (after.directory, onboarding.confirmed_directory);
        match actor {
            // An operator's answer is a word for it.
            Actor::Operator if typed.directory.is_some() => onboarding.confirmed_directory = told,
            _ if confirmed != told => onboarding.confirmed_directory = None,
            Actor::Operator | Actor::Customer | Actor::Keyferry => {}
        }
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        match onboarding.stage {
            Stage::Open => {}
            Stage::Active { .. }
                if fields == ["resource"] && (actor == Actor::Operator || before.resource.is_none()) => {}
            Stage::Active { .. } => return Err(OnboardingError::Stage("active")),
            Stage::Closing { .. } => return Err(OnboardingError::Stage("closing")),
            Stage::Closed { .. } => return Err(OnboardingError::Stage("closed")),
        }
        self.make_due(onboarding);
        Ok(vec![self.event(actor, "answered", &[("fields", &fields.join(" "))])])
    }
}

/// Takes what was typed into the answers, or says of each field why not. Nothing is taken if anything is refused.
pub(super) fn take(onboarding: &mut Onboarding, client_id: Uuid, typed: &Typed) -> Result<(), OnboardingError> {
    let cloud = onboarding.cloud;
    let before = &onboarding.answers;
    let mut answers = before.clone();
    let mut refused = Vec::new();
    match given(typed.directory.as_deref()) {
        Given::Nothing => {}
        Given::TakenBack => answers.directory = None,
        Given::Text(text) => match intake::directory(client_id, text) {
            Ok(directory) => answers.directory = Some(directory),
            Err(refusal) => refused.push((Field::Directory, refusal)),
        },
    }
    match given(typed.vault.as_deref()) {
        Given::Nothing => {}
        Given::TakenBack => answers.vault = None,
        Given::Text(text) => match intake::vault(cloud, text) {
            Ok(VaultAnswer::Vault(vault)) => answers.vault = Some(vault),
            Ok(VaultAnswer::Key(answer)) => take_key(&mut answers, answer),
            Err(refusal) => refused.push((Field::Vault, refusal)),
        },
    }
    // A version belongs to one vault's key.
    if answers.vault != before.vault && answers.version == before.version {
        answers.version = VersionPolicy::FollowLatest;
    }
    match given(typed.key.as_deref()) {
        Given::Nothing => {}
        Given::TakenBack => (answers.key, answers.version) = (None, VersionPolicy::FollowLatest),
        Given::Text(text) => match intake::key(cloud, answers.vault.as_ref(), text) {
            Ok(answer) => take_key(&mut answers, answer),
            // Whatever is wrong with the vault was said there.
            Err(Refusal::VaultFirst) if !refused.is_empty() => {}
            Err(refusal) => refused.push((Field::Key, refusal)),
        },
    }
    match given(typed.resource.as_deref()) {
        Given::Nothing => {
            let other = |answers: &Answers| Some(!answers.resource.as_ref()?.is_at(answers.vault.as_ref()?));
            if other(&answers) == Some(true) {
                refused.push((Field::Resource, Refusal::OtherVault));
            }
        }
        Given::TakenBack => answers.resource = None,
        Given::Text(text) => match intake::vault_resource(answers.vault.as_ref(), text) {
            Ok(resource) => answers.resource = Some(resource),
            Err(refusal) => refused.push((Field::Resource, refusal)),
        },
    }
    if !refused.is_empty() {
        return Err(OnboardingError::Answers(refused));
    }
    onboarding.answers = answers;
    Ok(())
}

fn take_key(answers: &mut Answers, answer: intake::KeyAnswer) {
    answers.vault = Some(answer.key.vault);
    answers.key = Some(answer.key.name);
    answers.version = answer
        .version
        .map_or(VersionPolicy::FollowLatest, VersionPolicy::Pinned);
}

/// What stands in a field.
enum Given<'a> {
    Nothing,
    TakenBack,
    Text(&'a str),
}

fn given(field: Option<&str>) -> Given<'_> {
    match field {
        None => Given::Nothing,
        Some(text) if text.trim().is_empty() => Given::TakenBack,
        Some(text) => Given::Text(text),
    }
}

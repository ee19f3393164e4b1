//! Opens an onboarding, and changes what an operator may change.

use std::collections::BTreeMap;

use keyferry_crypto::id::TenantId;
use keyferry_registry::{
    Idempotency,
    onboarding::{Actor, Answers, EndpointPolicy, Event, Link, Onboarding, Opened, Stage},
    tenant::{Revision, Slug, check_policy},
};
use url::Url;

use super::{Change, NewOnboarding, OnboardingError, Onboardings, Which, answering};
use crate::{checks::Subject, schedule};

impl Onboardings {
    /// Opens an onboarding and makes its first link.
    pub async fn open(
        &self,
        new: NewOnboarding,
        idempotency: Option<&Idempotency>,
    ) -> Result<(Opened, Url), OnboardingError> {
        let now = self.now();
        let client_id = self.application(new.cloud).ok_or(OnboardingError::CloudNotServed)?;
        check_policy(&new.policy)?;
        let mut onboarding = Onboarding {
            tenant: TenantId::generate(),
            slug: new.slug,
            display_name: new.display_name,
            cloud: new.cloud,
            policy: new.policy,
            endpoint_policy: new.endpoint_policy,
            allows_public_path: new.allows_public_path,
            answers: Answers::default(),
            confirmed_directory: None,
            canary: None,
            endpoint: None,
            was_private: false,
            checks: BTreeMap::new(),
            link: Link {
                serial: 1,
                expires_at: now + self.config.link_lifetime,
            },
            consent: None,
            stage: Stage::Open,
            schedule: schedule::at_once(now),
            revision: Revision(0),
            created_at: now,
            updated_at: now,
        };
        self.check_endpoints(&onboarding)?;
        answering::take(&mut onboarding, client_id, &new.typed)?;
        onboarding.confirmed_directory = onboarding.answers.directory;
        let opened = self.event(Actor::Operator, "opened", &[("slug", onboarding.slug.as_str())]);
        let opened = self.parts.store.open(&onboarding, &opened, idempotency).await?;
        self.due.notify_one();
        let url = self.link_url(&opened.onboarding);
        Ok((opened, url))
    }

    /// Changes what an operator may change, if nobody changed it since that revision (whatever it is, if absent). The checks are
    /// due at once.
    pub async fn change(
        &self,
        slug: &Slug,
        at: Option<Revision>,
        change: Change,
    ) -> Result<Onboarding, OnboardingError> {
        self.edit(Which::Named(slug), at, |onboarding| self.changed(onboarding, &change))
            .await
    }

    fn changed(&self, onboarding: &mut Onboarding, change: &Change) -> Result<Vec<Event>, OnboardingError> {
        let mut events = self.answered(onboarding, Actor::Operator, &change.typed)?;
        let before = onboarding.clone();
        if let Some(display_name) = &change.display_name {
            onboarding.display_name = display_name.clone();
        }
        if let Some(policy) = change.policy {
            check_policy(&policy)?;
            onboarding.policy = policy;
        }
        if let Some(policy) = change.endpoint_policy {
            onboarding.endpoint_policy = policy;
        }
        if let Some(allows) = change.allows_public_path {
            onboarding.allows_public_path = allows;
        }
        if change.confirms_directory {
            onboarding.confirmed_directory = onboarding.answers.directory;
        }
        if before.endpoint_policy != onboarding.endpoint_policy {
            self.check_endpoints(onboarding)?;
        }
        let parts = [
            ("display-name", before.display_name != onboarding.display_name),
            ("policy", before.policy != onboarding.policy),
            (
                "directory-confirmed",
                before.confirmed_directory != onboarding.confirmed_directory,
            ),
            ("endpoint-policy", before.endpoint_policy != onboarding.endpoint_policy),
            (
                "public-path",
                before.allows_public_path != onboarding.allows_public_path,
            ),
        ];
        let named: Vec<_> = parts.iter().filter(|part| part.1).map(|part| part.0).collect();
        if !named.is_empty() {
            events.push(self.event(Actor::Operator, "changed", &[("what", &named.join(" "))]));
            self.make_due(onboarding);
        }
        Ok(events)
    }

    /// Whether an endpoint that must be used can be made.
    fn check_endpoints(&self, onboarding: &Onboarding) -> Result<(), OnboardingError> {
        let subject = Subject::of(onboarding, None);
        let is_offered = crate::endpoint::offered(&self.parts, &subject).is_some();
        match onboarding.endpoint_policy {
            EndpointPolicy::Required if !is_offered => Err(OnboardingError::NoEndpoints),
            EndpointPolicy::Off | EndpointPolicy::Optional | EndpointPolicy::Required => Ok(()),
        }
    }
}

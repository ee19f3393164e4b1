//! The use case: onboardings opened, answered, checked, and ended in a tenant.

mod answering;
mod checking;
mod closing;
mod consenting;
mod doubting;
mod instructing;
mod linking;
mod opening;
mod running;
mod turns;

use std::sync::Arc;

use keyferry_azure::{AzureKeyVault, PrivateEndpoints};
use keyferry_crypto::{
    id::{Cloud, TenantId},
    tenant::SealingPolicy,
};
use keyferry_registry::{
    Clock, Registry, RegistryError, Store,
    onboarding::{Actor, EndpointPolicy, Event, Onboarding, Recorded},
    tenant::{DisplayName, Revision, Slug},
};
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use self::turns::Turns;

use crate::{
    config::{ConfigError, OnboardingConfig},
    finding::{self, Audience, Told},
    intake::{Field, Refusal},
    schedule,
    signature::SigningKey,
};

/// What the use case works with.
pub struct Parts {
    /// Keeps onboardings, and the tenants that they end in.
    pub store: Arc<dyn Store>,
    /// Knows the tenants.
    pub registry: Arc<Registry>,
    /// Asks customers' directories and vaults.
    pub azure: Arc<AzureKeyVault>,
    /// Our private endpoints, if any are configured.
    pub endpoints: Option<PrivateEndpoints>,
    /// Our application's client id in each cloud where it is registered.
    pub applications: Vec<(Cloud, Uuid)>,
    /// Tells the time.
    pub clock: Clock,
}

/// Onboardings. Cheap to share.
pub struct Onboardings {
    parts: Parts,
    config: OnboardingConfig,
    key: SigningKey,
    /// Who makes which onboarding's checks just now, in this process.
    turns: Turns,
    /// Wakes the runner: something is due.
    due: Notify,
}

/// What opens an onboarding.
#[derive(Clone, Debug)]
pub struct NewOnboarding {
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: DisplayName,
    /// The cloud its vault is in.
    pub cloud: Cloud,
    /// How long the tenant's keys may be kept and used.
    pub policy: SealingPolicy,
    /// Whether there is a private endpoint.
    pub endpoint_policy: EndpointPolicy,
    /// Whether the public network may be used while the endpoint cannot.
    pub allows_public_path: bool,
    /// What is known of the answers already.
    pub typed: Typed,
}

/// Answers as somebody typed them. What is absent stays as it was; what is empty is taken back.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// The directory's id.
    pub directory: Option<String>,
    /// The vault, or a key's identifier.
    pub vault: Option<String>,
    /// The key: its identifier, or its name.
    pub key: Option<String>,
    /// The vault's resource id.
    pub resource: Option<String>,
}

/// What an operator changes. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its name for people.
    pub display_name: Option<DisplayName>,
    /// How long the tenant's keys may be kept and used. Of no effect once the tenant exists: change the tenant.
    pub policy: Option<SealingPolicy>,
    /// Whether there is a private endpoint.
    pub endpoint_policy: Option<EndpointPolicy>,
    /// Whether the public network may be used while the endpoint cannot.
    pub allows_public_path: Option<bool>,
    /// Whether the directory that is answered is this customer's, though it is another tenant's too.
    pub confirms_directory: bool,
    /// Answers, in the customer's place.
    pub typed: Typed,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum OnboardingError {
    /// There is no such onboarding.
    #[error("there is no such onboarding")]
    Unknown,
    /// Answers were refused; those that were not are not kept either.
    #[error("{} answers were refused", .0.len())]
    Answers(Vec<(Field, Refusal)>),
    /// It is not at the stage for that.
    #[error("the onboarding is {0}")]
    Stage(&'static str),
    /// The cloud has no registration of our application.
    #[error("our application is not registered in that cloud")]
    CloudNotServed,
    /// There are no private endpoints to be had: none are configured, or not in that cloud.
    #[error("private endpoints are not configured for that cloud")]
    NoEndpoints,
    /// The policy is not one that a tenant can have.
    #[error(transparent)]
    Policy(#[from] keyferry_registry::ChangeError),
    /// The registry failed, or somebody else was quicker.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Onboardings {
    /// Onboardings of these parts. Reads the signing key.
    pub fn new(parts: Parts, config: OnboardingConfig) -> Result<Arc<Self>, ConfigError> {
        config.check()?;
        Ok(Arc::new(Self {
            key: SigningKey::read(&config.signing_key_file)?,
            parts,
            config,
            turns: Turns::default(),
            due: Notify::new(),
        }))
    }

    /// How it is configured.
    #[must_use]
    pub fn config(&self) -> &OnboardingConfig {
        &self.config
    }

    /// The onboarding of that slug that is not closed.
    pub async fn find(&self, slug: &Slug) -> Result<Option<Onboarding>, OnboardingError> {
        Ok(self.parts.store.find_onboarding(slug).await?)
    }

    /// Up to `limit` onboardings that are not closed, from the slug after `after`; of these slugs only, if some are given.
    pub async fn list(
        &self,
        after: Option<&Slug>,
        among: Option<&[Slug]>,
        limit: u32,
    ) -> Result<Vec<Onboarding>, OnboardingError> {
        Ok(self.parts.store.list_onboardings(after, among, limit).await?)
    }

    /// What happened, newest first.
    pub async fn history(
        &self,
        onboarding: &Onboarding,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Recorded>, OnboardingError> {
        Ok(self.parts.store.history(onboarding.tenant, before, limit).await?)
    }

    /// Tells whose onboarding changed, in this process and, within a moment, in others.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<TenantId> {
        self.parts.store.onboarding_changes()
    }

    /// Tells of a check to one of the two who want to know, with the commands that do what is to be done.
    #[must_use]
    pub fn told(
        &self,
        onboarding: &Onboarding,
        check: keyferry_registry::onboarding::CheckName,
        audience: Audience,
    ) -> Told {
        let (facts, choices) = (self.facts(onboarding), self.choices(onboarding));
        Told {
            commands: finding::commands(onboarding, check, &facts, choices),
            ..finding::told(onboarding, check, audience)
        }
    }

    fn now(&self) -> time::OffsetDateTime {
        (self.parts.clock)()
    }

    /// Our application in that cloud.
    fn application(&self, cloud: Cloud) -> Option<Uuid> {
        let mut applications = self.parts.applications.iter();
        applications.find(|(of, _)| *of == cloud).map(|(_, id)| *id)
    }

    /// Changes an onboarding and keeps it with what happened. If somebody else was quicker it is read and changed anew, unless
    /// the change was meant for one revision only.
    async fn edit<E: From<RegistryError> + From<OnboardingError>>(
        &self,
        which: Which<'_>,
        at: Option<Revision>,
        mut change: impl FnMut(&mut Onboarding) -> Result<Vec<Event>, E>,
    ) -> Result<Onboarding, E> {
        for _ in 0..ATTEMPTS {
            let found = match which {
                Which::Named(slug) => self.parts.store.find_onboarding(slug).await?,
                Which::Of(tenant) => self.parts.store.onboarding_of(tenant).await?,
            };
            let mut onboarding = found.ok_or(OnboardingError::Unknown)?;
            if at.is_some_and(|at| at != onboarding.revision) {
                return Err(RegistryError::Conflict.into());
            }
            let events = change(&mut onboarding)?;
            if events.is_empty() {
                return Ok(onboarding);
            }
            onboarding.updated_at = self.now();
            match self.parts.store.save_onboarding(&onboarding, &events).await {
                Err(RegistryError::Conflict) if at.is_none() => {}
                saved => {
                    let saved = saved?;
                    self.due.notify_one();
                    return Ok(saved);
                }
            }
        }
        Err(RegistryError::Conflict.into())
    }

    /// Has the checks made at once.
    fn make_due(&self, onboarding: &mut Onboarding) {
        onboarding.schedule = schedule::at_once(self.now());
    }

    fn event(&self, actor: Actor, kind: &'static str, details: &[(&str, &str)]) -> Event {
        Event {
            at: self.now(),
            actor,
            kind,
            details: details
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }
}

/// Which onboarding is meant.
#[derive(Clone, Copy)]
enum Which<'a> {
    /// The one of that slug that is not closed.
    Named(&'a Slug),
    /// The one of that tenant, whatever its stage.
    Of(TenantId),
}

/// How often something is begun anew because somebody else was quicker.
const ATTEMPTS: usize = 8;

impl std::fmt::Debug for Onboardings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Onboardings")
    }
}

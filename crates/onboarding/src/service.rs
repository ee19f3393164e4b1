//! The use case: onboardings opened, answered, checked, and ended in a tenant.

use std::sync::Arc;

use keyferry_azure::{AzureKeyVault, PrivateEndpoints};
use keyferry_crypto::{
    id::{Cloud, TenantId},
    tenant::SealingPolicy,
};
use keyferry_registry::{
    Clock, Idempotency, Registry, RegistryError,
    onboarding::{EndpointPolicy, Onboarding, OnboardingStore, Opened, Recorded},
    tenant::{DisplayName, Revision, Slug},
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    config::OnboardingConfig,
    consent::{ConsentError, ConsentReturn},
    intake::{Field, Refusal},
    link::{LinkError, LinkToken},
};

/// What the use case works with.
pub struct Parts {
    /// Keeps onboardings.
    pub store: Arc<dyn OnboardingStore>,
    /// Knows the tenants.
    pub registry: Arc<Registry>,
    /// Asks customers' directories and vaults.
    pub azure: Arc<AzureKeyVault>,
    /// Our private endpoints, if any are configured.
    pub endpoints: Option<PrivateEndpoints>,
    /// Our application's client id in each cloud where it is registered.
    pub applications: Vec<(Cloud, uuid::Uuid)>,
    /// Tells the time.
    pub clock: Clock,
}

/// Onboardings. Cheap to share.
pub struct Onboardings {
    parts: Parts,
    config: OnboardingConfig,
    changed: broadcast::Sender<TenantId>,
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
    pub fn new(parts: Parts, config: OnboardingConfig) -> Result<Arc<Self>, crate::config::ConfigError> {
        Ok(Arc::new(Self {
            parts,
            config,
            changed: broadcast::channel(1024).0,
        }))
    }

    /// How it is configured.
    #[must_use]
    pub fn config(&self) -> &OnboardingConfig {
        &self.config
    }

    /// Opens an onboarding and makes its first link.
    pub async fn open(
        &self,
        new: NewOnboarding,
        idempotency: Option<&Idempotency>,
    ) -> Result<(Opened, Url), OnboardingError> {
        let _ = (new, idempotency, &self.parts);
        todo!()
    }

    /// The onboarding of that slug that is not closed.
    pub async fn find(&self, slug: &Slug) -> Result<Option<Onboarding>, OnboardingError> {
        let _ = slug;
        todo!()
    }

    /// Up to `limit` onboardings that are not closed, from the slug after `after`; of these slugs only, if some are given.
    pub async fn list(
        &self,
        after: Option<&Slug>,
        among: Option<&[Slug]>,
        limit: u32,
    ) -> Result<Vec<Onboarding>, OnboardingError> {
        let _ = (after, among, limit);
        todo!()
    }

    /// What happened, newest first.
    pub async fn history(
        &self,
        onboarding: &Onboarding,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Recorded>, OnboardingError> {
        let _ = (onboarding, before, limit);
        todo!()
    }

    /// Changes what an operator may change, if nobody changed it since that revision (whatever it is, if absent). The checks are
    /// due at once.
    pub async fn change(
        &self,
        slug: &Slug,
        at: Option<Revision>,
        change: Change,
    ) -> Result<Onboarding, OnboardingError> {
        let _ = (slug, at, change);
        todo!()
    }

    /// Takes the customer's answers. The checks are due at once.
    pub async fn answer(&self, tenant: TenantId, typed: Typed) -> Result<Onboarding, OnboardingError> {
        let _ = (tenant, typed);
        todo!()
    }

    /// Makes all checks now and keeps what they found. Whoever asks while they are made for this onboarding in this process
    /// gets the same round's outcome.
    pub async fn verify(self: &Arc<Self>, tenant: TenantId) -> Result<Onboarding, OnboardingError> {
        let _ = tenant;
        todo!()
    }

    /// Lets a rejected, disconnected or failed private endpoint be made anew.
    pub async fn retry_endpoint(&self, tenant: TenantId) -> Result<Onboarding, OnboardingError> {
        let _ = tenant;
        todo!()
    }

    /// Gives an onboarding up, or, once its tenant is gone, ends it: what we made for it in Azure is removed.
    pub async fn close(&self, slug: &Slug, at: Option<Revision>) -> Result<Onboarding, OnboardingError> {
        let _ = (slug, at);
        todo!()
    }

    /// Makes a new link; those before it are void.
    pub async fn new_link(&self, slug: &Slug) -> Result<(Onboarding, Url), OnboardingError> {
        let _ = slug;
        todo!()
    }

    /// Makes every link void.
    pub async fn revoke_link(&self, slug: &Slug) -> Result<Onboarding, OnboardingError> {
        let _ = slug;
        todo!()
    }

    /// The onboarding whose page a link opens.
    pub async fn behind(&self, token: &LinkToken) -> Result<Onboarding, LinkError> {
        let _ = token;
        todo!()
    }

    /// Begins a consent: where to send the administrator's browser.
    pub async fn begin_consent(&self, tenant: TenantId) -> Result<Url, OnboardingError> {
        let _ = tenant;
        todo!()
    }

    /// Takes what Entra brought back. The consent itself is proven by a token, in the checks, which are due at once. Answers the
    /// onboarding and the link back to its page.
    pub async fn end_consent(&self, came_back: ConsentReturn) -> Result<(Onboarding, Url), ConsentError> {
        let _ = came_back;
        todo!()
    }

    /// What the instructions are written from.
    #[must_use]
    pub fn facts(&self, onboarding: &Onboarding) -> crate::instructions::Facts {
        let _ = onboarding;
        todo!()
    }

    /// Which instructions suit what was found: roles or policies, which roles, a vault that exists or one to be made.
    #[must_use]
    pub fn choices(&self, onboarding: &Onboarding) -> crate::instructions::Choices {
        let _ = onboarding;
        todo!()
    }

    /// Tells whose onboarding changed, in this process and, within a moment, in others.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<TenantId> {
        self.changed.subscribe()
    }

    /// Makes the checks that are due, until told to stop: those of onboardings under way with growing pauses, those of active
    /// ones rarely; and ends those whose tenants are purged.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let _ = stop;
        todo!()
    }
}

impl std::fmt::Debug for Onboardings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Onboardings")
    }
}

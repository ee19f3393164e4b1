//! What a database must do for onboardings.

use async_trait::async_trait;
use keyferry_crypto::id::{DirectoryId, TenantId};
use time::OffsetDateTime;

use super::{Event, Onboarding, Recorded};
use crate::{
    error::RegistryError,
    store::Idempotency,
    tenant::{Slug, Tenant},
};

/// Keeps onboardings. Each method is one transaction: it happened whole or not at all. The same stores keep tenants
/// ([`TenantStore`](crate::TenantStore)), and no slug is both a tenant's and an open onboarding's.
#[async_trait]
pub trait OnboardingStore: Send + Sync + 'static {
    /// Keeps a new onboarding, or answers the one that the same request opened before. `SlugTaken` if a tenant or an
    /// onboarding that is not closed has its slug.
    async fn open(
        &self,
        onboarding: &Onboarding,
        event: &Event,
        idempotency: Option<&Idempotency>,
    ) -> Result<Opened, RegistryError>;

    /// The onboarding of that slug that is not closed.
    async fn find_onboarding(&self, slug: &Slug) -> Result<Option<Onboarding>, RegistryError>;

    /// The onboarding of that tenant, whatever its stage.
    async fn onboarding_of(&self, tenant: TenantId) -> Result<Option<Onboarding>, RegistryError>;

    /// Up to `limit` onboardings that are not closed, in the order of their slugs, from the one after `after`; of these slugs
    /// only, if some are given.
    async fn list_onboardings(
        &self,
        after: Option<&Slug>,
        among: Option<&[Slug]>,
        limit: u32,
    ) -> Result<Vec<Onboarding>, RegistryError>;

    /// Saves an onboarding that was read at its revision, and what happened to it; `Conflict` if it was changed since.
    /// Answers it at its new revision. Whoever saves gives a claim back.
    async fn save_onboarding(&self, onboarding: &Onboarding, events: &[Event]) -> Result<Onboarding, RegistryError>;

    /// Saves an onboarding that is active now, and registers its tenant, in one.
    async fn activate(
        &self,
        onboarding: &Onboarding,
        tenant: &Tenant,
        events: &[Event],
    ) -> Result<(Onboarding, Tenant), RegistryError>;

    /// What happened, newest first: up to `limit`, with numbers below `before`.
    async fn history(&self, tenant: TenantId, before: Option<i64>, limit: u32) -> Result<Vec<Recorded>, RegistryError>;

    /// Whether that directory is also another tenant's, or another onboarding's that is not closed.
    async fn is_directory_shared(&self, directory: DirectoryId, tenant: TenantId) -> Result<bool, RegistryError>;

    /// Claims up to `limit` onboardings that are due at `now` until `until`, so that no other replica works on them; one
    /// whose claimant died is claimed again after that.
    async fn claim_due(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<Onboarding>, RegistryError>;
}

/// The outcome of opening an onboarding.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The onboarding.
    pub onboarding: Onboarding,
    /// Whether it was there before, by the same idempotency key.
    pub replayed: bool,
}

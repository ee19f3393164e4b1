//! Who is not a tenant yet: told apart from nobody, where the data plane is asked for one.

use std::{sync::Arc, time::Duration};

use keyferry_onboarding::Onboardings;
use keyferry_registry::{onboarding::Stage, tenant::Slug};
use moka::sync::Cache;

use crate::problem::Problem;

/// Slugs that are no tenants', and whether they are onboardings': remembered for a moment, so that guessing names does not
/// become asking the database.
pub(crate) struct UnderWay(Cache<Slug, bool>);

impl UnderWay {
    pub(super) fn new() -> Self {
        let cache = Cache::builder().max_capacity(MOST).time_to_live(KEPT);
        Self(cache.build())
    }

    /// Whether a slug that is no tenant's is that of an onboarding under way.
    pub(super) async fn has(&self, onboardings: &Arc<Onboardings>, slug: &Slug) -> Result<bool, Problem> {
        if let Some(known) = self.0.get(slug) {
            return Ok(known);
        }
        let found = onboardings.find(slug).await.map_err(|error| match error {
            keyferry_onboarding::OnboardingError::Registry(error) => error.into(),
            _ => Problem::new(crate::problem::Kind::Internal),
        })?;
        let is_open = found.is_some_and(|onboarding| onboarding.stage == Stage::Open);
        self.0.insert(slug.clone(), is_open);
        Ok(is_open)
    }
}

const MOST: u64 = 10_000;
const KEPT: Duration = Duration::from_secs(5);

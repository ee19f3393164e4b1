//! Has an onboarding looked at because something seems to have changed.

use keyferry_crypto::id::TenantId;
use keyferry_registry::{
    RegistryError,
    onboarding::{Onboarding, Stage},
};

use super::{ATTEMPTS, OnboardingError, Onboardings};

impl Onboardings {
    /// Has an active tenant's private endpoint looked at at once: its vault is asked in vain. Whether there is anything to look at;
    /// not where it is due already. It is no event: nothing is known yet.
    pub async fn look_soon(&self, tenant: TenantId) -> Result<bool, OnboardingError> {
        let store = &self.parts.store;
        for _ in 0..ATTEMPTS {
            let Some(mut onboarding) = store.onboarding_of(tenant).await? else {
                return Ok(false);
            };
            if !self.is_to_be_looked_at(&onboarding) {
                return Ok(false);
            }
            onboarding.schedule.due_at = Some(self.now());
            match store.save_onboarding(&onboarding, &[]).await {
                // Somebody else was quicker: perhaps to look.
                Err(RegistryError::Conflict) => {}
                saved => {
                    saved?;
                    self.due.notify_one();
                    return Ok(true);
                }
            }
        }
        Err(RegistryError::Conflict.into())
    }

    fn is_to_be_looked_at(&self, onboarding: &Onboarding) -> bool {
        let is_due = onboarding.schedule.due_at.is_some_and(|due_at| due_at <= self.now());
        matches!(onboarding.stage, Stage::Active { .. }) && onboarding.endpoint.is_some() && !is_due
    }
}

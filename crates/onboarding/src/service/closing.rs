//! Ends onboardings, and lets a private endpoint be made anew.

use keyferry_crypto::id::TenantId;
use keyferry_registry::{
    onboarding::{Actor, EndpointState, Event, Onboarding, Stage},
    tenant::{Revision, Slug},
};

use super::{OnboardingError, Onboardings, Which};
use crate::endpoint::leaving;

impl Onboardings {
    /// Lets a rejected, disconnected or failed private endpoint be made anew, at that one's wish.
    pub async fn retry_endpoint(&self, tenant: TenantId, actor: Actor) -> Result<Onboarding, OnboardingError> {
        self.edit(Which::Of(tenant), None, |onboarding| {
            match onboarding.stage {
                Stage::Open | Stage::Active { .. } => {}
                Stage::Closing { .. } => return Err(OnboardingError::Stage("closing")),
                Stage::Closed { .. } => return Err(OnboardingError::Stage("closed")),
            }
            let endpoint = onboarding.endpoint.as_ref().ok_or(OnboardingError::NoEndpoints)?;
            match endpoint.state {
                EndpointState::Rejected | EndpointState::Disconnected | EndpointState::Failed => {}
                // It is under way, or in use: asking again changes nothing.
                EndpointState::Requested
                | EndpointState::Pending
                | EndpointState::Approved
                | EndpointState::Leaving => return Ok(Vec::new()),
            }
            let name = endpoint.name.clone();
            onboarding.endpoint = Some(leaving(endpoint, self.now()));
            self.make_due(onboarding);
            Ok(vec![self.event(actor, "endpoint-retried", &[("endpoint", &name)])])
        })
        .await
    }

    /// Gives an onboarding up, or, once its tenant is gone, ends it: what we made for it in Azure is removed.
    pub async fn close(&self, slug: &Slug, at: Option<Revision>) -> Result<Onboarding, OnboardingError> {
        let tenant = self.parts.registry.find(slug).await?;
        self.edit(Which::Named(slug), at, |onboarding| {
            let is_in_use = tenant
                .as_ref()
                .is_some_and(|tenant| tenant.keys.tenant == onboarding.tenant);
            match onboarding.stage {
                Stage::Active { .. } if is_in_use => Err(OnboardingError::Stage("active")),
                Stage::Open | Stage::Active { .. } => Ok(self.begin_closing(onboarding, Actor::Operator)),
                Stage::Closing { .. } | Stage::Closed { .. } => Ok(Vec::new()),
            }
        })
        .await
    }

    /// Ends an onboarding's use; what is left of it is removed by schedule.
    pub(super) fn begin_closing(&self, onboarding: &mut Onboarding, actor: Actor) -> Vec<Event> {
        onboarding.stage = Stage::Closing { since: self.now() };
        onboarding.consent = None;
        self.make_due(onboarding);
        vec![self.event(actor, "closing", &[])]
    }
}

//! Makes the checks.
//!
//! A round begins with what is stored and ends with one save of what it found, which fails if anybody changed the onboarding
//! meanwhile; then it begins anew. So an answer that comes during a round is never overwritten, and what was found is about
//! what is stored. Only the decision to make a private endpoint is saved ahead, before Azure is asked for it.

use std::{sync::Arc, time::Duration};

use keyferry_crypto::{id::TenantId, tenant::Route};
use keyferry_registry::{
    OnboardingStore, RegistryError, Tenant,
    onboarding::{Actor, Check, CheckName, CheckStatus, Event, Observed, Onboarding, Stage},
};

use super::{ATTEMPTS, OnboardingError, Onboardings, turns::Turn};
use crate::{
    checks::{Looking, Seen, Subject, private_endpoint},
    endpoint,
    finding::{self, is_needed},
    schedule,
};

impl Onboardings {
    /// Makes all checks now and keeps what they found. Whoever asks while they are made for this onboarding in this process
    /// gets the same round's outcome.
    pub async fn verify(self: &Arc<Self>, tenant: TenantId) -> Result<Onboarding, OnboardingError> {
        self.in_turn(tenant, true).await
    }

    pub(super) async fn in_turn(
        self: &Arc<Self>,
        tenant: TenantId,
        is_demanded: bool,
    ) -> Result<Onboarding, OnboardingError> {
        let asked_at = self.now();
        loop {
            match self.turns.take(tenant) {
                Turn::Ours(held) => {
                    let round = Box::pin(self.round(tenant, is_demanded)).await;
                    drop(held);
                    return round;
                }
                Turn::Theirs(mut turn) => {
                    // Nothing is sent there: this returns when the sender is gone.
                    let _ = turn.changed().await;
                    let onboarding = self.of(tenant).await?;
                    // It may have been about the private endpoint alone, or have come to nothing.
                    let made = onboarding.checks.get(&CheckName::Verification);
                    if !is_demanded || made.is_some_and(|made| made.checked_at >= asked_at) {
                        return Ok(onboarding);
                    }
                }
            }
        }
    }

    async fn of(&self, tenant: TenantId) -> Result<Onboarding, OnboardingError> {
        let found = self.parts.store.onboarding_of(tenant).await?;
        found.ok_or(OnboardingError::Unknown)
    }

    async fn round(&self, tenant: TenantId, is_demanded: bool) -> Result<Onboarding, OnboardingError> {
        for _ in 0..ATTEMPTS {
            let onboarding = self.of(tenant).await?;
            match self.attempt(onboarding, is_demanded).await {
                Err(OnboardingError::Registry(RegistryError::Conflict)) => {}
                // What was found lets an endpoint be asked for, or the next one be.
                Ok(onboarding) if self.has_plans(&onboarding) => {}
                outcome => return outcome,
            }
        }
        Err(RegistryError::Conflict.into())
    }

    async fn attempt(&self, onboarding: Onboarding, is_demanded: bool) -> Result<Onboarding, OnboardingError> {
        match onboarding.stage {
            Stage::Closed { .. } => Ok(onboarding),
            Stage::Closing { .. } => self.removed(onboarding).await,
            Stage::Open => self.checked(onboarding, None, true, is_demanded).await,
            Stage::Active { .. } => {
                let tenant = self.parts.registry.find(&onboarding.slug).await?;
                let tenant = tenant.filter(|tenant| tenant.keys.tenant == onboarding.tenant);
                if tenant.is_some() {
                    let is_full = is_demanded || schedule::is_full_round_due(&onboarding, self.now());
                    return self.checked(onboarding, tenant, is_full, is_demanded).await;
                }
                // It is purged.
                let mut closing = onboarding;
                let events = self.begin_closing(&mut closing, Actor::Keyferry);
                self.keep(&closing, &events).await
            }
        }
    }

    /// Makes the checks, or the private endpoint's alone, and keeps what they found.
    async fn checked(
        &self,
        onboarding: Onboarding,
        mut tenant: Option<Tenant>,
        is_full: bool,
        is_demanded: bool,
    ) -> Result<Onboarding, OnboardingError> {
        let subject = Subject::of(&onboarding, tenant.as_ref());
        let mut onboarding = self.planned(onboarding, &subject).await?;
        let before = onboarding.clone();
        let mut seen = Seen::default();
        self.reroute(&onboarding, &mut tenant).await?;
        if is_full {
            let looking = self.looking(&before, &subject, is_demanded);
            looking.at_directory(&mut seen).await;
        }
        let followed = private_endpoint::follow(&self.looking(&before, &subject, is_demanded)).await;
        seen.checks.insert(CheckName::PrivateEndpoint, followed.observed);
        onboarding.endpoint = followed.endpoint;
        onboarding.was_private |= onboarding
            .endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.usable().is_some());
        self.reroute(&onboarding, &mut tenant).await?;
        if is_full {
            let looking = self.looking(&before, &subject, is_demanded);
            let route = onboarding.route(tenant.as_ref().map(|tenant| tenant.keys.route).unwrap_or_default());
            looking.at_vault(&mut seen, way_to_look(&onboarding, route)).await;
            looking.at_whole(&mut seen, route).await;
            onboarding.canary = seen.canary.take();
        }
        let mut events = self.noted(&mut onboarding, seen);
        events.extend(self.endpoint_event(&before, &onboarding));
        // Whoever asks has perhaps just done something that takes a moment to be seen.
        let is_changed = !events.is_empty() || is_demanded;
        onboarding.schedule = schedule::after(&onboarding, is_changed, self.now());
        if is_ready(&onboarding) {
            return self.activated(onboarding, events).await;
        }
        self.keep(&onboarding, &events).await
    }

    fn looking<'a>(&'a self, onboarding: &'a Onboarding, subject: &'a Subject, is_demanded: bool) -> Looking<'a> {
        Looking {
            parts: &self.parts,
            config: &self.config,
            onboarding,
            subject,
            now: self.now(),
            is_demanded,
        }
    }

    /// Decides whether there shall be a private endpoint, and keeps that before Azure is asked for one.
    async fn planned(&self, onboarding: Onboarding, subject: &Subject) -> Result<Onboarding, OnboardingError> {
        let is_offered = endpoint::offered(&self.parts, subject).is_some();
        let planned = endpoint::planned(&onboarding, subject, is_offered, self.now());
        if planned == onboarding.endpoint {
            return Ok(onboarding);
        }
        let mut onboarding = onboarding;
        let before = std::mem::replace(&mut onboarding.endpoint, planned);
        // A save gives the claim back: nobody else shall begin meanwhile.
        onboarding.schedule.due_at = Some(self.now() + CLAIM);
        let previous = Onboarding {
            endpoint: before,
            ..onboarding.clone()
        };
        let events: Vec<_> = self.endpoint_event(&previous, &onboarding).into_iter().collect();
        self.keep(&onboarding, &events).await
    }

    fn has_plans(&self, onboarding: &Onboarding) -> bool {
        let subject = Subject::of(onboarding, None);
        let is_offered = endpoint::offered(&self.parts, &subject).is_some();
        let planned = endpoint::planned(onboarding, &subject, is_offered, self.now());
        onboarding.stage == Stage::Open && onboarding.endpoint.is_none() && planned.is_some()
    }

    /// Has an active tenant take the way that its endpoint allows. It travels to all replicas with the tenant.
    async fn reroute(&self, onboarding: &Onboarding, tenant: &mut Option<Tenant>) -> Result<(), OnboardingError> {
        let Some(tenant) = tenant else {
            return Ok(());
        };
        let route = onboarding.route(tenant.keys.route);
        if route != tenant.keys.route {
            tenant.change_route(route);
            tenant.updated_at = self.now();
            *tenant = self.parts.registry.save(tenant).await?;
            tracing::info!(tenant = %onboarding.tenant, ?route, "a tenant's vault is reached another way");
        }
        Ok(())
    }

    /// Takes what was seen into the onboarding. What changed, for the history.
    fn noted(&self, onboarding: &mut Onboarding, seen: Seen) -> Vec<Event> {
        let now = self.now();
        let mut events = Vec::new();
        for (name, observed) in seen.checks {
            let before = onboarding.checks.get(&name);
            if is_news(before, &observed) {
                let (status, finding) = (observed.status.slug(), observed.finding.slug.as_str());
                let details = [("check", name.slug()), ("status", status), ("finding", finding)];
                events.push(self.event(Actor::Keyferry, "check-changed", &details));
            }
            let check = Check::after(before, observed, now);
            onboarding.checks.insert(name, check);
        }
        events
    }

    fn endpoint_event(&self, before: &Onboarding, after: &Onboarding) -> Option<Event> {
        let of = |onboarding: &Onboarding| {
            let endpoint = onboarding.endpoint.as_ref()?;
            Some((endpoint.name.clone(), endpoint.state, endpoint.is_proven))
        };
        if of(before) == of(after) {
            return None;
        }
        let gone = ("none".to_owned(), "gone");
        let (name, state) = of(after).map_or(gone, |(name, state, _)| (name, state.slug()));
        let details = [("endpoint", name.as_str()), ("state", state)];
        Some(self.event(Actor::Keyferry, "endpoint-changed", &details))
    }

    /// Makes the tenant, and the onboarding active, in one.
    async fn activated(&self, onboarding: Onboarding, mut events: Vec<Event>) -> Result<Onboarding, OnboardingError> {
        let now = self.now();
        let mut onboarding = onboarding;
        onboarding.stage = Stage::Active { since: now };
        onboarding.updated_at = now;
        onboarding.schedule = schedule::after(&onboarding, true, now);
        let tenant = Tenant::onboarded(&onboarding, now)?;
        events.push(self.event(Actor::Keyferry, "activated", &[]));
        let store: &dyn OnboardingStore = &*self.parts.store;
        let activated = self.parts.registry.activate(store, &onboarding, &tenant, &events);
        let (onboarding, _) = activated.await?;
        tracing::info!(tenant = %onboarding.tenant, slug = %onboarding.slug, "an onboarding ended in a tenant");
        Ok(onboarding)
    }

    /// Removes what was made for an onboarding that is over, and ends it once nothing is left.
    async fn removed(&self, onboarding: Onboarding) -> Result<Onboarding, OnboardingError> {
        let subject = Subject::of(&onboarding, None);
        let mut onboarding = self.planned(onboarding, &subject).await?;
        let before = onboarding.clone();
        if onboarding.endpoint.is_some() {
            let followed = private_endpoint::follow(&self.looking(&before, &subject, false)).await;
            onboarding.endpoint = followed.endpoint;
            let mut seen = Seen::default();
            seen.checks.insert(CheckName::PrivateEndpoint, followed.observed);
            self.noted(&mut onboarding, seen);
        }
        let mut events: Vec<_> = self.endpoint_event(&before, &onboarding).into_iter().collect();
        if onboarding.endpoint.is_none() {
            onboarding.stage = Stage::Closed { at: self.now() };
            events.push(self.event(Actor::Keyferry, "closed", &[]));
        }
        onboarding.schedule = schedule::after(&onboarding, !events.is_empty(), self.now());
        self.keep(&onboarding, &events).await
    }

    async fn keep(&self, onboarding: &Onboarding, events: &[Event]) -> Result<Onboarding, OnboardingError> {
        let onboarding = Onboarding {
            updated_at: self.now(),
            ..onboarding.clone()
        };
        Ok(self.parts.store.save_onboarding(&onboarding, events).await?)
    }
}

/// Which way the checks take. There is nothing to protect before there is a tenant, so that what is wrong with vault and key
/// shows while the private endpoint is still to be approved.
fn way_to_look(onboarding: &Onboarding, route: Route) -> Route {
    match (onboarding.stage, route) {
        (Stage::Open, Route::Closed) => Route::Public,
        _ => route,
    }
}

/// Whether all that is needed was found in order, so that the tenant can be.
fn is_ready(onboarding: &Onboarding) -> bool {
    let passed = |check: CheckName| finding::status(onboarding, check) == CheckStatus::Passed;
    let mut needed = CheckName::ALL
        .into_iter()
        .filter(|check| is_needed(*check, onboarding.endpoint_policy));
    onboarding.stage == Stage::Open && needed.all(passed)
}

/// Whether a look brought something else than the one before it.
fn is_news(before: Option<&Check>, observed: &Observed) -> bool {
    before.is_none_or(|before| {
        before.observed.status != observed.status || before.observed.finding.slug != observed.finding.slug
    })
}

/// How long an onboarding is claimed: longer than a round takes.
pub(super) const CLAIM: Duration = Duration::from_mins(5);

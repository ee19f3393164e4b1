//! What handlers work with: the parts, wired by whoever starts the service (or by a test).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::sealer::Sealer;
use keyferry_health::KeyWatch;
use keyferry_onboarding::Onboardings;
use keyferry_registry::{Clock, Registry, Store};

use crate::{
    body::BodyLimits,
    bound::Bound,
    caller::Callers,
    config::{AdminConfig, HttpConfig, PageConfig},
    edge::Edge,
    events::Events,
    heavy::Processors,
    onboarding::Pages,
    telemetry::Metrics,
};

/// The parts that handlers need.
pub struct Parts {
    /// Seals and opens.
    pub sealer: Arc<Sealer>,
    /// Knows the tenants.
    pub registry: Arc<Registry>,
    /// Keeps how customers' keys are.
    pub store: Arc<dyn Store>,
    /// Watches over customers' keys, and has what changes of a tenant's be forgotten. If absent, whoever wires it so sees to that.
    pub watch: Option<Arc<KeyWatch>>,
    /// Knows how much of vaults' limits is used; nobody does, if absent.
    pub vaults: Option<Arc<AzureKeyVault>>,
    /// How long a replica that says nothing is taken to live.
    pub alive: Duration,
    /// How soon a withdrawal is obeyed everywhere.
    pub bound: Bound,
    /// Takes events for hints, where that is configured.
    pub events: Option<Arc<Events>>,
    /// Knows the callers.
    pub callers: Arc<Callers>,
    /// Onboards customers, where that is configured.
    pub onboardings: Option<Arc<Onboardings>>,
    /// How the customer's page looks.
    pub page: PageConfig,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells the time.
    pub clock: Clock,
}

/// The application that handlers work in. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    parts: Parts,
    body_limits: BodyLimits,
    processors: Processors,
    batch_concurrency: usize,
    deletion_window: Duration,
    edge: Edge,
    pages: Option<Pages>,
    is_draining: AtomicBool,
}

impl App {
    /// An application of these parts.
    #[must_use]
    pub fn new(parts: Parts, http: &HttpConfig, admin: &AdminConfig) -> Self {
        let body_limits = BodyLimits::new(http);
        parts.metrics.observe_budget(body_limits.budget());
        Self(Arc::new(Shared {
            body_limits,
            processors: Processors::all(),
            batch_concurrency: http.batch_concurrency,
            deletion_window: admin.deletion_window,
            edge: Edge::new(http, Arc::clone(&parts.metrics)),
            pages: parts
                .onboardings
                .as_ref()
                .map(|onboardings| Pages::new(onboardings, &parts.page)),
            is_draining: AtomicBool::new(false),
            parts,
        }))
    }

    pub(crate) fn sealer(&self) -> &Arc<Sealer> {
        &self.0.parts.sealer
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.parts.registry
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.parts.store
    }

    /// Who knows how much of vaults' limits is used, if anybody does.
    pub(crate) fn vaults(&self) -> Option<&AzureKeyVault> {
        self.0.parts.vaults.as_deref()
    }

    pub(crate) fn alive(&self) -> Duration {
        self.0.parts.alive
    }

    pub(crate) fn bound(&self) -> &Bound {
        &self.0.parts.bound
    }

    /// What takes events, where that is configured.
    pub(crate) fn events(&self) -> Option<&Arc<Events>> {
        self.0.parts.events.as_ref()
    }

    pub(crate) fn callers(&self) -> &Callers {
        &self.0.parts.callers
    }

    /// Onboardings, where they are configured.
    pub(crate) fn onboardings(&self) -> Option<&Arc<Onboardings>> {
        self.0.parts.onboardings.as_ref()
    }

    /// The customers' pages, where onboarding is configured.
    pub(crate) fn pages(&self) -> Option<&Pages> {
        self.0.pages.as_ref()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.parts.metrics
    }

    pub(crate) fn clock(&self) -> Clock {
        self.0.parts.clock
    }

    pub(crate) fn body_limits(&self) -> &BodyLimits {
        &self.0.body_limits
    }

    pub(crate) fn processors(&self) -> &Processors {
        &self.0.processors
    }

    pub(crate) fn batch_concurrency(&self) -> usize {
        self.0.batch_concurrency
    }

    pub(crate) fn deletion_window(&self) -> Duration {
        self.0.deletion_window
    }

    pub(crate) fn edge(&self) -> &Edge {
        &self.0.edge
    }

    /// From now on `/readyz` says no, and no page is told of changes any more.
    pub(crate) fn drain(&self) {
        if let Some(pages) = self.pages() {
            pages.streams().end();
        }
        self.0.is_draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Relaxed)
    }
}

//! A running service: its listeners, its background tasks, and how it ends.

mod connection;
mod listener;
mod watch;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum_server::Control;
use keyferry_azure::{AzureKeyVault, PrivateEndpoints};
use keyferry_crypto::{sealer::Sealer, vault::KeyVault};
use keyferry_onboarding::Onboardings;
use keyferry_registry::{Registry, RegistryLimits, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{connection::ConnectionLimits, listener::Listener};
use crate::{
    app::{App, Parts},
    bound::Bound,
    caller::Callers,
    clock,
    config::{Config, ConfigError, HttpConfig},
    events::Events,
    router,
    telemetry::{ConnectionStats, KeyCounts, Metrics, TelemetryError},
};

/// A running service. Dropping it ends it without ceremony; [`Service::stop`] lets requests finish.
pub struct Service {
    app: App,
    addr: SocketAddr,
    ops_addr: SocketAddr,
    servers: Control,
    listeners: JoinSet<&'static str>,
    background: JoinSet<&'static str>,
    cancel: CancellationToken,
    drain_delay: Duration,
    drain_timeout: Duration,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not acceptable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration of Azure is not acceptable.
    #[error("azure: {0}")]
    Azure(#[from] keyferry_azure::ConfigError),
    /// The configuration of onboarding is not acceptable.
    #[error("onboarding.{0}")]
    Onboarding(#[from] keyferry_onboarding::config::ConfigError),
    /// The registry could not be opened.
    #[error("registry: {0}")]
    Registry(#[from] keyferry_registry::RegistryError),
    /// Metrics could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// An address could not be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("http.tls: {0}")]
    Tls(String),
}

/// A part of the service ended by itself, which none should.
#[derive(Debug, thiserror::Error)]
#[error("{0} ended unexpectedly")]
pub struct Ended(&'static str);

impl Service {
    /// Reads every file that a configuration names, as a start would; listens on nothing and calls no one.
    pub async fn check(config: &Config) -> Result<(), StartError> {
        let vault = Arc::new(AzureKeyVault::new(&config.azure)?);
        let store = keyferry_registry::connect(&config.registry.url()?, clock::system())?;
        let registry = Registry::new(store.clone(), RegistryLimits::default());
        onboardings(config, store, &registry, &vault)?;
        events(config, &vault)?;
        if let Some(tls) = &config.http.tls {
            listener::load(tls).await.map_err(StartError::Tls)?;
        }
        Ok(())
    }

    /// Starts a service as configured. It listens when this returns; it is ready (`/readyz`) when the tenants and the
    /// identity provider's keys have been read, which needs neither to be there at the start.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let store = keyferry_registry::connect(&config.registry.url()?, clock::system())?;
        let limits = RegistryLimits {
            tenants: config.registry.tenants_in_memory,
            poll: config.registry.poll,
        };
        let vault = Arc::new(AzureKeyVault::new(&config.azure)?);
        let callers = Callers::new(&config.auth, &vault.http()?, clock::system());
        let registry = Registry::new(store.clone(), limits);
        let onboardings = onboardings(&config, Arc::clone(&store), &registry, &vault)?;
        let sealer = Arc::new(Sealer::new(
            Arc::clone(&vault) as Arc<dyn KeyVault>,
            config.sealer_limits(),
        ));
        let watch = watch::over_keys(&config, &store, &registry, &sealer, &vault, onboardings.as_ref());
        let parts = Parts {
            sealer,
            registry,
            store,
            watch: Some(watch),
            bound: Bound::new(
                &config.health,
                config.vaults.confirmation,
                config.azure.timeouts.per_try,
            ),
            events: events(&config, &vault)?,
            alive: config.health.alive(),
            vaults: Some(vault),
            callers: Arc::new(callers),
            onboardings,
            page: config.onboarding_page,
            metrics: Arc::new(Metrics::new(&config.telemetry)?),
            clock: clock::system(),
        };
        Self::serve(parts, &config.http, &config.admin).await
    }

    /// Starts a service of these parts: for tests, and for programs that wire it their own way.
    pub async fn serve(
        parts: Parts,
        http: &HttpConfig,
        admin: &crate::config::AdminConfig,
    ) -> Result<Self, StartError> {
        parts.metrics.observe_sealer(&parts.sealer);
        parts.metrics.observe_callers(&parts.callers);
        parts.metrics.observe_registry(&parts.registry);
        let keys = Arc::new(KeyCounts::new(Arc::clone(&parts.store)));
        parts.metrics.observe_keys(&keys);
        if let Some(watch) = &parts.watch {
            parts.metrics.observe_watch(watch);
        }
        if let Some(vaults) = &parts.vaults {
            parts.metrics.observe_vaults(vaults);
        }
        let cancel = CancellationToken::new();
        let (mut listeners, mut background) = (JoinSet::new(), JoinSet::new());
        start_background(&mut background, &cancel, &parts, keys);
        let app = App::new(parts, http, admin);
        let servers = Control::new();
        let refused = Arc::new(AtomicU64::new(0));
        observe_connections(app.metrics(), &servers, &refused);
        watch_answers(&mut background, &cancel, &app);
        let main = match http.ops_listen {
            Some(_) => router::api(&app),
            None => router::all(&app),
        };
        let listener = Listener::bind(http.listen, http).await?;
        let addr = listener.addr();
        let mut ops_addr = addr;
        if let Some(ops) = http.ops_listen {
            let listener = Listener::bind_plain(ops, http)?;
            ops_addr = listener.addr();
            let limits = ConnectionLimits::new(http, &refused);
            listener.serve(
                router::ops(&app),
                limits,
                &servers,
                &mut listeners,
                &mut background,
                &cancel,
            );
        }
        let limits = ConnectionLimits::new(http, &refused);
        listener.serve(main, limits, &servers, &mut listeners, &mut background, &cancel);
        let (drain_delay, drain_timeout) = (http.drain_delay, http.drain_timeout);
        Ok(Self {
            app,
            addr,
            ops_addr,
            servers,
            listeners,
            background,
            cancel,
            drain_delay,
            drain_timeout,
        })
    }

    /// Where the API is served.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    #[must_use]
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops_addr
    }

    /// Waits until a part of the service ends by itself, which none should.
    pub async fn wait(&mut self) -> Ended {
        let ended = tokio::select! {
            ended = self.listeners.join_next() => ended,
            ended = self.background.join_next() => ended,
        };
        match ended {
            Some(Ok(name)) => Ended(name),
            Some(Err(_)) | None => Ended("a task"),
        }
    }

    /// Drains: `/readyz` says no, then the listeners close, then requests under way finish or their time is up, then
    /// the background work ends.
    pub async fn stop(mut self) {
        self.app.drain();
        tokio::time::sleep(self.drain_delay).await;
        self.servers.graceful_shutdown(Some(self.drain_timeout));
        while self.listeners.join_next().await.is_some() {}
        self.cancel.cancel();
        while self.background.join_next().await.is_some() {}
        let app = self.app.clone();
        // The exporter blocks while it sends its last.
        let _ = tokio::task::spawn_blocking(move || app.metrics().shutdown()).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.servers.shutdown();
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service({})", self.addr)
    }
}

/// Onboardings, if they are configured.
fn onboardings(
    config: &Config,
    store: Arc<dyn Store>,
    registry: &Arc<Registry>,
    vault: &Arc<AzureKeyVault>,
) -> Result<Option<Arc<Onboardings>>, StartError> {
    let Some(onboarding) = config.onboarding.clone() else {
        return Ok(None);
    };
    let azure = &config.azure;
    let others = azure.other_clouds.iter().map(|other| (other.cloud, other.client_id.0));
    let parts = keyferry_onboarding::Parts {
        store,
        registry: Arc::clone(registry),
        azure: Arc::clone(vault),
        endpoints: PrivateEndpoints::new(azure, vault),
        applications: std::iter::once((azure.cloud, azure.client_id.0))
            .chain(others)
            .collect(),
        clock: clock::system(),
    };
    Ok(Some(Onboardings::new(parts, onboarding)?))
}

/// What takes events, if that is configured.
fn events(config: &Config, vault: &AzureKeyVault) -> Result<Option<Arc<Events>>, StartError> {
    let Some(events) = &config.events else {
        return Ok(None);
    };
    let events = Events::new(events, &config.auth, &vault.http()?, clock::system())?;
    Ok(Some(Arc::new(events)))
}

fn observe_connections(metrics: &Metrics, servers: &Control, refused: &Arc<AtomicU64>) {
    let (servers, refused) = (servers.clone(), Arc::clone(refused));
    metrics.observe_connections(move || ConnectionStats {
        open: servers.connection_count() as u64,
        refused: refused.load(Relaxed),
    });
}

fn watch_answers(tasks: &mut JoinSet<&'static str>, cancel: &CancellationToken, app: &App) {
    let (unsent, stop) = (Arc::clone(app.body_limits().budget().unsent()), cancel.clone());
    tasks.spawn(async move {
        stop.run_until_cancelled(unsent.watch()).await;
        "the watch over answers"
    });
}

/// Starts what runs beside the requests.
fn start_background(
    tasks: &mut JoinSet<&'static str>,
    cancel: &CancellationToken,
    parts: &Parts,
    keys: Arc<KeyCounts>,
) {
    let (sealer, stop) = (Arc::clone(&parts.sealer), cancel.clone());
    tasks.spawn(async move {
        stop.run_until_cancelled(sealer.maintain()).await;
        "the sealer's maintenance"
    });
    if let Some(watch) = &parts.watch {
        let (watch, stop) = (Arc::clone(watch), cancel.clone());
        tasks.spawn(async move {
            watch.run(stop).await;
            "the watch over keys"
        });
    }
    let stop = cancel.clone();
    tasks.spawn(async move {
        stop.run_until_cancelled(keys.run()).await;
        "the count of keys"
    });
    if let Some(events) = &parts.events {
        let (events, stop) = (Arc::clone(events), cancel.clone());
        tasks.spawn(async move {
            stop.run_until_cancelled(events.run()).await;
            "the refresh of Event Grid's signing keys"
        });
    }
    let (registry, stop) = (Arc::clone(&parts.registry), cancel.clone());
    tasks.spawn(async move {
        registry.run(stop).await;
        "the registry's view"
    });
    if let Some(onboardings) = &parts.onboardings {
        let (onboardings, stop) = (Arc::clone(onboardings), cancel.clone());
        tasks.spawn(async move {
            onboardings.run(stop).await;
            "the checks of onboardings"
        });
    }
    let (callers, stop) = (Arc::clone(&parts.callers), cancel.clone());
    tasks.spawn(async move {
        callers.run(stop).await;
        "the refresh of signing keys"
    });
}

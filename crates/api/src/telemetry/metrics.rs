//! Counters and durations, for a Prometheus scrape and, where configured, over OTLP.
//!
//! What happens on every request is counted in atomics that exist from the start, and exporters read them when they come;
//! its duration goes into a histogram that was bound to its labels at the start.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use keyferry_azure::{AzureKeyVault, VaultStats};
use keyferry_crypto::{
    sealer::{Sealer, SealerStats},
    vault::Fault,
};
use keyferry_health::{KeyWatch, WatchStats};
use keyferry_registry::{Registry, RegistryStats};
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, BoundHistogram, Meter, MeterProvider},
};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;

use super::{KeyCounts, Operation, TelemetryError, resource};
use crate::{
    budget::{Budget, BudgetStats},
    caller::{Callers, TokenStats},
    config::TelemetryConfig,
    problem::Kind,
};

/// A service's metrics.
pub struct Metrics {
    provider: SdkMeterProvider,
    scraped: prometheus::Registry,
    durations: Durations,
    problems: Arc<Vec<AtomicU64>>,
    items: Arc<Items>,
}

/// For each operation and outcome, the histogram of its durations, bound to its labels: none is looked up on a request.
type Durations = Vec<[BoundHistogram<f64>; Outcome::ALL.len()]>;
/// For each operation and outcome, how it is labelled.
type Labels = Vec<[[KeyValue; 2]; Outcome::ALL.len()]>;
/// For each operation and outcome, how many items of batches ended so.
type Items = Vec<[AtomicU64; Outcome::ALL.len()]>;

/// The connections of all listeners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionStats {
    pub(crate) open: u64,
    pub(crate) refused: u64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Ok,
    /// It was the caller's fault.
    Caller,
    /// The customer refused.
    Customer,
    /// The customer's vault does not answer as it should.
    Vault,
    /// Our fault.
    Service,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Ok, Self::Caller, Self::Customer, Self::Vault, Self::Service];

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Caller => "caller",
            Self::Customer => "customer",
            Self::Vault => "vault",
            Self::Service => "service",
        }
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Caller => Self::Caller,
            Fault::Customer => Self::Customer,
            Fault::Unavailable => Self::Vault,
            Fault::Service => Self::Service,
        }
    }
}

impl Metrics {
    /// Metrics for one service. Needs a tokio runtime if they are exported over OTLP.
    pub fn new(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let scraped = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(scraped.clone())
            .build();
        let exporter = exporter.map_err(|error| TelemetryError::Metrics(error.to_string()))?;
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_reader(exporter);
        if let Some(endpoint) = &config.otlp_endpoint {
            let exporter = super::towards(MetricExporter::builder().with_tonic(), endpoint).build()?;
            provider = provider.with_periodic_exporter(exporter);
        }
        let provider = provider.build();
        let meter = provider.meter("keyferry");
        let problems: Arc<Vec<AtomicU64>> = Arc::new(Kind::ALL.iter().map(|_| AtomicU64::new(0)).collect());
        observe_problems(&meter, Arc::clone(&problems));
        let (labels, items) = (
            labels(),
            Arc::new(Operation::ALL.iter().map(|_| Default::default()).collect()),
        );
        observe_items(&meter, labels.clone(), Arc::clone(&items));
        Ok(Self {
            durations: durations(&meter, &labels),
            provider,
            scraped,
            problems,
            items,
        })
    }

    /// Reports what the sealer does.
    pub fn observe_sealer(&self, sealer: &Arc<Sealer>) {
        for reading in SEALER {
            let sealer = Arc::clone(sealer);
            self.observe(reading, move || sealer.stats());
        }
    }

    /// Reports what becomes of tokens.
    pub fn observe_callers(&self, callers: &Arc<Callers>) {
        for reading in TOKENS {
            let callers = Arc::clone(callers);
            self.observe(reading, move || callers.stats());
        }
    }

    /// Reports how well the registry's view follows its store.
    pub fn observe_registry(&self, registry: &Arc<Registry>) {
        for reading in REGISTRY {
            let registry = Arc::clone(registry);
            self.observe(reading, move || registry.stats());
        }
    }

    /// Reports what vaults' limits, breakers and second tries do.
    pub fn observe_vaults(&self, vaults: &Arc<AzureKeyVault>) {
        for reading in VAULTS {
            let vaults = Arc::clone(vaults);
            self.observe(reading, move || vaults.stats());
        }
    }

    /// Reports how customers' keys are.
    pub(crate) fn observe_keys(&self, keys: &Arc<KeyCounts>) {
        observe_key_states(&self.provider.meter("keyferry"), Arc::clone(keys));
    }

    /// Reports what the watch over keys does.
    pub(crate) fn observe_watch(&self, watch: &Arc<KeyWatch>) {
        observe_looks(&self.provider.meter("keyferry"), Arc::clone(watch));
        for reading in WATCH {
            let watch = Arc::clone(watch);
            self.observe(reading, move || watch.stats());
        }
    }

    /// Reports what bodies and answers take.
    pub(crate) fn observe_budget(&self, budget: &Budget) {
        for reading in BUDGET {
            self.observe(reading, budget.stats());
        }
    }

    /// Reports how many connections there are.
    pub(crate) fn observe_connections(&self, stats: impl Fn() -> ConnectionStats + Clone + Send + Sync + 'static) {
        for reading in CONNECTIONS {
            self.observe(reading, stats.clone());
        }
    }

    fn observe<S: 'static>(&self, reading: &Reading<S>, stats: impl Fn() -> S + Send + Sync + 'static) {
        let meter = self.provider.meter("keyferry");
        let &Reading {
            name,
            description,
            sort,
            read,
        } = reading;
        let callback = move |observer: &dyn AsyncInstrument<u64>| {
            if let Some(value) = read(&stats()) {
                observer.observe(value, &[]);
            }
        };
        match sort {
            Sort::Counter => {
                meter
                    .u64_observable_counter(name)
                    .with_description(description)
                    .with_callback(callback)
                    .build();
            }
            Sort::Gauge => {
                meter
                    .u64_observable_gauge(name)
                    .with_description(description)
                    .with_callback(callback)
                    .build();
            }
        }
    }

    pub(crate) fn count_request(&self, operation: Operation, outcome: Outcome, took: Duration) {
        if let Some(durations) = self
            .durations
            .get(operation as usize)
            .and_then(|row| row.get(outcome as usize))
        {
            durations.record(took.as_secs_f64());
        }
    }

    pub(crate) fn count_problems(&self, kind: Kind, number: u64) {
        if let Some(count) = self.problems.get(kind as usize) {
            count.fetch_add(number, Relaxed);
        }
    }

    pub(crate) fn count_items(&self, operation: Operation, outcome: Outcome, number: u64) {
        if let Some(count) = self
            .items
            .get(operation as usize)
            .and_then(|row| row.get(outcome as usize))
        {
            count.fetch_add(number, Relaxed);
        }
    }

    /// The text of a Prometheus scrape.
    pub(crate) fn scrape(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.scraped.gather())
            .unwrap_or_default()
    }

    /// Sends what is left to the collector, if there is one. Blocks: not for an async task.
    pub(crate) fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::debug!(%error, "the last metrics were not sent");
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn durations(meter: &Meter, labels: &Labels) -> Durations {
    let durations = meter
        .f64_histogram("keyferry.request.duration")
        .with_unit("s")
        .with_description("How long requests took, by operation and outcome")
        .with_boundaries(BOUNDARIES.to_vec())
        .build();
    labels
        .iter()
        .map(|row| row.each_ref().map(|labels| durations.bind(labels)))
        .collect()
}

fn labels() -> Labels {
    let of = |operation: Operation, outcome: Outcome| {
        [
            KeyValue::new("operation", operation.name()),
            KeyValue::new("outcome", outcome.name()),
        ]
    };
    Operation::ALL
        .iter()
        .map(|&operation| Outcome::ALL.map(|outcome| of(operation, outcome)))
        .collect()
}

/// Problems by type: among them every cause for which a vault's call failed.
fn observe_problems(meter: &Meter, problems: Arc<Vec<AtomicU64>>) {
    let counter = meter
        .u64_observable_counter("keyferry.problems")
        .with_description("Problems answered, by type");
    let callback = move |observer: &dyn AsyncInstrument<u64>| {
        for (kind, count) in Kind::ALL.iter().zip(problems.iter()) {
            let count = count.load(Relaxed);
            if count > 0 {
                observer.observe(count, &[KeyValue::new("type", kind.slug())]);
            }
        }
    };
    counter.with_callback(callback).build();
}

/// The items of batches, by operation and outcome.
fn observe_items(meter: &Meter, labels: Labels, items: Arc<Items>) {
    let counter = meter
        .u64_observable_counter("keyferry.batch.items")
        .with_description("Items of batches, by operation and outcome");
    let callback = move |observer: &dyn AsyncInstrument<u64>| {
        for (labels, count) in labels.as_flattened().iter().zip(items.as_flattened()) {
            let count = count.load(Relaxed);
            if count > 0 {
                observer.observe(count, labels);
            }
        }
    };
    counter.with_callback(callback).build();
}

/// How many active tenants' keys are in each state.
fn observe_key_states(meter: &Meter, keys: Arc<KeyCounts>) {
    let gauge = meter
        .u64_observable_gauge("keyferry.key.states")
        .with_description("Active tenants, by how their keys are");
    let callback = move |observer: &dyn AsyncInstrument<u64>| {
        let Some(counted) = keys.counted() else { return };
        for state in ["unknown", "healthy", "degraded", "refused"] {
            let count = counted.get(state).copied().unwrap_or_default();
            observer.observe(count, &[KeyValue::new("state", state)]);
        }
    };
    gauge.with_callback(callback).build();
}

/// The looks that this replica had at keys, by what they found.
fn observe_looks(meter: &Meter, watch: Arc<KeyWatch>) {
    let counter = meter
        .u64_observable_counter("keyferry.key.looks")
        .with_description("Looks at customers' keys, by what they found");
    let callback = move |observer: &dyn AsyncInstrument<u64>| {
        let stats = watch.stats();
        for (outcome, count) in [
            ("served", stats.looks_served),
            ("refused", stats.looks_refused),
            ("in-vain", stats.looks_in_vain),
            ("failed", stats.looks_failed),
        ] {
            observer.observe(count, &[KeyValue::new("outcome", outcome)]);
        }
    };
    counter.with_callback(callback).build();
}

/// A number that is read off a part's statistics when an exporter comes.
struct Reading<S> {
    name: &'static str,
    description: &'static str,
    sort: Sort,
    read: fn(&S) -> Option<u64>,
}

#[derive(Clone, Copy)]
enum Sort {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A table of readings: name, description, and the statistic.
macro_rules! readings {
    ($table:ident: $stats:ty { $($sort:ident $name:literal $description:literal |$s:ident| $read:expr;)* }) => {
        const $table: &[Reading<$stats>] = &[
            $(Reading { name: $name, description: $description, sort: Sort::$sort, read: |$s| $read },)*
        ];
    };
}

readings! { SEALER: SealerStats {
    Counter "keyferry.cache.hits" "Opens whose data key was in the cache" |s| Some(s.cache_hits);
    Counter "keyferry.cache.misses" "Opens that waited for the vault" |s| Some(s.cache_misses);
    Counter "keyferry.refusals.recalled" "Requests answered with a remembered refusal" |s| Some(s.refusals_recalled);
    Counter "keyferry.grace.opens" "Opens under an outage grace" |s| Some(s.grace_opens);
    Counter "keyferry.vault.wraps" "Wraps asked of vaults" |s| Some(s.vault_wraps);
    Counter "keyferry.vault.unwraps" "Unwraps asked of vaults" |s| Some(s.vault_unwraps);
    Counter "keyferry.vault.refusals" "Calls that customers refused" |s| Some(s.vault_refusals);
    Counter "keyferry.vault.failures" "Calls that failed otherwise" |s| Some(s.vault_failures);
    Counter "keyferry.vault.questions" "Refusals that were asked about again, as they might pass" |s| Some(s.questions);
    Counter "keyferry.assurances" "Uses of what is held that waited for the vault's word" |s| Some(s.assurances);
    Counter "keyferry.vault.probes" "Of the unwraps, those of canaries" |s| Some(s.probes);
    Counter "keyferry.rewraps.recalled" "Rewraps that asked for no wrap" |s| Some(s.rewraps_recalled);
    Counter "keyferry.evictions" "Times that keys were evicted" |s| Some(s.evictions);
    Gauge "keyferry.cache.data_keys" "Unwrapped data keys in the cache" |s| Some(s.cached_data_keys);
    Gauge "keyferry.leases" "Tenants with a lease" |s| Some(s.leases);
} }

readings! { WATCH: WatchStats {
    Counter "keyferry.withdrawals.obeyed" "Withdrawals that other replicas found out and this one obeyed" |s| Some(s.withdrawals_obeyed);
    Counter "keyferry.watch.breaks" "Times that a part of the watch over keys broke off, by a defect, and was begun anew" |s| Some(s.breaks);
    Gauge "keyferry.replicas" "Replicas that live" |s| Some(s.replicas.into());
    Gauge "keyferry.keys.mistrusted" "Tenants of whom something is held and whose key nobody looks at" |s| Some(s.mistrusted);
    Gauge "keyferry.registry.heard_seconds" "How long ago all was heard and obeyed that other replicas learnt; since the start if never" |s| Some(s.since_heard.as_secs());
} }

readings! { VAULTS: VaultStats {
    Counter "keyferry.vault.quota_refused" "Calls not made, being too near to a vault's limit" |s| Some(s.quota_refused);
    Counter "keyferry.vault.breaker_refused" "Calls not made, as the vault does not answer" |s| Some(s.breaker_refused);
    Counter "keyferry.vault.breakers_opened" "Times that a vault was taken for one that does not answer" |s| Some(s.breakers_opened);
    Gauge "keyferry.vault.breakers_open" "Vaults that are taken for not answering" |s| Some(s.breakers_open);
    Counter "keyferry.vault.retries" "Second tries" |s| Some(s.retries);
    Counter "keyferry.vault.retries_refused" "Second tries not made, being too many" |s| Some(s.retries_refused);
    Counter "keyferry.vault.throttled" "Answers of vaults that throttle" |s| Some(s.throttled);
} }

readings! { BUDGET: BudgetStats {
    Gauge "keyferry.budget.taken_bytes" "What large bodies, batches and their answers are charged" |s| Some(s.taken);
} }

readings! { CONNECTIONS: ConnectionStats {
    Gauge "keyferry.connections" "Open connections" |s| Some(s.open);
    Counter "keyferry.connections.refused" "Connections closed at once, being too many" |s| Some(s.refused);
} }

readings! { TOKENS: TokenStats {
    Counter "keyferry.tokens.recalled" "Callers' tokens that were verified before" |s| Some(s.recalled);
    Counter "keyferry.tokens.verified" "Callers' tokens that were verified" |s| Some(s.verified);
    Counter "keyferry.tokens.refused" "Callers' tokens that were refused" |s| Some(s.refused);
} }

readings! { REGISTRY: RegistryStats {
    Gauge "keyferry.registry.tenants" "Tenants in memory" |s| Some(s.tenants);
    Gauge "keyferry.registry.loaded" "1 once all tenants were read" |s| Some(s.loaded.into());
    Gauge "keyferry.registry.silence_seconds" "How long ago the database last answered" |s| s.since_contact.map(|silence| silence.as_secs());
    Counter "keyferry.registry.reads" "Single tenants read from the database" |s| Some(s.store_reads);
} }

/// Seconds: from what a cached data key takes to what a slow vault takes.
const BOUNDARIES: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

//! Logs, traces and metrics.
//!
//! The subscriber is global, so only the program sets it ([`init`]); metrics belong to a service ([`Metrics`]), so that several
//! services run in one process. No span, event or metric holds a key, a token, a plaintext or an encryption context.

mod keys;
mod metrics;
mod operation;
pub(crate) mod tracing_context;

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig, tonic_types::transport::ClientTlsConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing_subscriber::{Layer, Registry, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};
use url::Url;

pub use self::metrics::Metrics;
pub(crate) use self::{
    keys::KeyCounts,
    metrics::{ConnectionStats, Outcome},
    operation::Operation,
};
use crate::config::{LogFormat, TelemetryConfig};

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter to `telemetry.otlp_endpoint` could not be made.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// A subscriber is set already.
    #[error("the process has a log subscriber already")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
    /// Metrics could not be registered.
    #[error("metrics: {0}")]
    Metrics(String),
}

/// Keeps exporting until dropped or shut down.
#[derive(Debug)]
#[must_use = "traces that are not exported yet are lost when this is dropped too early"]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends what is left.
    pub fn shutdown(self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// Sets the process's subscriber: logs on standard error and, where configured, traces over OTLP. For a program's start,
/// once, within its tokio runtime.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let filter = config.log.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => lines.with_filter(filter).boxed(),
    };
    let traces = traces(config)?;
    let exported = traces.as_ref().map(|provider| {
        let tracer = provider.tracer("keyferry");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(spans_of_ours())
    });
    tracing_subscriber::registry().with(lines).with(exported).try_init()?;
    Ok(Telemetry { traces })
}

/// Our spans and events, down to debug; nobody else's.
fn spans_of_ours() -> Targets {
    [
        "keyferry_api",
        "keyferry_azure",
        "keyferry_crypto",
        "keyferry_onboarding",
        "keyferry_registry",
    ]
    .into_iter()
    .fold(Targets::new(), |all, target| {
        all.with_target(target, tracing::Level::DEBUG)
    })
}

fn traces(config: &TelemetryConfig) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    let exporter = towards(SpanExporter::builder().with_tonic(), endpoint).build()?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.trace_ratio)));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_sampler(sampler)
        .with_batch_exporter(exporter)
        .build();
    Ok(Some(provider))
}

/// Has an exporter send to a collector, whose certificate is checked with the operating system's roots.
fn towards<B: WithExportConfig + WithTonicConfig>(exporter: B, collector: &Url) -> B {
    let exporter = exporter.with_endpoint(collector.as_str());
    if collector.scheme() == "https" {
        // The exporter's own default trusts no root at all.
        exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
    } else {
        exporter
    }
}

/// Who we are, to a collector.
fn resource() -> Resource {
    Resource::builder().with_service_name("keyferry").build()
}

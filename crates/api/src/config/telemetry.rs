//! Logs, traces and metrics.

use serde::{Deserialize, Deserializer};
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

use super::text;

/// Logs, traces and metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged: a level, or directives such as `info,keyferry_azure=debug`.
    #[serde(deserialize_with = "directives")]
    pub log: Targets,
    /// How it is written.
    pub log_format: LogFormat,
    /// Where traces and metrics go over OTLP (gRPC): `http://collector:4317`. Nowhere if absent.
    #[serde(deserialize_with = "endpoint")]
    pub otlp_endpoint: Option<Url>,
    /// The share of requests that are traced, 0 to 1, where the caller has not decided.
    pub trace_ratio: f64,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: Targets::new().with_default(LevelFilter::INFO),
            log_format: LogFormat::default(),
            otlp_endpoint: None,
            trace_ratio: 0.01,
        }
    }
}

/// Stricter than the library, which takes a misspelt level for a module's name.
fn directives<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Targets, D::Error> {
    let expected = "a level (off, error, warn, info, debug, trace), or directives such as info,keyferry_azure=debug";
    text::parsed(deserializer, expected, |text| {
        text.split(',').try_fold(Targets::new(), |all, directive| {
            Some(match directive.trim().split_once('=') {
                Some((target, level)) => all.with_target(target, level.parse::<LevelFilter>().ok()?),
                None => all.with_default(directive.trim().parse::<LevelFilter>().ok()?),
            })
        })
    })
}

fn endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let expected = "the address of an OTLP collector: http://collector:4317, or https";
    text::parsed(deserializer, expected, |text| {
        let url: Url = text.parse().ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
    })
    .map(Some)
}

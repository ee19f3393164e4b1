//! The configuration: a TOML file, with single values from the environment over it, parsed once into types.
//!
//! `docs/operations.md` is the reference; a test holds it to these structs.

mod auth;
mod environment;
mod events;
mod page;
mod refusal;
mod registry;
mod telemetry;
mod text;
mod vaults;

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use keyferry_azure::{AzureConfig, config::seconds};
use keyferry_crypto::sealer::SealerLimits;
use keyferry_health::HealthConfig;
use keyferry_onboarding::OnboardingConfig;
use serde::Deserialize;

pub use self::{
    auth::{Audience, AuthConfig, CallerConfig},
    events::{EventGridConfig, EventsConfig, EventsProof},
    page::{Colour, PageConfig},
    registry::RegistryConfig,
    telemetry::{LogFormat, TelemetryConfig},
    vaults::VaultsConfig,
};

use crate::{body::Media, budget::cost};

/// Everything that `keyferry serve` wants to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Listening, limits and deadlines.
    #[serde(default)]
    pub http: HttpConfig,
    /// Where tenants are kept.
    pub registry: RegistryConfig,
    /// How customers' directories and vaults are reached.
    pub azure: AzureConfig,
    /// Whose tokens are accepted.
    pub auth: AuthConfig,
    /// How many keys a replica holds.
    #[serde(default)]
    pub cache: CacheConfig,
    /// How much is asked of customers' vaults at once, and how surely they are believed.
    #[serde(default)]
    pub vaults: VaultsConfig,
    /// How customers' keys are watched.
    #[serde(default)]
    pub health: HealthConfig,
    /// Whose events are taken for hints; nobody's, if absent.
    #[serde(default)]
    pub events: Option<EventsConfig>,
    /// Logs, traces and metrics.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// Administration.
    #[serde(default)]
    pub admin: AdminConfig,
    /// How customers are onboarded; nobody is, if absent.
    #[serde(default)]
    pub onboarding: Option<OnboardingConfig>,
    /// How the customer's page looks.
    #[serde(default)]
    pub onboarding_page: PageConfig,
}

/// Listening, limits and deadlines.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where the API is served. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are served; with `listen`'s other paths if absent.
    pub ops_listen: Option<SocketAddr>,
    /// Serves TLS on `listen`; plain HTTP if absent.
    pub tls: Option<TlsConfig>,
    /// The longest body of JSON, in bytes.
    pub max_json_bytes: usize,
    /// The longest body of `application/octet-stream`, in bytes; the largest plaintext is a little smaller.
    pub max_octet_stream_bytes: usize,
    /// How many bytes bodies over 4 KiB, batches and their answers take at once, over all requests.
    pub body_budget_bytes: usize,
    /// How many requests are worked on at once.
    pub max_concurrent_requests: usize,
    /// How many connections each listener keeps at once.
    pub max_connections: usize,
    /// How many items of one batch are worked on at once.
    pub batch_concurrency: usize,
    /// How long a request's head may take to arrive.
    #[serde(rename = "header_timeout_seconds", with = "seconds")]
    pub header_timeout: Duration,
    /// How long a request's body may take to arrive.
    #[serde(rename = "body_timeout_seconds", with = "seconds")]
    pub body_timeout: Duration,
    /// How long a request may take altogether.
    #[serde(rename = "request_timeout_seconds", with = "seconds")]
    pub request_timeout: Duration,
    /// How long the answer to a large body may take to be sent.
    #[serde(rename = "answer_timeout_seconds", with = "seconds")]
    pub answer_timeout: Duration,
    /// How long nothing may be received or sent before a connection is closed. Longer than `request_timeout`.
    #[serde(rename = "idle_timeout_seconds", with = "seconds")]
    pub idle_timeout: Duration,
    /// How long `/readyz` says no before the listener closes, so that load balancers notice.
    #[serde(rename = "drain_delay_seconds", with = "seconds")]
    pub drain_delay: Duration,
    /// How long requests under way may take to finish once the listener is closed.
    #[serde(rename = "drain_timeout_seconds", with = "seconds")]
    pub drain_timeout: Duration,
}

/// A certificate to serve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM: the certificate, then its intermediates.
    pub certificate_file: PathBuf,
    /// PEM: the certificate's key.
    pub key_file: PathBuf,
}

/// How many keys a replica holds, over all tenants.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Unwrapped data keys kept for opening.
    pub data_keys: u64,
    /// Refusals remembered.
    pub refusals: u64,
    /// Tenants with a lease.
    pub leases: u64,
    /// Data keys whose rewrapped form is kept.
    pub rewrapped: u64,
}

/// Administration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// How long a deleted tenant can be taken back.
    #[serde(rename = "deletion_window_seconds", with = "seconds")]
    pub deletion_window: Duration,
}

/// Why a configuration was refused. The text is for whoever wrote it, and holds no value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: line {line}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why, in the parser's words, which quote nothing.
        message: String,
    },
    /// A value in the environment cannot be placed.
    #[error("environment variable {name}: {message}")]
    Environment {
        /// Its name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A field is missing, unknown or not acceptable.
    #[error("{field}: {message}")]
    Field {
        /// Its path: `http.listen`.
        field: String,
        /// What is wrong.
        message: String,
    },
}

impl Config {
    /// Reads the file at `path`, if any, lays the environment over it, and parses the result.
    ///
    /// An environment variable `KEYFERRY_HTTP__LISTEN` sets `http.listen`: the prefix `KEYFERRY_`, then the field's path with
    /// two underscores between its segments. Its value is taken as it stands where the field is text, and read as TOML (a
    /// number, a boolean, a list, a table) where it is something else. Variables without two underscores are not the
    /// configuration's.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let table = path.map(read_table).transpose()?.unwrap_or_default();
        let written = environment::over(table, environment)?;
        let config: Self =
            serde_path_to_error::deserialize(written).map_err(|error| refusal::of(error.path(), error.inner()))?;
        config.checked()
    }

    /// The bounds of a sealer that is so configured.
    #[must_use]
    pub fn sealer_limits(&self) -> SealerLimits {
        let Self {
            cache, vaults, health, ..
        } = self;
        SealerLimits {
            cached_data_keys: cache.data_keys,
            cached_refusals: cache.refusals,
            leases: cache.leases,
            rewrapped: cache.rewrapped,
            calls: vaults.calls,
            calls_per_tenant: vaults.calls_per_tenant,
            confirmation: vaults.confirmation,
            assurance: Some(health.assurance()),
        }
    }

    /// What no single field's type can say.
    fn checked(self) -> Result<Self, ConfigError> {
        let http = &self.http;
        require(
            http.max_concurrent_requests > 0,
            "http.max_concurrent_requests",
            "must not be 0",
        )?;
        require(http.batch_concurrency > 0, "http.batch_concurrency", "must not be 0")?;
        require(http.max_connections > 0, "http.max_connections", "must not be 0")?;
        require(
            http.idle_timeout > http.request_timeout,
            "http.idle_timeout_seconds",
            "must be longer than http.request_timeout_seconds, or a request would be cut off while it is worked on",
        )?;
        let longest = [
            (Media::Octets, http.max_octet_stream_bytes),
            (Media::Json, http.max_json_bytes),
        ];
        require(
            longest
                .iter()
                .all(|&(media, len)| cost(media, len) <= http.body_budget_bytes),
            "http.body_budget_bytes",
            "must be at least twice http.max_octet_stream_bytes and thrice http.max_json_bytes, and 2 KiB more: what the longest body takes with its answer",
        )?;
        require(
            u32::try_from(http.body_budget_bytes).is_ok(),
            "http.body_budget_bytes",
            "must be below 4 GiB",
        )?;
        require(
            !self.auth.directories.is_empty(),
            "auth.directories",
            "must name at least one directory",
        )?;
        require(
            !self.auth.audiences.is_empty(),
            "auth.audiences",
            "must name at least one audience",
        )?;
        require(
            self.auth.authority.scheme() == "https" && self.auth.authority.path() == "/",
            "auth.authority",
            "must be an https address without a path",
        )?;
        require(
            !self.auth.keys_refresh.is_zero(),
            "auth.keys_refresh_seconds",
            "must not be 0",
        )?;
        let Self { vaults, registry, .. } = &self;
        require(vaults.calls > 0, "vaults.calls", "must not be 0")?;
        require(vaults.calls_per_tenant > 0, "vaults.calls_per_tenant", "must not be 0")?;
        require(!registry.poll.is_zero(), "registry.poll_seconds", "must not be 0")?;
        if let Some(events) = &self.events {
            require(
                events.secret_file.is_some() != events.entra.is_some(),
                "events",
                "exactly one of secret_file and entra is needed",
            )?;
            require(
                events.deliveries_per_minute > 0,
                "events.deliveries_per_minute",
                "must not be 0",
            )?;
        }
        self.health.check().map_err(
            |keyferry_health::ConfigError::Field(field, expected)| ConfigError::Field {
                field: format!("health.{field}"),
                message: format!("must be {expected}"),
            },
        )?;
        // Else a replica to which no notification comes is deaf between two polls, and asks vaults in vain.
        require(
            registry.poll <= self.health.hearing() / 2,
            "registry.poll_seconds",
            "must not be more than half of health.hearing_seconds, in which the registry must be heard",
        )?;
        require(
            (0.0..=1.0).contains(&self.telemetry.trace_ratio),
            "telemetry.trace_ratio",
            "must be between 0 and 1",
        )?;
        require(
            self.onboarding_page.is_readable(),
            "onboarding_page.on_accent",
            "cannot be read on onboarding_page.accent: a contrast of at least 4.5 is needed",
        )?;
        self.azure.check().map_err(|error| ConfigError::Field {
            field: "azure".to_owned(),
            message: error.to_string(),
        })?;
        self.registry.url()?;
        Ok(self)
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            ops_listen: None,
            tls: None,
            max_json_bytes: 8 << 20,
            max_octet_stream_bytes: (64 << 20) + (16 << 10),
            body_budget_bytes: 512 << 20,
            max_concurrent_requests: 20_000,
            max_connections: 20_000,
            // At a vault that answers in 20 ms, as many a second as it allows of RSA-2048; more only crowds others out in bursts.
            batch_concurrency: 8,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_mins(1),
            answer_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(2),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            data_keys: 100_000,
            refusals: 10_000,
            leases: 10_000,
            rewrapped: 100_000,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            deletion_window: Duration::from_hours(7 * 24),
        }
    }
}

fn read_table(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = read(path)?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        ConfigError::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            message: error.message().to_owned(),
        }
    })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        path: path.to_owned(),
        source,
    })
}

fn require(holds: bool, field: &str, message: &str) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::Field {
        field: field.to_owned(),
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests;

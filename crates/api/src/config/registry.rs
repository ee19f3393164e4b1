//! Where tenants are kept.

use std::{path::PathBuf, time::Duration};

use keyferry_azure::config::seconds;
use keyferry_registry::DatabaseUrl;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::{ConfigError, text};

/// Where tenants are kept. Exactly one of `url` and `url_file`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// `postgres://…` or `sqlite:…`. May hold a password, so it is never shown.
    #[serde(default, deserialize_with = "database_url")]
    pub url: Option<DatabaseUrl>,
    /// A file that holds the same.
    pub url_file: Option<PathBuf>,
    /// How many tenants are kept in memory.
    #[serde(default = "default_tenants_in_memory")]
    pub tenants_in_memory: u64,
    /// How often changes are looked for without being told.
    #[serde(default = "default_poll", rename = "poll_seconds", with = "seconds")]
    pub poll: Duration,
}

impl RegistryConfig {
    /// The store's address, from wherever it was given.
    pub fn url(&self) -> Result<DatabaseUrl, ConfigError> {
        match (&self.url, &self.url_file) {
            (Some(url), None) => Ok(url.clone()),
            (None, Some(path)) => {
                let text = Zeroizing::new(super::read(path)?);
                text.trim().parse().map_err(|error| ConfigError::Field {
                    field: "registry.url_file".to_owned(),
                    message: format!("{} holds {error}", path.display()),
                })
            }
            (None, None) | (Some(_), Some(_)) => Err(ConfigError::Field {
                field: "registry".to_owned(),
                message: "exactly one of url and url_file is needed".to_owned(),
            }),
        }
    }
}

fn database_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DatabaseUrl>, D::Error> {
    let expected = "postgres://user:password@host/database or sqlite:path";
    text::parsed(deserializer, expected, |text| text.parse().ok()).map(Some)
}

fn default_tenants_in_memory() -> u64 {
    100_000
}

fn default_poll() -> Duration {
    Duration::from_secs(2)
}

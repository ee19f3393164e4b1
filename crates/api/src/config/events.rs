//! Whose events are taken for hints.

use std::path::{Path, PathBuf};

use http::HeaderName;
use keyferry_crypto::id::DirectoryId;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use uuid::{Uuid, uuid};
use zeroize::Zeroizing;

use super::{Audience, ConfigError, text};

/// Whose events are taken for hints. Exactly one of `secret_file` and `entra`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// A file of secrets, one a line: deliveries that hold one of them in `header` are taken.
    pub secret_file: Option<PathBuf>,
    /// The header that holds the secret.
    #[serde(default = "default_header", deserialize_with = "header")]
    pub header: HeaderName,
    /// Deliveries with a token of Event Grid's own are taken.
    pub entra: Option<EventGridConfig>,
    /// The origins that may announce deliveries of Cloud Events.
    #[serde(default = "default_origins")]
    pub origins: Vec<String>,
    /// The most deliveries that are taken in a minute. What is beyond it is to be delivered again.
    #[serde(default = "default_deliveries_per_minute")]
    pub deliveries_per_minute: u32,
}

/// How Event Grid's tokens are known.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventGridConfig {
    /// The directory that they are of: the one of the registration that deliveries are protected with.
    pub directory: DirectoryId,
    /// What `aud` says in them: that registration's client id.
    pub audience: Audience,
    /// Event Grid's own application.
    #[serde(default = "event_grid")]
    pub application: Uuid,
}

/// How deliveries prove whose they are.
#[derive(Clone)]
pub enum EventsProof {
    /// By a secret, of which these are the digests.
    Secret(Vec<[u8; 32]>),
    /// By a token.
    Entra(EventGridConfig),
}

impl EventsConfig {
    /// How deliveries prove whose they are. Reads the file of secrets.
    pub fn proof(&self) -> Result<EventsProof, ConfigError> {
        match (&self.secret_file, self.entra) {
            (Some(path), None) => Ok(EventsProof::Secret(digests(path)?)),
            (None, Some(entra)) => Ok(EventsProof::Entra(entra)),
            (None, None) | (Some(_), Some(_)) => Err(ConfigError::Field {
                field: "events".to_owned(),
                message: "exactly one of secret_file and entra is needed".to_owned(),
            }),
        }
    }
}

/// What is kept of the secrets of a file.
fn digests(path: &Path) -> Result<Vec<[u8; 32]>, ConfigError> {
    let text = Zeroizing::new(super::read(path)?);
    let secrets: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if secrets.is_empty() || secrets.iter().any(|secret| secret.len() < SHORTEST_SECRET) {
        return Err(ConfigError::Field {
            field: "events.secret_file".to_owned(),
            message: format!(
                "{} must hold secrets of at least {SHORTEST_SECRET} characters, one a line",
                path.display()
            ),
        });
    }
    Ok(secrets
        .into_iter()
        .map(|secret| Sha256::digest(secret).into())
        .collect())
}

fn header<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderName, D::Error> {
    text::parsed(deserializer, "a header's name", |text| text.parse().ok())
}

fn default_header() -> HeaderName {
    HeaderName::from_static("keyferry-event-secret")
}

fn default_origins() -> Vec<String> {
    vec!["eventgrid.azure.net".to_owned()]
}

fn default_deliveries_per_minute() -> u32 {
    600
}

/// Microsoft's Event Grid, as every directory knows it.
/// <https://learn.microsoft.com/azure/event-grid/secure-webhook-delivery>
fn event_grid() -> Uuid {
    uuid!("4962773b-9cdb-44cf-a8bf-237846a00ab7")
}

/// In bytes: what nobody guesses, written in hexadecimal or base64.
const SHORTEST_SECRET: usize = 32;

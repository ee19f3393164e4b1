//! `[onboarding]`: where the customer's page is, and how patient we are.

use std::{path::PathBuf, time::Duration};

use keyferry_azure::config::seconds;
use serde::Deserialize;
use url::Url;

/// How customers are onboarded.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnboardingConfig {
    /// Where customers' browsers reach this service: `https://keys.example.com`, without a path. Links begin with it, and Entra
    /// sends consent back to `/onboarding/consent` under it, which must be registered as a redirect URI.
    pub public_url: Url,
    /// A file of at least 32 random bytes that sign links and consent states; the same for all replicas. With another one all
    /// links and states are void.
    pub signing_key_file: PathBuf,
    /// What customers know the platform by.
    pub platform_name: String,
    /// Where customers find help: an https or mailto address.
    #[serde(default)]
    pub support: Option<Url>,
    /// How long a link is good.
    #[serde(default = "fourteen_days", rename = "link_lifetime_seconds", with = "seconds")]
    pub link_lifetime: Duration,
    /// How long the administrator may take at Entra.
    #[serde(default = "one_hour", rename = "consent_lifetime_seconds", with = "seconds")]
    pub consent_lifetime: Duration,
    /// How long a missing principal is taken for one that Azure has not spread yet, from when consent came back.
    #[serde(default = "one_hour", rename = "consent_patience_seconds", with = "seconds")]
    pub consent_patience: Duration,
    /// How long a missing role is taken for one that Azure has not spread yet, from when access was last seen to lack and the
    /// customer said it was granted.
    #[serde(default = "fifteen_minutes", rename = "role_patience_seconds", with = "seconds")]
    pub role_patience: Duration,
    /// The RSA modulus from which a key is not warned of, in bits. Keys below 2048 are refused whatever this says.
    #[serde(default = "recommended_bits")]
    pub recommended_key_bits: u32,
    /// In place of the cloud's sign-in page, where consent links lead: for an emulator.
    #[serde(default)]
    pub sign_in_url: Option<Url>,
}

fn fourteen_days() -> Duration {
    Duration::from_hours(14 * 24)
}

fn one_hour() -> Duration {
    Duration::from_hours(1)
}

fn fifteen_minutes() -> Duration {
    Duration::from_mins(15)
}

fn recommended_bits() -> u32 {
    3072
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A field cannot be accepted.
    #[error("{0}: {1}")]
    Field(&'static str, &'static str),
    /// The signing key cannot be read.
    #[error("signing_key_file: {0}")]
    SigningKey(#[source] std::io::Error),
}

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
    /// How long a missing role is taken for one that Azure has not spread yet, from when access was first seen to lack. After
    /// that it is called missing, and still looked for.
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

impl OnboardingConfig {
    /// Refuses what no link could be made of.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let url = &self.public_url;
        let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
            return Err(ConfigError::Field("public_url", "https, or http on loopback"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(ConfigError::Field("public_url", "an origin without a path"));
        }
        if self.platform_name.trim().is_empty() || self.platform_name.chars().any(char::is_control) {
            return Err(ConfigError::Field("platform_name", "a name without control characters"));
        }
        if self.platform_name.chars().count() > 100 {
            return Err(ConfigError::Field("platform_name", "at most 100 characters"));
        }
        if self
            .support
            .as_ref()
            .is_some_and(|url| !["https", "mailto"].contains(&url.scheme()))
        {
            return Err(ConfigError::Field("support", "an https or mailto address"));
        }
        let lifetimes = [
            ("link_lifetime_seconds", self.link_lifetime),
            ("consent_lifetime_seconds", self.consent_lifetime),
        ];
        for (field, lifetime) in lifetimes {
            if !(MIN_LIFETIME..=MAX_LIFETIME).contains(&lifetime) {
                return Err(ConfigError::Field(field, "between a minute and 90 days"));
            }
        }
        let patiences = [
            ("consent_patience_seconds", self.consent_patience),
            ("role_patience_seconds", self.role_patience),
        ];
        for (field, patience) in patiences {
            if patience > MAX_PATIENCE {
                return Err(ConfigError::Field(field, "at most a day"));
            }
        }
        if self.recommended_key_bits > 4096 {
            return Err(ConfigError::Field(
                "recommended_key_bits",
                "at most 4096, the largest that Key Vault has",
            ));
        }
        Ok(())
    }
}

const MIN_LIFETIME: Duration = Duration::from_mins(1);
const MAX_LIFETIME: Duration = Duration::from_hours(90 * 24);
const MAX_PATIENCE: Duration = Duration::from_hours(24);

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

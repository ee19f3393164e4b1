//! How much is asked of customers' vaults at once, and how surely they are believed.

use std::time::Duration;

use keyferry_azure::config::seconds;
use serde::Deserialize;

/// How much is asked of customers' vaults at once, and how surely they are believed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaultsConfig {
    /// The most calls to all vaults under way at once.
    pub calls: usize,
    /// Of them, the most for one tenant.
    pub calls_per_tenant: usize,
    /// How long a refusal that may pass is asked about again before it is believed. Zero believes it at once.
    #[serde(rename = "confirmation_seconds", with = "seconds")]
    pub confirmation: Duration,
}

impl Default for VaultsConfig {
    fn default() -> Self {
        Self {
            calls: 4_096,
            calls_per_tenant: 64,
            confirmation: Duration::from_secs(3),
        }
    }
}

//! How often keys are looked at, and how long what was heard of them counts.

use std::time::Duration;

use keyferry_crypto::assurance::Assurance;
use serde::Deserialize;

/// The configuration: `[health]`. All spans are seconds, and may be fractions.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// The longest between two looks at the key of a tenant of whom some replica holds anything. 30 seconds if left out.
    period_seconds: f64,
    /// The same of other tenants. 15 minutes.
    idle_period_seconds: f64,
    /// How long beyond the next look a replica keeps a key to itself without saying so again. 10 seconds.
    lease_seconds: f64,
    /// How long it counts that the registry was heard. 10 seconds.
    hearing_seconds: f64,
    /// How often the newest version of a key is looked up. 60 seconds.
    version_period_seconds: f64,
    /// How many looks a replica has under way at once. 32.
    pub concurrency: usize,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            period_seconds: 30.0,
            idle_period_seconds: 900.0,
            lease_seconds: 10.0,
            hearing_seconds: 10.0,
            version_period_seconds: 60.0,
            concurrency: 32,
        }
    }
}

impl HealthConfig {
    /// The longest between two looks at a key that is held.
    #[must_use]
    pub fn period(&self) -> Duration {
        seconds(self.period_seconds)
    }

    /// The longest between two looks at a key that nobody holds.
    #[must_use]
    pub fn idle_period(&self) -> Duration {
        seconds(self.idle_period_seconds)
    }

    /// How long a replica keeps a key to itself beyond its next look.
    #[must_use]
    pub fn lease(&self) -> Duration {
        seconds(self.lease_seconds)
    }

    /// How long it counts that the registry was heard.
    #[must_use]
    pub fn hearing(&self) -> Duration {
        seconds(self.hearing_seconds)
    }

    /// How often the newest version of a key is looked up.
    #[must_use]
    pub fn version_period(&self) -> Duration {
        seconds(self.version_period_seconds)
    }

    /// What a sealer that this watches for needs to be assured of.
    #[must_use]
    pub fn assurance(&self) -> Assurance {
        Assurance {
            period: self.period(),
            hearing: self.hearing(),
        }
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

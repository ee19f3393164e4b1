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
    /// How many looks a replica has under way at once, those aside that take long: vaults that hang keep no other from being asked.
    /// 32.
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

    /// W, the longest that the key of a tenant of whom something is held goes without a look, whichever replica dies: then
    /// another's lease is over, and the next look is made. `try_timeout` is how long one call to a vault may take.
    #[must_use]
    pub fn watched_within(&self, try_timeout: Duration) -> Duration {
        self.period() + self.lease() + try_timeout
    }

    /// Refuses what no bound could be held with.
    pub fn check(&self) -> Result<(), ConfigError> {
        let spans = [
            ("period_seconds", self.period(), LONGEST_PERIOD),
            ("idle_period_seconds", self.idle_period(), LONGEST_IDLE_PERIOD),
            ("lease_seconds", self.lease(), LONGEST_PERIOD),
            ("hearing_seconds", self.hearing(), LONGEST_PERIOD),
            ("version_period_seconds", self.version_period(), LONGEST_IDLE_PERIOD),
        ];
        for (field, span, longest) in spans {
            if span < SHORTEST {
                return Err(ConfigError::Field(field, "at least 0.05"));
            }
            if span > longest {
                let most = if longest == LONGEST_PERIOD {
                    "at most 3600"
                } else {
                    "at most 86400"
                };
                return Err(ConfigError::Field(field, most));
            }
        }
        // A look that takes longer is kept by claiming its key again, from half of the lease on.
        if self.lease() < self.claim_pause() * CLAIMS_IN_A_LEASE {
            return Err(ConfigError::Field(
                "lease_seconds",
                "at least 0.15, and a tenth of period_seconds; 3 is always enough",
            ));
        }
        if self.idle_period() < self.period() {
            return Err(ConfigError::Field(
                "idle_period_seconds",
                "not less than period_seconds",
            ));
        }
        if !(1..=MOST_AT_ONCE).contains(&self.concurrency) {
            return Err(ConfigError::Field("concurrency", "between 1 and 1024"));
        }
        Ok(())
    }

    /// How often it is asked what is due.
    pub(crate) fn claim_pause(&self) -> Duration {
        (self.period() / 30).clamp(SHORTEST, Duration::from_secs(1))
    }

    /// How often a replica makes itself known.
    pub(crate) fn beat_pause(&self) -> Duration {
        (self.lease() / 2).clamp(SHORTEST, Duration::from_secs(5))
    }

    /// How long a replica that says nothing is taken to live.
    #[must_use]
    pub fn alive(&self) -> Duration {
        self.beat_pause() * MISSED_BEATS
    }

    /// How often it is looked what is held, and whose key nobody looks at: well within the time for which that counts.
    pub(crate) fn holding_pause(&self) -> Duration {
        let short = (self.period() / 15).min(self.hearing() / 4);
        short.clamp(SHORTEST / 4, Duration::from_secs(2))
    }

    /// Within which the same refusal is not told again. Short: told once too often costs little, and a refusal that came again
    /// after the key had served must be told.
    pub(crate) fn telling_pause(&self) -> Duration {
        (self.period() / 6).min(Duration::from_secs(5))
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

/// Why a configuration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A field cannot be accepted.
    #[error("{0}: {1}")]
    Field(&'static str, &'static str),
}

/// What is no span (negative, not a number) is longer than any that is accepted.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// So many times it is asked what is due before another may claim a key that is being looked at: twice in the second half.
const CLAIMS_IN_A_LEASE: u32 = 3;
/// After which a replica is taken for dead.
const MISSED_BEATS: u32 = 3;
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST_PERIOD: Duration = Duration::from_hours(1);
const LONGEST_IDLE_PERIOD: Duration = Duration::from_hours(24);
const MOST_AT_ONCE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_acceptable() {
        assert_eq!(HealthConfig::default().check(), Ok(()));
        let watched = HealthConfig::default().watched_within(Duration::from_secs(8));
        assert_eq!(watched, Duration::from_secs(48));
    }

    #[test]
    fn spans_that_hold_no_bound_are_refused_by_name() {
        type Change = fn(&mut HealthConfig, f64);
        let fields: [(&str, Change); 5] = [
            ("period_seconds", |config, span| config.period_seconds = span),
            ("idle_period_seconds", |config, span| config.idle_period_seconds = span),
            ("lease_seconds", |config, span| config.lease_seconds = span),
            ("hearing_seconds", |config, span| config.hearing_seconds = span),
            ("version_period_seconds", |config, span| {
                config.version_period_seconds = span;
            }),
        ];
        for (field, change) in fields {
            for span in [0.0, 0.049, -1.0, f64::NAN, f64::INFINITY, 86_401.0] {
                let mut config = HealthConfig::default();
                change(&mut config, span);
                let refused = config.check();
                assert!(
                    matches!(refused, Err(ConfigError::Field(named, _)) if named == field),
                    "{field} = {span}: {refused:?}"
                );
            }
        }
    }

    #[test]
    fn a_lease_is_long_enough_to_be_extended_by_whoever_looks_for_long() {
        for (period_seconds, lease_seconds, is_accepted) in [
            (30.0, 3.0, true),
            (30.0, 2.9, false),
            (900.0, 3.0, true),
            (1.0, 0.15, true),
            (1.0, 0.1, false),
            (10.0, 0.9, false),
        ] {
            let config = HealthConfig {
                period_seconds,
                lease_seconds,
                ..HealthConfig::default()
            };
            assert_eq!(config.check().is_ok(), is_accepted, "{period_seconds}, {lease_seconds}");
        }
    }

    #[test]
    fn idle_tenants_are_not_looked_at_more_often_than_others() {
        let config = HealthConfig {
            idle_period_seconds: 29.0,
            ..HealthConfig::default()
        };
        assert!(config.check().is_err());
    }

    #[test]
    fn a_replica_looks_at_something_and_not_at_everything_at_once() {
        for (concurrency, is_accepted) in [(0, false), (1, true), (1_024, true), (1_025, false)] {
            let config = HealthConfig {
                concurrency,
                ..HealthConfig::default()
            };
            assert_eq!(config.check().is_ok(), is_accepted, "{concurrency}");
        }
    }
}

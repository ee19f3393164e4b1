//! How long keys may be kept and used: as options, as a registration file's fields, and for people.

use clap::Args;
use keyferry_client::Policy;
use serde::Deserialize;

/// What is said of a policy. What is not said stays.
#[derive(Args, Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicyOptions {
    /// How long an unwrapped data key may be kept for opening, in seconds; 0 keeps none
    #[arg(long)]
    #[serde(rename = "cache_ttl_seconds")]
    cache_ttl: Option<u64>,
    /// The longest a replica seals with one data key, in seconds
    #[arg(long)]
    #[serde(rename = "lease_max_age_seconds")]
    lease_max_age: Option<u64>,
    /// The most messages it seals with one
    #[arg(long)]
    lease_max_messages: Option<u64>,
    /// How much longer a cached key may open while the vault is unavailable, in seconds
    #[arg(long)]
    #[serde(rename = "outage_grace_seconds")]
    outage_grace: Option<u64>,
}

impl PolicyOptions {
    /// The policy with what was given; `None` if nothing was.
    pub(crate) fn over(&self, base: Policy) -> Option<Policy> {
        let policy = Policy {
            cache_ttl_seconds: self.cache_ttl.unwrap_or(base.cache_ttl_seconds),
            lease_max_age_seconds: self.lease_max_age.unwrap_or(base.lease_max_age_seconds),
            lease_max_messages: self.lease_max_messages.unwrap_or(base.lease_max_messages),
            outage_grace_seconds: self.outage_grace.unwrap_or(base.outage_grace_seconds),
        };
        (policy != base).then_some(policy)
    }
}

/// A policy, for people.
pub(crate) fn fields(policy: &Policy) -> [(&'static str, String); 3] {
    [
        ("cache TTL", format!("{} s", policy.cache_ttl_seconds)),
        (
            "lease",
            format!(
                "{} s or {} messages",
                policy.lease_max_age_seconds, policy.lease_max_messages
            ),
        ),
        ("outage grace", format!("{} s", policy.outage_grace_seconds)),
    ]
}

/// What the service takes if a registration names no policy.
pub(crate) const DEFAULT_POLICY: Policy = Policy {
    cache_ttl_seconds: 300,
    lease_max_age_seconds: 300,
    lease_max_messages: 1_000_000,
    outage_grace_seconds: 0,
};

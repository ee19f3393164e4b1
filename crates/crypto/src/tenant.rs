//! What sealing and opening need to know of a tenant. The registry's `Tenant` carries one.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::id::{DirectoryId, KeyRef, KeyVersion, TenantId};

/// A tenant's keys and how they may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKeys {
    /// The tenant: every envelope is bound to it.
    pub tenant: TenantId,
    /// The customer's Entra directory, where our principal gets its tokens for this tenant's vaults.
    pub directory: DirectoryId,
    /// The key that wraps new data keys.
    pub current: KeyRef,
    /// Which version of the current key wraps.
    pub version: VersionPolicy,
    /// Keys that were current before: they still open what they wrapped, and wrap nothing.
    pub former: Vec<KeyRef>,
    /// How long keys may be kept and used.
    pub policy: SealingPolicy,
    /// The way to the current key's vault. Other vaults, of former keys, are reached over the public network.
    pub route: Route,
}

/// The way to a vault. Never a choice at the time of a call: what it says is taken, or nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Route {
    /// The public network.
    #[default]
    Public,
    /// A private endpoint at this address of our network. The vault's name and certificate are the same as ever.
    Private(IpAddr),
    /// None: there must be a private endpoint, and the customer has rejected or removed it. No call is made.
    Closed,
}

/// Which version of a tenant's key wraps new data keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionPolicy {
    /// Whichever is the latest at the time of wrapping.
    #[default]
    FollowLatest,
    /// This one, whatever the customer rotates to.
    Pinned(KeyVersion),
}

/// How long a tenant's data keys may be kept and used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SealingPolicy {
    /// How long an unwrapped data key may be kept for opening, from insertion. Zero keeps nothing. At most
    /// [`SealingPolicy::MAX_CACHE_TTL`].
    pub cache_ttl: Duration,
    /// The longest a replica seals with one data key.
    pub lease_max_age: Duration,
    /// The most messages a replica seals with one data key; 1 gives every message its own. At least 1.
    pub lease_max_messages: u64,
    /// How much longer than its TTL a cached key may open while the vault is unavailable (never when it refuses). Zero,
    /// the default, grants none.
    pub outage_grace: Duration,
}

impl SealingPolicy {
    /// The longest cache TTL a tenant may set: one hour.
    pub const MAX_CACHE_TTL: Duration = Duration::from_hours(1);
    /// The longest lease a tenant may set: one hour.
    pub const MAX_LEASE_AGE: Duration = Duration::from_hours(1);
    /// The longest outage grace a tenant may set: one day.
    pub const MAX_OUTAGE_GRACE: Duration = Duration::from_hours(24);
}

impl Default for SealingPolicy {
    /// Five minutes of cache, leases of five minutes or a million messages, no outage grace.
    fn default() -> Self {
        Self {
            cache_ttl: Duration::from_mins(5),
            lease_max_age: Duration::from_mins(5),
            lease_max_messages: 1_000_000,
            outage_grace: Duration::ZERO,
        }
    }
}

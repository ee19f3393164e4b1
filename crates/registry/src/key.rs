//! How tenants' keys are, as it was last found out: by one replica, for all.
//!
//! A row for each tenant says how its key is and which replica looks after it; a log says what happened to it, and is what other
//! replicas are told of. An event has a revision of the same sequence as tenants' changes and comes in the same feed, so that
//! whoever has followed up to a revision has heard of all before it.

mod document;
pub(crate) mod row;
mod store;

use std::time::Duration;

use keyferry_crypto::{
    canary::Canary,
    id::{KekId, TenantId},
    news::Refusal,
    vault::{Evidence, VaultCause},
};
use time::OffsetDateTime;
use uuid::Uuid;

pub use self::store::KeyStore;
use crate::tenant::Revision;

/// How a tenant's key is.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyHealth {
    /// Whose key.
    pub tenant: TenantId,
    /// How it is.
    pub state: KeyState,
    /// Since when it is so.
    pub since: OffsetDateTime,
    /// When the vault was last asked; never if absent.
    pub checked_at: Option<OffsetDateTime>,
    /// When the vault last unwrapped a canary; never if absent.
    pub served_at: Option<OffsetDateTime>,
    /// The newest version of the key that was seen, and when that was last looked up.
    pub newest: Option<Newest>,
    /// A canary for each version that seals or sealed, newest first; at most [`KeyHealth::MAX_CANARIES`].
    pub canaries: Vec<Canary>,
    /// How many checks in a row were in vain.
    pub failures: u32,
    /// When the next check is due.
    pub due_at: OffsetDateTime,
    /// Which replica looks after it; none if absent.
    pub owner: Option<ReplicaId>,
    /// Until when it does, if it does not say so again.
    pub owned_until: Option<OffsetDateTime>,
    /// When a replica last said that it holds something of the tenant's; never if absent.
    pub held_at: Option<OffsetDateTime>,
}

/// The newest version of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The version.
    pub kek: KekId,
    /// When it was last looked up.
    pub seen_at: OffsetDateTime,
}

/// How a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Nobody has asked yet, or it can no longer be told.
    Unknown,
    /// The vault unwraps.
    Healthy,
    /// The vault is asked in vain, or throttles. Unavailable is not revoked.
    Degraded(Trouble),
    /// The customer refuses.
    Refused(Trouble),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Why.
    pub cause: VaultCause,
    /// What the vault said.
    pub evidence: Evidence,
}

/// One replica of the service, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaId(pub Uuid);

/// A replica, as it makes itself known.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// Which.
    pub id: ReplicaId,
    /// Where it runs, for people: its host name.
    pub name: String,
    /// The release it is of.
    pub release: String,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// When it last made itself known.
    pub seen_at: OffsetDateTime,
    /// Up to where it has followed, and obeyed.
    pub followed: Revision,
}

/// Something that happened to a tenant's key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyEvent {
    /// Its place in the feed.
    pub revision: Revision,
    /// Whose key.
    pub tenant: TenantId,
    /// When.
    pub at: OffsetDateTime,
    /// Which replica found it out.
    pub by: ReplicaId,
    /// What.
    pub what: KeyNews,
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyNews {
    /// The customer refuses: what it means is evicted everywhere.
    Withdrawn(Refusal),
    /// Its state became this.
    State(KeyState),
    /// A version that was not known to be its newest is, and the tenant follows.
    Version(KekId),
}

/// That a replica has obeyed a withdrawal.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement {
    /// Which.
    pub replica: ReplicaId,
    /// Its name.
    pub name: String,
    /// When.
    pub at: OffsetDateTime,
}

/// A key that this replica is to look after.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// How it was.
    pub health: KeyHealth,
    /// Whether some replica holds anything of the tenant's, or did a short while ago: then it is looked at often.
    pub is_held: bool,
}

/// What a look at a key found.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// How the key is now. Its `owner`, `owned_until`, `due_at` and `held_at` are not read.
    pub health: KeyHealth,
    /// How long until the next look.
    pub due_in: Duration,
    /// Whether this replica goes on looking after it; if not, another takes it, or this one after all once the lease is over.
    pub keeps: bool,
    /// What happened, for all to hear.
    pub news: Vec<KeyNews>,
}

impl KeyHealth {
    /// The most versions of a key that are watched: those that sealed last.
    pub const MAX_CANARIES: usize = 8;
}

impl KeyState {
    /// Its name on the wire and in the store: `unknown`, `healthy`, `degraded` or `refused`.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded(_) => "degraded",
            Self::Refused(_) => "refused",
        }
    }

    /// What is wrong, if anything is known to be.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Unknown | Self::Healthy => None,
            Self::Degraded(trouble) | Self::Refused(trouble) => Some(trouble),
        }
    }
}

impl KeyEvent {
    /// How long what happened is kept; the newest event of all, and what a tenant's row says, for good.
    pub const KEPT: time::Duration = time::Duration::days(90);
    /// How many are forgotten in one round of purging.
    pub(crate) const FORGOTTEN_AT_ONCE: i64 = 1_000;
    /// How many of one key are kept, so that a customer whose key comes and goes does not fill the registry.
    pub(crate) const KEPT_OF_ONE: i64 = 1_000;
    /// How long one is kept however many there are: longer than any replica holds what it got before it, and so may need to hear of
    /// it (an hour of cache, and a day of outage grace).
    pub(crate) const KEPT_OF_MANY: Duration = Duration::from_hours(48);
    /// How many of a key's are forgotten at the most whenever one is added.
    pub(crate) const FORGOTTEN_FOR_ONE: i64 = 100;
}

impl ReplicaId {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl std::fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

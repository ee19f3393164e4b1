//! Keys to try things on, and replicas that look after them.

use std::time::Duration;

use keyferry_crypto::{
    canary::Canary,
    id::{KekId, TenantId},
    news::Refusal,
    vault::{Call, Evidence, VaultCause},
};
use keyferry_registry::{
    KeyStore, Store, Tenant,
    key::{Claimed, KeyHealth, KeyNews, KeyState, Looked, Newest, Replica, ReplicaId, Trouble},
};

use crate::{
    stores::{Raw, at},
    world::{key, tenant},
};

/// How long a replica keeps a key to itself beyond its next look.
pub const LEASE: Duration = Duration::from_secs(10);
/// How long ago a replica may have said that it holds something.
pub const HELD: Duration = Duration::from_mins(2);

pub async fn registered(store: &dyn Store, name: &str) -> Tenant {
    store.create(&tenant(name), None).await.expect("created").tenant
}

/// What a replica claims, up to `limit`.
pub async fn claims(store: &dyn Store, replica: ReplicaId, limit: u32) -> Vec<Claimed> {
    store.claim_keys(replica, LEASE, HELD, limit).await.expect("claimed")
}

/// Whose keys a replica claims.
pub async fn claimed(store: &dyn Store, replica: ReplicaId) -> Vec<TenantId> {
    let claimed = claims(store, replica, 100).await.into_iter();
    claimed.map(|claimed| claimed.health.tenant).collect()
}

/// The one key that a replica claims.
pub async fn claims_one(store: &dyn Store, replica: ReplicaId) -> KeyHealth {
    let [claimed] = <[_; 1]>::try_from(claims(store, replica, 2).await).expect("one");
    claimed.health
}

pub async fn saves(store: &dyn Store, replica: ReplicaId, looked: Looked) -> usize {
    let revisions = store.save_looks(replica, &[looked], LEASE).await;
    revisions.expect("saved").len()
}

/// A look that found a key healthy, half a minute before the next.
pub fn looked(health: KeyHealth) -> Looked {
    Looked {
        health: KeyHealth {
            state: KeyState::Healthy,
            checked_at: Some(
                health
                    .checked_at
                    .map_or(at(0), |before| before + time::Duration::SECOND),
            ),
            ..health
        },
        due_in: Duration::from_secs(30),
        keeps: true,
        news: Vec::new(),
    }
}

pub fn replica(name: &str) -> Replica {
    Replica {
        id: ReplicaId::generate(),
        name: name.to_owned(),
        release: "0.1.0".to_owned(),
        started_at: at(0),
        seen_at: at(0),
        followed: keyferry_registry::Revision(0),
    }
}

pub fn evidence(request: &str) -> Evidence {
    Evidence {
        status: Some(403),
        code: Some("ForbiddenByRbac".to_owned()),
        request_id: Some(request.to_owned()),
    }
}

pub fn trouble(cause: VaultCause) -> Trouble {
    Trouble {
        cause,
        evidence: evidence("r-1"),
    }
}

/// The customer refuses, as the vault said in answer to `request`.
pub fn withdrawn(request: &str) -> KeyNews {
    KeyNews::Withdrawn(Refusal {
        call: Call::Unwrap,
        key: key("kek"),
        version: None,
        cause: VaultCause::RoleMissing,
        evidence: evidence(request),
    })
}

pub fn kek(version: u8) -> KekId {
    KekId {
        key: key("kek"),
        version: format!("{version:032x}").parse().expect("a version"),
    }
}

pub fn newest(version: u8) -> Newest {
    Newest {
        kek: kek(version),
        seen_at: at(7),
    }
}

pub fn canary(version: u8) -> Canary {
    Canary {
        kek: kek(version),
        wrapped: vec![version; 384].into(),
        digest: [version; 32],
    }
}

impl Raw {
    /// Lets time pass for keys' health, whatever clock the store goes by.
    pub async fn passes(&mut self, seconds: u32) {
        self.moves(seconds.into()).await;
    }

    /// The database's clock is set back by so much, as far as keys' health goes.
    pub async fn is_set_back(&mut self, seconds: u32) {
        self.moves(-i64::from(seconds)).await;
    }

    async fn moves(&mut self, seconds: i64) {
        let ago = match self {
            Self::Postgres(_) => format!("interval '{seconds} seconds'"),
            Self::Sqlite(_) => format!("({})", seconds * 1_000_000),
        };
        // 1970 stays: it stands for never.
        let epoch = match self {
            Self::Postgres(_) => "'epoch'",
            Self::Sqlite(_) => "0",
        };
        self.execute(&format!(
            "update key_health set due_at = due_at - {ago}, owned_until = owned_until - {ago}, claimed_at = claimed_at - {ago},
                 held_at = held_at - {ago}, looked_at = case when looked_at = {epoch} then looked_at else looked_at - {ago} end;
             update replicas set seen_at = seen_at - {ago}"
        ))
        .await
        .expect("passed");
    }
}

/// How a tenant's key is.
pub async fn health(store: &(impl KeyStore + ?Sized), tenant: &Tenant) -> KeyHealth {
    let health = store.key_health(tenant.keys.tenant).await.expect("asked");
    health.expect("there")
}

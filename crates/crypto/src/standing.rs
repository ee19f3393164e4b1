//! Whether keys that were got through a key encryption key may still be used.
//!
//! A [`Standing`] is begun before the vault is asked, and whatever the answer brings (a cached data key, a lease, a
//! remembered refusal) holds on to it. To evict is to withdraw standings: one store, at once, in whatever is held and in
//! whatever is still under way, since a call that began before the eviction brings its key under a standing that is
//! already withdrawn. Whoever asks after the eviction gets a new standing, and so a call of its own. Nothing needs to be
//! searched for; the memory is wiped a moment later by `tidy`.
//!
//! A standing leaves the table only when nothing but the table holds it, so none that matters is ever overlooked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use crate::{
    id::{KekId, KeyRef, KeyVersion, TenantId},
    vault::Reach,
};

/// What a standing is about: a tenant's key, at one version (to unwrap) or at whichever is current (to wrap).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) key: KeyRef,
    pub(crate) version: Option<KeyVersion>,
}

/// Whether what was got through a key may still be used.
pub(crate) struct Standing {
    id: StandingId,
    tenant: TenantId,
    subject: Subject,
    withdrawn: AtomicBool,
}

/// Never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StandingId(u64);

/// The standings of all tenants.
pub(crate) struct Standings {
    shards: [Mutex<Shard>; SHARDS],
    next: AtomicU64,
    next_pruned: AtomicUsize,
}

type Shard = HashMap<TenantId, HashMap<Subject, Arc<Standing>>>;

impl Standing {
    pub(crate) fn id(&self) -> StandingId {
        self.id
    }

    pub(crate) fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether what was got under this standing must not be used any more.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }
}

impl Standings {
    pub(crate) fn new() -> Self {
        Self {
            shards: Default::default(),
            next: AtomicU64::new(0),
            next_pruned: AtomicUsize::new(0),
        }
    }

    /// The standing under which to ask for `subject`.
    pub(crate) fn of(&self, tenant: TenantId, subject: Subject) -> Arc<Standing> {
        let mut shard = self.shard(tenant);
        let standing = shard.entry(tenant).or_default().entry(subject);
        let standing = standing.or_insert_with_key(|subject| {
            Arc::new(Standing {
                id: StandingId(self.next.fetch_add(1, Ordering::Relaxed)),
                tenant,
                subject: subject.clone(),
                withdrawn: AtomicBool::new(false),
            })
        });
        Arc::clone(standing)
    }

    /// Withdraws everything of a tenant.
    pub(crate) fn withdraw_all(&self, tenant: TenantId) {
        for standing in self.shard(tenant).remove(&tenant).unwrap_or_default().values() {
            standing.withdraw();
        }
    }

    /// Withdraws everything of every tenant.
    pub(crate) fn withdraw_everything(&self) {
        for shard in &self.shards {
            for standing in std::mem::take(&mut *lock(shard)).values().flat_map(HashMap::values) {
                standing.withdraw();
            }
        }
    }

    /// Withdraws what a refusal concerns, and begins the standing under which the refusal may be remembered. `None` if
    /// the refused standing was withdrawn before: its news is old.
    pub(crate) fn withdraw(&self, refused: &Standing, reach: Reach) -> Option<Arc<Standing>> {
        {
            let mut shard = self.shard(refused.tenant);
            if refused.is_withdrawn() {
                return None;
            }
            refused.withdraw();
            shard.entry(refused.tenant).or_default().retain(|subject, standing| {
                let concerned = refused.subject.concerns(subject, reach);
                if concerned {
                    standing.withdraw();
                }
                !concerned
            });
        }
        Some(self.of(refused.tenant, refused.subject.clone()))
    }

    /// Forgets the standings that nothing holds, in one of the shards: the next one each time.
    pub(crate) fn prune(&self) {
        let next = self.next_pruned.fetch_add(1, Ordering::Relaxed) % SHARDS;
        if let Some(shard) = self.shards.get(next) {
            lock(shard).retain(|_, standings| {
                standings.retain(|_, standing| Arc::strong_count(standing) > 1);
                !standings.is_empty()
            });
        }
    }

    fn shard(&self, tenant: TenantId) -> MutexGuard<'_, Shard> {
        // The last byte of a UUIDv7 is random.
        let [.., last] = *tenant.as_bytes();
        let [first_shard, ..] = &self.shards;
        lock(self.shards.get(usize::from(last) % SHARDS).unwrap_or(first_shard))
    }
}

impl Subject {
    /// One version, to unwrap.
    pub(crate) fn kek(kek: &KekId) -> Self {
        Self {
            key: kek.key.clone(),
            version: Some(kek.version.clone()),
        }
    }

    /// Whichever version is current, to wrap.
    pub(crate) fn current(key: &KeyRef) -> Self {
        Self {
            key: key.clone(),
            version: None,
        }
    }

    /// Whether a refusal of this concerns `other`. Where a key was refused at no particular version, any may be meant.
    fn concerns(&self, other: &Self, reach: Reach) -> bool {
        match reach {
            Reach::Key => self.key == other.key && (self.version.is_none() || self.version == other.version),
            Reach::Vault => self.key.vault == other.key.vault,
            Reach::Directory => true,
        }
    }
}

/// The table is never left half-changed, so a panic elsewhere does not spoil it.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::nil());

    fn subject(vault: &str, name: &str, version: Option<char>) -> Subject {
        Subject {
            key: KeyRef {
                vault: format!("{vault}.vault.azure.net").parse().unwrap(),
                name: name.parse().unwrap(),
            },
            version: version.map(|digit| digit.to_string().repeat(32).parse().unwrap()),
        }
    }

    #[test]
    fn a_refusal_reaches_as_far_as_its_cause() {
        let subjects = [
            subject("acme", "kek", Some('1')),
            subject("acme", "kek", Some('2')),
            subject("acme", "kek", None),
            subject("acme", "old", Some('1')),
            subject("other", "kek", Some('1')),
        ];
        for (refused, reach, expected) in [
            (0, Reach::Key, [true, false, false, false, false]),
            (2, Reach::Key, [true, true, true, false, false]),
            (0, Reach::Vault, [true, true, true, true, false]),
            (0, Reach::Directory, [true; 5]),
        ] {
            let standings = Standings::new();
            let all = subjects.clone().map(|subject| standings.of(TENANT, subject));
            let neighbour = standings.of(TenantId(Uuid::max()), subjects[0].clone());
            standings.withdraw(&all[refused], reach);
            assert_eq!(
                all.map(|standing| standing.is_withdrawn()),
                expected,
                "{refused} {reach:?}"
            );
            assert!(!neighbour.is_withdrawn());
        }
    }

    #[test]
    fn after_a_withdrawal_there_is_a_new_standing() {
        let standings = Standings::new();
        let before = standings.of(TENANT, subject("acme", "kek", None));
        assert_eq!(before.id(), standings.of(TENANT, subject("acme", "kek", None)).id());
        standings.withdraw_all(TENANT);
        let after = standings.of(TENANT, subject("acme", "kek", None));
        assert!(before.is_withdrawn() && !after.is_withdrawn());
        assert_ne!(before.id(), after.id());
        assert!(standings.withdraw(&before, Reach::Directory).is_none(), "old news");
        assert!(!after.is_withdrawn());
    }

    #[test]
    fn only_standings_that_nothing_holds_are_forgotten() {
        let standings = Standings::new();
        let held = standings.of(TENANT, subject("acme", "kek", Some('1')));
        standings.of(TENANT, subject("acme", "kek", Some('2')));
        for _ in 0..SHARDS {
            standings.prune();
        }
        let kept: Vec<_> = standings.shard(TENANT)[&TENANT]
            .values()
            .map(|standing| standing.id())
            .collect();
        assert_eq!(kept, [held.id()]);
    }
}

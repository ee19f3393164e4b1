//! Whether keys that were got through a key encryption key may still be used.
//!
//! A [`Standing`] is begun before the vault is asked, and whatever the answer brings (a cached data key, a lease, a
//! remembered refusal) holds on to it. To evict is to withdraw standings: one store, at once, in whatever is held and in
//! whatever is still under way, since a call that began before the eviction brings its key under a standing that is
//! already withdrawn. Whoever asks after the eviction gets a new standing, and so a call of its own. Nothing needs to be
//! searched for; the memory is wiped a moment later by `tidy`.
//!
//! Where a refusal may or may not mean a key, its standing is put in doubt: the next to use the key asks the vault first,
//! and the answer decides for all. Where a refusal may pass, all that it would withdraw is put in question, and is used by
//! nobody until it is known (see [`Question`]).
//!
//! A standing leaves the table only when nothing but the table holds it, so none that matters is ever overlooked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use tokio::time::Instant;

use crate::{
    id::{KekId, KeyRef, KeyVersion, TenantId},
    moment::{AtomicMoment, Epoch, Moment},
    question::Question,
    tenant::{TenantKeys, VersionPolicy},
    turns::Turns,
    vault::{Call, Meaning, Reach},
};

/// What a standing is about: what is asked of a tenant's key, at one version or, to wrap, at whichever is the latest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) call: Call,
    pub(crate) key: KeyRef,
    pub(crate) version: Option<KeyVersion>,
}

/// Whether what was got through a key may still be used.
pub(crate) struct Standing {
    id: StandingId,
    tenant: TenantId,
    subject: Subject,
    epoch: Epoch,
    /// From when on it counts for it that others watch, if not from the start: see [`Standings::withdraw`].
    watched_from: Option<Moment>,
    /// [`WITHDRAWN`], [`QUESTIONED`] and [`WATCHED`], together for who looks with every message.
    flags: AtomicU8,
    /// What it is in question for, if it is.
    questions: Mutex<Vec<Arc<Question>>>,
    /// Since when it is in doubt, if it is.
    doubted: AtomicMoment,
    /// When the last call began upon which the vault did as asked.
    served: AtomicMoment,
    /// Until when it counts that the vault was asked for its word in vain.
    in_vain_until: AtomicMoment,
    /// Whose turn it is to ask the vault for its word in the background.
    asking: Turns,
}

/// Never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StandingId(u64);

/// The standings of all tenants.
pub(crate) struct Standings {
    shards: [Mutex<Shard>; SHARDS],
    epoch: Epoch,
    /// When tenants were last refused something.
    refused: Cache<TenantId, Moment>,
    next: AtomicU64,
    next_pruned: AtomicUsize,
}

/// What is left of a standing that was withdrawn.
pub(crate) struct Withdrawal {
    /// The standing that follows it, under which the refusal may be remembered.
    pub(crate) anew: Arc<Standing>,
    /// Whether the vault had served under anything that was withdrawn. If not, there is nothing to be wiped.
    pub(crate) is_eviction: bool,
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
        self.has(WITHDRAWN)
    }

    /// Whether what was got under this standing must not be used before it is known whether it still may.
    pub(crate) fn is_in_question(&self) -> bool {
        self.has(QUESTIONED)
    }

    /// Whether it counts for it that others watch: they do look at the key under its version.
    pub(crate) fn is_watched(&self, now: Moment) -> bool {
        self.has(WATCHED) && self.watched_from.is_none_or(|from| now >= from)
    }

    /// What it is in question for just now.
    pub(crate) fn questions(&self) -> Vec<Arc<Question>> {
        lock(&self.questions).clone()
    }

    /// Takes it out of a question.
    pub(crate) fn settle(&self, question: &Arc<Question>) {
        let mut questions = lock(&self.questions);
        questions.retain(|other| !Arc::ptr_eq(other, question));
        if questions.is_empty() {
            self.flags.fetch_and(!QUESTIONED, Ordering::AcqRel);
        }
    }

    /// Whether the caller is the one to ask the vault before anything is used that was got under this standing.
    pub(crate) fn claims_doubt(&self) -> bool {
        self.doubted.take()
    }

    /// Has the next who uses what was got under this standing ask the vault first.
    pub(crate) fn doubt(&self, now: Instant) {
        self.doubted.advance(self.epoch.moment(now));
    }

    /// Notes that the vault did as asked by a call that began then. What was doubted later stays in doubt.
    pub(crate) fn note_served(&self, began: Instant) {
        let began = self.epoch.moment(began);
        self.served.advance(began);
        self.doubted.settle(began);
    }

    /// How long after the first of all standings it is then.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        self.epoch.age(now)
    }

    /// When the last call began upon which the vault did as asked.
    pub(crate) fn served(&self) -> Option<Moment> {
        self.served.get()
    }

    /// Whether the vault ever did as asked.
    pub(crate) fn has_served(&self) -> bool {
        self.served().is_some()
    }

    /// Whether the vault did as asked less than `age` ago.
    pub(crate) fn has_served_within(&self, age: Duration, now: Instant) -> bool {
        self.served()
            .is_some_and(|served| self.epoch.moment(now) < served.plus(age))
    }

    /// Notes that the vault was asked for its word in vain, which counts for so long.
    pub(crate) fn note_in_vain(&self, now: Instant, memory: Duration) {
        self.in_vain_until.advance(self.epoch.moment(now).plus(memory));
    }

    /// Until when it counts that the vault was asked for its word in vain.
    pub(crate) fn in_vain_until(&self) -> Option<Moment> {
        self.in_vain_until.get()
    }

    /// Whether it counts now that the vault was asked for its word in vain.
    pub(crate) fn is_in_vain(&self, now: Instant) -> bool {
        self.in_vain_until().is_some_and(|until| self.epoch.moment(now) < until)
    }

    /// Whether the caller is the one to ask the vault for its word in the background now; for so long nobody else is.
    pub(crate) fn claims_asking(&self, now: Instant, pause: Duration) -> bool {
        self.asking.claim(self.epoch.age(now), pause)
    }

    fn question(&self, question: &Arc<Question>) {
        let mut questions = lock(&self.questions);
        questions.push(Arc::clone(question));
        self.flags.fetch_or(QUESTIONED, Ordering::AcqRel);
    }

    /// Whether a refusal of this that means so much casts doubt upon `other`.
    fn casts_doubt(&self, meaning: Meaning, other: &Subject) -> bool {
        meaning.doubted.is_some_and(|reach| self.subject.concerns(other, reach))
    }

    fn watch(&self, is_watched: bool) {
        if is_watched {
            self.flags.fetch_or(WATCHED, Ordering::AcqRel);
        } else {
            self.flags.fetch_and(!WATCHED, Ordering::AcqRel);
        }
    }

    fn withdraw(&self) {
        self.flags.fetch_or(WITHDRAWN, Ordering::AcqRel);
    }

    fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Acquire) & flag != 0
    }
}

impl Standings {
    pub(crate) fn new() -> Self {
        Self {
            shards: Default::default(),
            epoch: Epoch::at(Instant::now()),
            refused: Cache::builder()
                .max_capacity(MOST_REFUSED)
                .time_to_live(SPREADING)
                .build(),
            next: AtomicU64::new(0),
            next_pruned: AtomicUsize::new(0),
        }
    }

    /// What moments are counted from here.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
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
                epoch: self.epoch,
                watched_from: self.refused.get(&tenant).map(|refused| refused.plus(SPREADING)),
                flags: AtomicU8::new(0),
                questions: Mutex::default(),
                doubted: AtomicMoment::default(),
                served: AtomicMoment::default(),
                in_vain_until: AtomicMoment::default(),
                asking: Turns::default(),
            })
        });
        Arc::clone(standing)
    }

    /// The standings of a tenant.
    pub(crate) fn all_of(&self, tenant: TenantId) -> Vec<Arc<Standing>> {
        let shard = self.shard(tenant);
        let standings = shard.get(&tenant).map(|standings| standings.values().cloned());
        standings.into_iter().flatten().collect()
    }

    /// Withdraws the standing of one subject alone, and begins another. The other.
    pub(crate) fn renew(&self, tenant: TenantId, subject: Subject) -> Arc<Standing> {
        if let Some(standings) = self.shard(tenant).get_mut(&tenant)
            && let Some(standing) = standings.remove(&subject)
        {
            standing.withdraw();
        }
        self.of(tenant, subject)
    }

    /// Withdraws everything of a tenant. Whether the vault had served under any of it.
    pub(crate) fn withdraw_all(&self, tenant: TenantId) -> bool {
        withdrawn(self.shard(tenant).remove(&tenant).unwrap_or_default().values())
    }

    /// Withdraws everything of every tenant. Whether a vault had served under any of it.
    pub(crate) fn withdraw_everything(&self) -> bool {
        let mut is_eviction = false;
        for shard in &self.shards {
            let standings = std::mem::take(&mut *lock(shard));
            is_eviction |= withdrawn(standings.values().flat_map(HashMap::values));
        }
        is_eviction
    }

    /// Withdraws and doubts what a refusal means, which was first said then: what the vault was asked for since is in no doubt.
    /// `None` if the refused standing was withdrawn before: its news is old.
    ///
    /// While a change spreads, one of the vault's machines may still grant what another has refused for good, and the watch, which
    /// has told of the refusal, has nothing to add. So for [`SPREADING`] what is got anew is used on the vault's own word alone.
    pub(crate) fn withdraw(&self, refused: &Standing, meaning: Meaning, said: Instant) -> Option<Withdrawal> {
        let mut is_eviction = false;
        {
            let mut shard = self.shard(refused.tenant);
            if refused.is_withdrawn() {
                return None;
            }
            self.refused.insert(refused.tenant, self.epoch.moment(said));
            shard.entry(refused.tenant).or_default().retain(|subject, standing| {
                let is_meant = refused.subject.concerns(subject, meaning.withdrawn);
                if is_meant {
                    is_eviction |= standing.has_served();
                    standing.withdraw();
                } else if refused.casts_doubt(meaning, subject) && standing.served() <= Some(self.epoch.moment(said)) {
                    standing.doubt(said);
                }
                !is_meant
            });
        }
        Some(Withdrawal {
            anew: self.of(refused.tenant, refused.subject.clone()),
            is_eviction,
        })
    }

    /// Puts in question what a refusal would withdraw, and doubts what it would doubt. Those that are in question.
    pub(crate) fn question(
        &self,
        refused: &Standing,
        meaning: Meaning,
        question: &Arc<Question>,
        now: Instant,
    ) -> Vec<Arc<Standing>> {
        let mut questioned = vec![];
        if let Some(standings) = self.shard(refused.tenant).get(&refused.tenant) {
            for (subject, standing) in standings {
                if refused.subject.concerns(subject, meaning.withdrawn) {
                    standing.question(question);
                    questioned.push(Arc::clone(standing));
                } else if refused.casts_doubt(meaning, subject) {
                    standing.doubt(now);
                }
            }
        }
        questioned
    }

    /// Doubts what a refusal reaches, but for what the vault served a moment ago.
    pub(crate) fn doubt(&self, refused: &Standing, reach: Reach, now: Instant) {
        if let Some(standings) = self.shard(refused.tenant).get(&refused.tenant) {
            for (subject, standing) in standings {
                if refused.subject.concerns(subject, reach) && !standing.has_served_within(DOUBT_PAUSE, now) {
                    standing.doubt(now);
                }
            }
        }
    }

    /// The tenants of whom anything is held that a vault gave, or would give. A lease holds on to the standing under which its
    /// data key was, or would be, unwrapped, too; so that is where to look.
    pub(crate) fn held(&self) -> Vec<TenantId> {
        self.held_under(|_| true)
    }

    /// Those of whom anything is held under a version of which it is not known that the key is looked at under it.
    pub(crate) fn held_unwatched(&self) -> Vec<TenantId> {
        self.held_under(|standing| !standing.has(WATCHED))
    }

    /// Takes it that a tenant's keys are looked at under these versions, and no others.
    pub(crate) fn watch(&self, tenant: TenantId, versions: &[KekId]) {
        if let Some(standings) = self.shard(tenant).get(&tenant) {
            for (Subject { call, key, version }, standing) in standings {
                let is_meant = |kek: &KekId| kek.key == *key && Some(&kek.version) == version.as_ref();
                standing.watch(*call == Call::Unwrap && versions.iter().any(is_meant));
            }
        }
    }

    fn held_under(&self, is_meant: impl Fn(&Standing) -> bool) -> Vec<TenantId> {
        let mut held = vec![];
        for shard in &self.shards {
            let shard = lock(shard);
            let is_held = |standing: &Arc<Standing>| {
                let is_unwrap = standing.subject.call == Call::Unwrap;
                is_unwrap && standing.has_served() && Arc::strong_count(standing) > 1 && is_meant(standing)
            };
            let tenants = shard.iter().filter(|(_, standings)| standings.values().any(is_held));
            held.extend(tenants.map(|(tenant, _)| tenant));
        }
        held
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
    /// To unwrap with one version.
    pub(crate) fn unwrap(kek: &KekId) -> Self {
        Self {
            call: Call::Unwrap,
            key: kek.key.clone(),
            version: Some(kek.version.clone()),
        }
    }

    /// To wrap with a tenant's current key, at the version that its policy names.
    pub(crate) fn wrap(tenant: &TenantKeys) -> Self {
        Self {
            call: Call::Wrap,
            key: tenant.current.clone(),
            version: match &tenant.version {
                VersionPolicy::FollowLatest => None,
                VersionPolicy::Pinned(version) => Some(version.clone()),
            },
        }
    }

    /// Whether a refusal of this concerns `other`. Where a key was refused at no particular version, any may be meant.
    pub(crate) fn concerns(&self, other: &Self, reach: Reach) -> bool {
        match reach {
            Reach::Call => self == other,
            Reach::Version => self.key == other.key && (self.version.is_none() || self.version == other.version),
            Reach::Key => self.key == other.key,
            Reach::Vault => self.key.vault == other.key.vault,
            Reach::Directory => true,
        }
    }
}

/// Withdraws these. Whether the vault had served under any of them.
fn withdrawn<'a>(standings: impl Iterator<Item = &'a Arc<Standing>>) -> bool {
    let mut is_eviction = false;
    for standing in standings {
        is_eviction |= standing.has_served();
        standing.withdraw();
    }
    is_eviction
}

/// Nothing here is ever left half-changed, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const WITHDRAWN: u8 = 1;
const QUESTIONED: u8 = 2;
const WATCHED: u8 = 4;

const SHARDS: usize = 16;
/// The longest that a change takes to spread through a vault and its directory, and half as long again.
const SPREADING: Duration = Duration::from_mins(15);
/// More tenants than will have refused within that time.
const MOST_REFUSED: u64 = 100_000;
/// How long after the vault served under a standing it is not doubted for what anyone may have made up.
const DOUBT_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::nil());

    fn subject(call: Call, vault: &str, name: &str, version: Option<char>) -> Subject {
        Subject {
            call,
            key: KeyRef {
                vault: format!("{vault}.vault.azure.net").parse().unwrap(),
                name: name.parse().unwrap(),
            },
            version: version.map(|digit| digit.to_string().repeat(32).parse().unwrap()),
        }
    }

    fn unwrap(vault: &str, name: &str, version: char) -> Subject {
        subject(Call::Unwrap, vault, name, Some(version))
    }

    fn only(withdrawn: Reach) -> Meaning {
        Meaning {
            withdrawn,
            doubted: None,
        }
    }

    #[test]
    fn a_refusal_reaches_as_far_as_its_cause() {
        let subjects = [
            unwrap("acme", "kek", '1'),
            unwrap("acme", "kek", '2'),
            subject(Call::Wrap, "acme", "kek", None),
            subject(Call::Wrap, "acme", "kek", Some('1')),
            unwrap("acme", "old", '1'),
            unwrap("other", "kek", '1'),
        ];
        for (refused, reach, expected) in [
            (0, Reach::Version, [true, false, false, true, false, false]),
            (0, Reach::Key, [true, true, true, true, false, false]),
            (0, Reach::Vault, [true, true, true, true, true, false]),
            (0, Reach::Directory, [true; 6]),
            (2, Reach::Call, [false, false, true, false, false, false]),
            (2, Reach::Version, [true, true, true, true, false, false]),
            (3, Reach::Version, [true, false, false, true, false, false]),
        ] {
            let standings = Standings::new();
            let all = subjects.clone().map(|subject| standings.of(TENANT, subject));
            let neighbour = standings.of(TenantId(Uuid::max()), subjects[0].clone());
            standings.withdraw(&all[refused], only(reach), Instant::now());
            assert_eq!(
                all.map(|standing| standing.is_withdrawn()),
                expected,
                "{refused} {reach:?}"
            );
            assert!(!neighbour.is_withdrawn());
        }
    }

    #[test]
    fn what_is_doubted_is_asked_for_by_one_and_not_withdrawn() {
        let standings = Standings::new();
        let refused = standings.of(TENANT, subject(Call::Wrap, "acme", "kek", None));
        let opening = standings.of(TENANT, unwrap("acme", "kek", '1'));
        let elsewhere = standings.of(TENANT, unwrap("other", "kek", '1'));
        let meaning = Meaning {
            withdrawn: Reach::Call,
            doubted: Some(Reach::Vault),
        };
        standings.withdraw(&refused, meaning, Instant::now());
        assert_eq!(
            [&refused, &opening, &elsewhere].map(|standing| standing.is_withdrawn()),
            [true, false, false]
        );
        assert_eq!([(); 2].map(|()| opening.claims_doubt()), [true, false]);
        assert!(!elsewhere.claims_doubt());
        let began = Instant::now();
        opening.doubt(began + Duration::from_secs(1));
        opening.note_served(began);
        assert!(opening.claims_doubt(), "the vault was asked before");
        opening.doubt(began);
        opening.note_served(began + Duration::from_secs(1));
        assert!(!opening.claims_doubt(), "the vault has said so");
    }

    #[test]
    fn after_a_withdrawal_there_is_a_new_standing() {
        let standings = Standings::new();
        let subject = || unwrap("acme", "kek", '1');
        let before = standings.of(TENANT, subject());
        assert_eq!(before.id(), standings.of(TENANT, subject()).id());
        standings.withdraw_all(TENANT);
        let after = standings.of(TENANT, subject());
        assert!(before.is_withdrawn() && !after.is_withdrawn());
        assert_ne!(before.id(), after.id());
        assert!(
            standings
                .withdraw(&before, only(Reach::Directory), Instant::now())
                .is_none(),
            "old news"
        );
        assert!(!after.is_withdrawn());
    }

    #[test]
    fn a_subject_begins_anew_alone() {
        let standings = Standings::new();
        let subject = || subject(Call::Wrap, "acme", "kek", None);
        let wrapping = standings.of(TENANT, subject());
        let opening = standings.of(TENANT, unwrap("acme", "kek", '1'));
        let anew = standings.renew(TENANT, subject());
        assert!(wrapping.is_withdrawn() && !anew.is_withdrawn() && !opening.is_withdrawn());
        assert_eq!(anew.id(), standings.of(TENANT, subject()).id());
        assert_eq!(standings.all_of(TENANT).len(), 2);
    }

    #[test]
    fn it_is_an_eviction_only_where_the_vault_had_served() {
        let standings = Standings::new();
        let refused = standings.of(TENANT, unwrap("acme", "kek", '1'));
        let now = Instant::now();
        let anew = standings.withdraw(&refused, only(Reach::Key), now).unwrap();
        assert!(!anew.is_eviction);
        standings
            .of(TENANT, unwrap("acme", "kek", '2'))
            .note_served(Instant::now());
        let withdrawal = standings.withdraw(&anew.anew, only(Reach::Key), now).unwrap();
        assert!(withdrawal.is_eviction);
        assert!(!standings.withdraw_all(TENANT));
        standings
            .of(TENANT, unwrap("acme", "kek", '2'))
            .note_served(Instant::now());
        assert!(standings.withdraw_everything());
    }

    #[test]
    fn only_standings_that_nothing_holds_are_forgotten() {
        let standings = Standings::new();
        let held = standings.of(TENANT, unwrap("acme", "kek", '1'));
        standings.of(TENANT, unwrap("acme", "kek", '2'));
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

//! Of whom this replica holds anything, and whether somebody looks at their keys.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use tokio::time::Instant;

use crate::{
    patience::{Asked, Away, in_time},
    versions::AskedAt,
    watch::KeyWatch,
};

/// How long ago a replica may have said that it holds something for it to count: somewhat longer than it takes to say so again.
pub(crate) const HELD: Duration = Duration::from_mins(3);

/// Of whom it was said that something of theirs is held. It is said and asked independently of each other, as either may take long.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said: BTreeMap<TenantId, Said>,
    /// Of whom something was let go since it was last gathered what is to be said. What is being said of them may be of what is not
    /// held any more, and be forgotten.
    let_go: BTreeSet<TenantId>,
    is_all_let_go: bool,
    /// Whose keys' versions are to be asked about.
    rotated: BTreeSet<TenantId>,
}

/// When it was said that something is held.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// By when it was said for the first time.
    first: Instant,
    /// When it was begun to be said last.
    last: Instant,
    /// When it was last asked whose keys are overdue, and this was not, but known to be held.
    watched_at: Option<Instant>,
}

/// Of whom something is held somewhere and whose keys are not looked at as they should be, and when that was asked.
#[derive(Debug)]
struct Overdue {
    tenants: HashSet<TenantId>,
    /// Never, if absent.
    asked_at: Option<Instant>,
}

impl KeyWatch {
    /// Says of whom something is held here, so that their keys are looked at often; and tells the sealer whose keys nobody looks
    /// at, so that it looks itself.
    pub(crate) async fn watch_what_is_held(&self) {
        tokio::join!(self.say_what_is_held(), self.mistrust_what_is_overdue());
    }

    async fn say_what_is_held(&self) {
        let mut saying = Asked::but("it cannot be said of whom something is held");
        let mut asking = Asked::but("it cannot be asked which versions of keys are looked at");
        let mut asked_at = AskedAt::new();
        loop {
            let held = self.parts.sealer.holding().into_iter().collect();
            let end = self.say(&self.held.unsaid(&held)).await;
            saying.note(end);
            let end = self.tell_what_is_watched(&mut asked_at).await;
            asking.note(end);
            tokio::time::sleep(self.config.holding_pause()).await;
        }
    }

    /// Says of these that something is held.
    async fn say(&self, unsaid: &[TenantId]) -> Result<(), Away> {
        for some in unsaid.chunks(AT_ONCE) {
            let began = Instant::now();
            in_time(self.parts.store.note_held(some, self.config.period())).await?;
            self.held.note(some, began);
        }
        Ok(())
    }

    async fn mistrust_what_is_overdue(&self) {
        let mut asking = Asked::but("it cannot be asked whose keys are overdue");
        let mut overdue = Overdue {
            tenants: HashSet::new(),
            asked_at: None,
        };
        loop {
            self.mistrust(&overdue);
            let asked_at = Some(Instant::now());
            let tenants = self.meanwhile_mistrusting(&overdue).await;
            if let Some(tenants) = asking.note(tenants) {
                let tenants = tenants.into_iter().collect();
                overdue = Overdue { tenants, asked_at };
            }
            self.mistrust(&overdue);
            tokio::time::sleep(self.config.holding_pause()).await;
        }
    }

    /// Asks whose keys are overdue. As long as there is no answer, what was answered before ages, and more is held: so the sealer
    /// is told as often as otherwise.
    async fn meanwhile_mistrusting(&self, overdue: &Overdue) -> Result<Vec<TenantId>, Away> {
        let mut answer = std::pin::pin!(in_time(self.parts.store.overdue(HELD, self.watched_within())));
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(self.config.holding_pause()) => self.mistrust(overdue),
            }
        }
    }

    /// Tells the sealer which of those held are not known to be watched: overdue ones, or all if that cannot be asked; and those
    /// of whom the registry did not know, when it was asked, that they are held.
    ///
    /// What was watched when that was last asked would have been used for as long as it counts that others were heard, if nothing
    /// else had come of asking. Until then, and for one call longer, it is used while the vault is asked: so long no bound is
    /// touched, and nobody waits for a vault that gives the looks no answer.
    fn mistrust(&self, overdue: &Overdue) {
        let asked_at = overdue.asked_at.filter(|at| at.elapsed() <= self.config.hearing());
        let counts_for = self.config.hearing() + self.parts.try_timeout;
        let (held, now) = (self.parts.sealer.holding(), Instant::now());
        let mut state = self.held.lock();
        let mut mistrusted = HashMap::new();
        for tenant in held {
            let Some(said) = state.said.get_mut(&tenant) else {
                mistrusted.insert(tenant, now);
                continue;
            };
            match asked_at {
                Some(asked_at) if said.counts(asked_at) && !overdue.tenants.contains(&tenant) => {
                    said.watched_at = Some(asked_at);
                }
                _ => {
                    mistrusted.insert(tenant, said.watched_at.map_or(now, |at| at + counts_for));
                }
            }
        }
        drop(state);
        self.counters.mistrusted.store(mistrusted.len() as u64, Relaxed);
        self.parts.sealer.mistrust(mistrusted);
        *self.mistrusted_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the sealer was told lately whose keys nobody looks at. If it was not, as a defect keeps breaking off what tells it,
    /// nothing may count as heard: it would go on trusting whom it was not told of.
    pub(crate) fn knows_who_is_watched(&self) -> bool {
        let told_at = *self.mistrusted_at.lock().unwrap_or_else(PoisonError::into_inner);
        told_at.elapsed() <= self.config.hearing()
    }
}

impl Held {
    /// Of whom it is to be said, for the first time or again. Those who are not held any more are forgotten.
    fn unsaid(&self, held: &BTreeSet<TenantId>) -> Vec<TenantId> {
        let mut state = self.lock();
        state.let_go.clear();
        state.is_all_let_go = false;
        let said = &mut state.said;
        said.retain(|tenant, _| held.contains(tenant));
        let is_unsaid = |tenant: &&TenantId| said.get(tenant).is_none_or(|said| said.last.elapsed() >= SAY_AGAIN);
        held.iter().filter(is_unsaid).copied().collect()
    }

    fn note(&self, tenants: &[TenantId], began: Instant) {
        let (mut state, now) = (self.lock(), Instant::now());
        if state.is_all_let_go {
            return;
        }
        for tenant in tenants {
            if state.let_go.contains(tenant) {
                continue;
            }
            let before = state.said.get(tenant);
            let first = before.filter(|said| said.counts(began)).map_or(now, |said| said.first);
            let said = Said {
                first,
                last: began,
                watched_at: before.and_then(|said| said.watched_at),
            };
            state.said.insert(*tenant, said);
        }
    }

    /// Of this tenant nothing is held, as of now: whatever is from now on is to be said.
    pub(crate) fn let_go(&self, tenant: TenantId) {
        let mut state = self.lock();
        state.said.remove(&tenant);
        state.let_go.insert(tenant);
    }

    /// The same of all tenants.
    pub(crate) fn let_go_of_all(&self) {
        let mut state = self.lock();
        state.said.clear();
        state.is_all_let_go = true;
    }

    /// Another version of this tenant's key seals: it is to be asked which are looked at now.
    pub(crate) fn rotates(&self, tenant: TenantId) {
        self.lock().rotated.insert(tenant);
    }

    /// One of whom that is to be asked.
    pub(crate) fn next_rotated(&self) -> Option<TenantId> {
        self.lock().rotated.pop_first()
    }

    /// Whether what is held of this tenant was let go since it was last gathered what is to be said.
    pub(crate) fn is_let_go(&self, tenant: TenantId) -> bool {
        let state = self.lock();
        state.is_all_let_go || state.let_go.contains(&tenant)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    /// Whether the registry knew then that something is held. Of whom it has forgotten that, it says of nobody that they are
    /// overdue.
    fn counts(&self, asked_at: Instant) -> bool {
        self.first <= asked_at && asked_at.saturating_duration_since(self.last) < BELIEVED
    }
}

const SAY_AGAIN: Duration = Duration::from_mins(1);
/// How long it counts here that something was said to be held: less than [`HELD`], by what a question may take to reach the registry.
const BELIEVED: Duration = Duration::from_secs(165);
/// How many tenants are named in one statement.
const AT_ONCE: usize = 1_000;

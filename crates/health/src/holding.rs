//! Of whom this replica holds anything, and whether somebody looks at their keys.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use tokio::time::Instant;

use crate::{
    patience::{Asked, Away, in_time},
    watch::KeyWatch,
};

/// How long ago a replica may have said that it holds something for it to count: somewhat longer than it takes to say so again.
pub(crate) const HELD: Duration = Duration::from_mins(3);

/// Of whom it was said that something of theirs is held. It is said and asked independently of each other, as either may take long.
#[derive(Debug, Default)]
struct Held(Mutex<BTreeMap<TenantId, Said>>);

/// When it was said that something is held.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// By when it was said for the first time.
    first: Instant,
    /// When it was begun to be said last.
    last: Instant,
}

/// Of whom something is held somewhere and whose keys are not looked at as they should be, and when that was asked.
#[derive(Debug)]
struct Overdue {
    tenants: HashSet<TenantId>,
    asked_at: Instant,
}

impl KeyWatch {
    /// Says of whom something is held here, so that their keys are looked at often; and tells the sealer whose keys nobody looks
    /// at, so that it looks itself.
    pub(crate) async fn watch_what_is_held(&self) {
        let said = Held::default();
        tokio::join!(self.say_what_is_held(&said), self.mistrust_what_is_overdue(&said));
    }

    async fn say_what_is_held(&self, said: &Held) {
        let mut saying = Asked::but("it cannot be said of whom something is held");
        loop {
            let held = self.parts.sealer.holding().into_iter().collect();
            let end = self.say(said, &said.unsaid(&held)).await;
            saying.note(end);
            tokio::time::sleep(self.config.holding_pause()).await;
        }
    }

    /// Says of these that something is held.
    async fn say(&self, said: &Held, unsaid: &[TenantId]) -> Result<(), Away> {
        for some in unsaid.chunks(AT_ONCE) {
            let began = Instant::now();
            in_time(self.parts.store.note_held(some, self.config.period())).await?;
            said.note(some, began);
        }
        Ok(())
    }

    async fn mistrust_what_is_overdue(&self, said: &Held) {
        let mut asking = Asked::but("it cannot be asked whose keys are overdue");
        let mut overdue = Overdue {
            tenants: HashSet::new(),
            asked_at: Instant::now(),
        };
        loop {
            self.mistrust(said, &overdue);
            let asked_at = Instant::now();
            let tenants = self.meanwhile_mistrusting(said, &overdue).await;
            if let Some(tenants) = asking.note(tenants) {
                let tenants = tenants.into_iter().collect();
                overdue = Overdue { tenants, asked_at };
            }
            self.mistrust(said, &overdue);
            tokio::time::sleep(self.config.holding_pause()).await;
        }
    }

    /// Asks whose keys are overdue. As long as there is no answer, what was answered before ages, and more is held: so the sealer
    /// is told as often as otherwise.
    async fn meanwhile_mistrusting(&self, said: &Held, overdue: &Overdue) -> Result<Vec<TenantId>, Away> {
        let mut answer = std::pin::pin!(in_time(self.parts.store.overdue(HELD, self.watched_within())));
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(self.config.holding_pause()) => self.mistrust(said, overdue),
            }
        }
    }

    /// Tells the sealer which of those held are not known to be watched: overdue ones, or all if that cannot be asked; and those
    /// of whom the registry did not know, when it was asked, that they are held.
    fn mistrust(&self, said: &Held, overdue: &Overdue) {
        let is_blind = overdue.asked_at.elapsed() > self.config.hearing();
        let said = said.lock();
        let is_watched = |tenant: &TenantId| {
            !is_blind
                && !overdue.tenants.contains(tenant)
                && said.get(tenant).is_some_and(|said| said.counts(overdue.asked_at))
        };
        let held = self.parts.sealer.holding();
        let mistrusted: HashSet<_> = held.into_iter().filter(|tenant| !is_watched(tenant)).collect();
        drop(said);
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
        let mut said = self.lock();
        said.retain(|tenant, _| held.contains(tenant));
        let is_unsaid = |tenant: &&TenantId| said.get(tenant).is_none_or(|said| said.last.elapsed() >= SAY_AGAIN);
        held.iter().filter(is_unsaid).copied().collect()
    }

    fn note(&self, tenants: &[TenantId], began: Instant) {
        let (mut said, now) = (self.lock(), Instant::now());
        for tenant in tenants {
            let first = said
                .get(tenant)
                .filter(|said| said.counts(began))
                .map_or(now, |said| said.first);
            said.insert(*tenant, Said { first, last: began });
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, Said>> {
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

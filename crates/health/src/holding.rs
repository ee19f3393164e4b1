//! Of whom this replica holds anything, and whether somebody looks at their keys.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{PoisonError, atomic::Ordering::Relaxed},
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

/// What was said, and is known, of whom something is held.
#[derive(Debug)]
struct Holding {
    /// When it was last said that something of theirs is held.
    said: BTreeMap<TenantId, Instant>,
    /// Of whom something is held somewhere and whose keys nobody has looked at for too long.
    overdue: Vec<TenantId>,
    /// When that was last known.
    asked_at: Instant,
    saying: Asked,
    asking: Asked,
}

impl KeyWatch {
    /// Says of whom something is held here, so that their keys are looked at often; and tells the sealer whose keys nobody looks
    /// at, so that it looks itself.
    pub(crate) async fn watch_what_is_held(&self) {
        let mut holding = Holding {
            said: BTreeMap::new(),
            overdue: Vec::new(),
            asked_at: Instant::now(),
            saying: Asked::but("it cannot be said of whom something is held"),
            asking: Asked::but("it cannot be asked whose keys are overdue"),
        };
        loop {
            let held: BTreeSet<_> = self.parts.sealer.holding().into_iter().collect();
            holding.said.retain(|tenant, _| held.contains(tenant));
            self.mistrust(&holding, &held);
            let asked_at = Instant::now();
            let overdue = in_time(self.parts.store.overdue(HELD, self.watched_within()));
            let (said, overdue) = tokio::join!(self.say(holding.unsaid(&held)), overdue);
            holding.note_said(said);
            if let Some(overdue) = holding.asking.note(overdue) {
                (holding.overdue, holding.asked_at) = (overdue, asked_at);
            }
            self.mistrust(&holding, &held);
            tokio::time::sleep(self.config.holding_pause()).await;
        }
    }

    /// Says of these that something is held. Answers of whom it could be said, and when that began.
    async fn say(&self, unsaid: Vec<TenantId>) -> (Vec<TenantId>, Instant, Result<(), Away>) {
        let (mut said, now) = (Vec::new(), Instant::now());
        for some in unsaid.chunks(AT_ONCE) {
            if let Err(error) = in_time(self.parts.store.note_held(some, self.config.period())).await {
                return (said, now, Err(error));
            }
            said.extend_from_slice(some);
        }
        (said, now, Ok(()))
    }

    /// Tells the sealer which of those held are not known to be watched: overdue ones, or all if that
    /// cannot be asked; those of whom nobody knows yet that they are held; and those of whose key the watch says that it gets no
    /// answer, which may be so only where it is made.
    fn mistrust(&self, holding: &Holding, held: &BTreeSet<TenantId>) {
        let is_overdue: HashSet<_> = holding.overdue.iter().collect();
        let unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_blind = holding.asked_at.elapsed() > self.config.hearing();
        let is_watched = |tenant: &TenantId| {
            !is_blind
                && holding.said.contains_key(tenant)
                && !is_overdue.contains(tenant)
                && !unanswered.contains(tenant)
        };
        let mistrusted: HashSet<_> = held.iter().filter(|tenant| !is_watched(tenant)).copied().collect();
        drop(unanswered);
        self.counters.mistrusted.store(mistrusted.len() as u64, Relaxed);
        self.parts.sealer.mistrust(mistrusted);
    }
}

impl Holding {
    /// Of whom it is to be said, for the first time or again.
    fn unsaid(&self, held: &BTreeSet<TenantId>) -> Vec<TenantId> {
        let is_unsaid = |tenant: &&TenantId| self.said.get(tenant).is_none_or(|at| at.elapsed() >= SAY_AGAIN);
        held.iter().filter(is_unsaid).copied().collect()
    }

    fn note_said(&mut self, (said, at, end): (Vec<TenantId>, Instant, Result<(), Away>)) {
        self.said.extend(said.into_iter().map(|tenant| (tenant, at)));
        self.saying.note(end);
    }
}

const SAY_AGAIN: Duration = Duration::from_mins(1);
/// How many tenants are named in one statement.
const AT_ONCE: usize = 1_000;

//! Of whom this replica holds anything, and whether somebody looks at their keys.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use tokio::time::Instant;

use crate::{
    patience::{Asked, in_time},
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
            saying: Asked::but("it cannot be said of whom something is held"),
            asking: Asked::but("it cannot be asked whose keys are overdue"),
        };
        loop {
            let held: BTreeSet<_> = self.parts.sealer.holding().into_iter().collect();
            self.say(&mut holding, &held).await;
            self.mistrust(&holding, &held);
            let overdue = in_time(self.parts.store.overdue(HELD, self.watched_within())).await;
            if let Some(overdue) = holding.asking.note(overdue) {
                holding.overdue = overdue;
            }
            self.mistrust(&holding, &held);
            tokio::time::sleep(self.config.holding_pause()).await;
        }
    }

    async fn say(&self, holding: &mut Holding, held: &BTreeSet<TenantId>) {
        holding.said.retain(|tenant, _| held.contains(tenant));
        let is_to_be_said = |tenant: &&TenantId| holding.said.get(tenant).is_none_or(|at| at.elapsed() >= SAY_AGAIN);
        let unsaid: Vec<_> = held.iter().filter(is_to_be_said).copied().collect();
        for some in unsaid.chunks(AT_ONCE) {
            let now = Instant::now();
            let said = in_time(self.parts.store.note_held(some, self.config.period())).await;
            if holding.saying.note(said).is_none() {
                return;
            }
            holding.said.extend(some.iter().map(|&tenant| (tenant, now)));
        }
    }

    /// Tells the sealer which of those held are not known to be watched: overdue ones; those of whom nobody knows yet that they
    /// are held; and those of whose key the watch says that it gets no answer, which it may only from where it is made.
    fn mistrust(&self, holding: &Holding, held: &BTreeSet<TenantId>) {
        let is_overdue: HashSet<_> = holding.overdue.iter().collect();
        let unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_watched = |tenant: &TenantId| {
            holding.said.contains_key(tenant) && !is_overdue.contains(tenant) && !unanswered.contains(tenant)
        };
        let mistrusted: HashSet<_> = held.iter().filter(|tenant| !is_watched(tenant)).copied().collect();
        drop(unanswered);
        self.counters.mistrusted.store(mistrusted.len() as u64, Relaxed);
        self.parts.sealer.mistrust(mistrusted);
    }
}

const SAY_AGAIN: Duration = Duration::from_mins(1);
/// How many tenants are named in one statement.
const AT_ONCE: usize = 1_000;

//! Keys that are due are looked at: claimed, asked about, and what was found saved, many at a time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use keyferry_crypto::id::TenantId;
use keyferry_registry::{
    Tenant, TenantStatus,
    key::{Claimed, KeyNews, KeyState, Looked},
};
use tokio::{
    sync::Semaphore,
    task::{self, JoinError, JoinSet},
    time::Instant,
};

use crate::{
    asking,
    holding::HELD,
    look::{self, Judged, Outcome, Refused, Terms},
    patience::{Asked, in_time},
    stats::Counters,
    watch::KeyWatch,
};

/// Looks under way, and those whose findings are not saved yet.
struct Looks {
    /// One for each look that has just begun. A look that takes longer gives its place back: vaults that hang must not keep
    /// others' keys from being looked at.
    places: Arc<Semaphore>,
    tasks: JoinSet<Option<Looked>>,
    /// Whose keys are looked at by which task.
    under_way: HashMap<task::Id, TenantId>,
    /// How many of them may be claimed again, as they are still due.
    claimed_again: usize,
    unsaved: BTreeMap<TenantId, Looked>,
    claiming: Asked,
    saving: Asked,
}

/// What this replica's last look at a key met.
pub(crate) struct Met {
    refused: Refused,
    /// Until when nobody else can have looked at it since.
    until: Instant,
}

impl KeyWatch {
    /// Looks at keys that are due.
    pub(crate) async fn look_at_keys(self: Arc<Self>) {
        let mut looks = Looks {
            places: Arc::new(Semaphore::new(self.config.concurrency)),
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
            claimed_again: 0,
            unsaved: BTreeMap::new(),
            claiming: Asked::but("keys that are due cannot be asked for"),
            saving: Asked::but("what was found out about keys cannot be saved"),
        };
        loop {
            self.save(&mut looks).await;
            let are_more = self.claim(&mut looks).await;
            let pause = if are_more {
                Duration::ZERO
            } else {
                looks.claiming.pause(self.config.claim_pause())
            };
            tokio::select! {
                // In a fixed order, so that a simulation can be run again.
                biased;
                Some(ended) = looks.tasks.join_next_with_id() => {
                    looks.take(ended);
                    // Those that end at about the same time are saved in one statement.
                    tokio::time::sleep(self.config.claim_pause() / 10).await;
                    while let Some(ended) = looks.tasks.try_join_next_with_id() {
                        looks.take(ended);
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Begins to look at what is due, as far as there are places. Whether there may be more, and places for them.
    async fn claim(self: &Arc<Self>, looks: &mut Looks) -> bool {
        let most = self.config.concurrency.saturating_mul(SLOW_FOR_EACH_PLACE);
        let free = looks
            .places
            .available_permits()
            .min(most.saturating_sub(looks.tasks.len()));
        if free == 0 {
            return false;
        }
        let limit = u32::try_from(free + looks.claimed_again).unwrap_or(u32::MAX);
        let claimed = self
            .parts
            .store
            .claim_keys(self.me.id, self.config.lease(), HELD, limit);
        let claimed = looks.claiming.note(in_time(claimed).await).unwrap_or_default();
        let are_all = claimed.len() < limit as usize;
        let (again, new): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|claimed| looks.is_under_way(claimed));
        looks.claimed_again = if again.is_empty() { 0 } else { looks.under_way.len() };
        let begun = new.len();
        for claimed in new {
            let (this, places, tenant) = (Arc::clone(self), Arc::clone(&looks.places), claimed.health.tenant);
            let task = looks.tasks.spawn(async move { this.look_from(claimed, places).await });
            looks.under_way.insert(task.id(), tenant);
        }
        !are_all && begun < free
    }

    async fn look_from(&self, claimed: Claimed, places: Arc<Semaphore>) -> Option<Looked> {
        let place = places.acquire_owned().await.ok()?;
        let mut look = std::pin::pin!(self.look(claimed));
        if let Ok(looked) = tokio::time::timeout(SLOW, &mut look).await {
            return looked;
        }
        drop(place);
        look.await
    }

    /// Looks at a key. Nothing if there is nothing to be saved: the tenant is not in use.
    async fn look(&self, claimed: Claimed) -> Option<Looked> {
        let id = claimed.health.tenant;
        let tenant = match self.known(id).await {
            Ok(tenant) => tenant.filter(|tenant| tenant.status == TenantStatus::Active)?,
            Err(error) => {
                tracing::warn!(tenant = %id, %error, "a key is not looked at, as its tenant cannot be read");
                return None;
            }
        };
        let mut terms = self.terms();
        let sealer = self.parts.sealer.as_ref();
        let found = asking::ask(sealer, &tenant.keys, &claimed.health, self.answer_limit(), &terms).await;
        terms.now = (self.parts.clock)();
        let told = self.met(id);
        let judged = look::judged(&tenant.keys, claimed, found, &told, &terms);
        self.count(&judged.outcome);
        Some(self.conclude(&tenant, judged))
    }

    /// Has told what is to be told, and remembers it. Answers what is to be saved.
    fn conclude(&self, tenant: &Tenant, judged: Judged) -> Looked {
        let Judged {
            looked,
            withdrawn,
            refused,
            outcome,
        } = judged;
        let id = tenant.keys.tenant;
        // What was met is noted before it is told: whoever drops what is untold forgets then that it was met.
        self.note_met(id, &looked, refused);
        for refusal in withdrawn {
            self.withdraw(id, refusal);
        }
        if let Outcome::Failed(error) = &outcome {
            tracing::debug!(tenant = %tenant.slug, error, "a key cannot be looked at");
        }
        for news in &looked.news {
            log(tenant, news);
        }
        looked
    }

    fn note_met(&self, tenant: TenantId, looked: &Looked, refused: Refused) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() >= MANY {
            let now = Instant::now();
            met.retain(|_, last| now < last.until);
        }
        if refused.is_empty() || !looked.keeps {
            met.remove(&tenant);
        } else {
            let until = Instant::now() + looked.due_in + self.config.lease();
            met.insert(tenant, Met { refused, until });
        }
    }

    /// Has the next look tell what it meets, whether or not the last one met it.
    pub(crate) fn forget_met(&self, tenant: TenantId) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    /// What the last look at a key met, if it was made here.
    fn met(&self, tenant: TenantId) -> Refused {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match met.get(&tenant) {
            Some(last) if Instant::now() < last.until => last.refused.clone(),
            _ => {
                met.remove(&tenant);
                HashMap::new()
            }
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            period: self.config.period(),
            idle_period: self.config.idle_period(),
            version_period: self.config.version_period(),
            others: self.replicas.load(Relaxed).saturating_sub(1),
            now: (self.parts.clock)(),
        }
    }

    fn count(&self, outcome: &Outcome) {
        let counters = &self.counters;
        match outcome {
            Outcome::Serves => Counters::count(&counters.looks_served),
            Outcome::Refuses(_) => Counters::count(&counters.looks_refused),
            Outcome::InVain(_) => Counters::count(&counters.looks_in_vain),
            Outcome::Failed(_) => Counters::count(&counters.looks_failed),
            Outcome::NotAsked => {}
        }
    }

    /// Saves what was found. What cannot be saved now is saved later, unless the key is another's by then.
    async fn save(&self, looks: &mut Looks) {
        while !looks.unsaved.is_empty() {
            let some: Vec<_> = looks.unsaved.values().take(SAVED_AT_ONCE).cloned().collect();
            let saved = self.parts.store.save_looks(self.me.id, &some, self.config.lease());
            if looks.saving.note(in_time(saved).await).is_none() {
                return;
            }
            for looked in &some {
                looks.unsaved.remove(&looked.health.tenant);
            }
        }
    }
}

impl Looks {
    fn is_under_way(&self, claimed: &Claimed) -> bool {
        self.under_way.values().any(|&tenant| tenant == claimed.health.tenant)
    }

    fn take(&mut self, ended: Result<(task::Id, Option<Looked>), JoinError>) {
        match ended {
            Ok((task, looked)) => {
                self.under_way.remove(&task);
                if let Some(looked) = looked {
                    self.unsaved.insert(looked.health.tenant, looked);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a look at a key broke off");
                self.under_way.remove(&error.id());
            }
        }
    }
}

/// A change of state is logged by the replica that saw it, with whose move it is.
fn log(tenant: &Tenant, news: &KeyNews) {
    let slug = &tenant.slug;
    match news {
        KeyNews::State(KeyState::Healthy) => tracing::info!(tenant = %slug, "the customer's key serves"),
        KeyNews::State(KeyState::Refused(trouble)) => {
            tracing::info!(tenant = %slug, cause = trouble.cause.slug(), evidence = ?trouble.evidence, "the customer refuses its key");
        }
        KeyNews::State(KeyState::Degraded(trouble)) => {
            tracing::warn!(tenant = %slug, cause = trouble.cause.slug(), evidence = ?trouble.evidence, "the customer's vault is asked in vain");
        }
        KeyNews::State(KeyState::Unknown) => {
            tracing::error!(tenant = %slug, "how the customer's key is cannot be told any more, by our own doing");
        }
        KeyNews::Version(kek) => {
            tracing::info!(tenant = %slug, %kek, "the newest version of the customer's key is followed");
        }
        KeyNews::Withdrawn(_) => {}
    }
}

/// After which a look gives its place to another.
const SLOW: Duration = Duration::from_millis(250);
/// The most looks under way for each place.
const SLOW_FOR_EACH_PLACE: usize = 16;
/// From so many on those are looked for that may be forgotten.
const MANY: usize = 1_024;
const SAVED_AT_ONCE: usize = 256;

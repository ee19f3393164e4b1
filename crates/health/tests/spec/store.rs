//! A registry's store of keys' health in memory. It keeps what `KeyStore` promises, and does so as the stores on databases do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_crypto::{
    id::{KeyRef, TenantId},
    vault::{Evidence, VaultCause},
};
use keyferry_registry::{
    KeyStore, RegistryError, Revision, Tenant, TenantStatus,
    key::{Acknowledgement, Claimed, KeyEvent, KeyHealth, KeyNews, KeyState, Looked, Replica, ReplicaId, Trouble},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::clock::clock;

#[derive(Default)]
pub(crate) struct FakeStore {
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    tenants: BTreeMap<TenantId, Arc<Tenant>>,
    keys: BTreeMap<TenantId, Row>,
    events: Vec<Arc<KeyEvent>>,
    acknowledgements: BTreeMap<Revision, Vec<Acknowledgement>>,
    replicas: BTreeMap<ReplicaId, Replica>,
    /// Who gets no answer, and how.
    cut_off: BTreeMap<ReplicaId, Cut>,
    is_away: bool,
    looks_saved: Vec<(ReplicaId, TenantId)>,
}

#[derive(Clone)]
struct Row {
    health: KeyHealth,
    given_up_by: Option<ReplicaId>,
    /// Since when its owner looks at it, if it does.
    claimed_at: Option<OffsetDateTime>,
    /// When the last look was claimed that was saved, or when the row was made.
    looked_at: OffsetDateTime,
    /// Whether another look was asked for while one was under way.
    is_wanted: bool,
}

/// How the store is not there for a replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    /// It gives no answer.
    Silent,
    /// It says no.
    Failing,
    /// It answers questions, and takes nothing.
    ReadOnly,
    /// It does not take what is told otherwise than by a look.
    Untold,
}

/// All that has happened up to now, as a server has it that hears of no more.
impl Clone for FakeStore {
    fn clone(&self) -> Self {
        Self {
            state: Mutex::new(self.state().clone()),
        }
    }
}

impl FakeStore {
    pub(crate) fn register(&self, tenant: &Arc<Tenant>) {
        let health = KeyHealth {
            tenant: tenant.keys.tenant,
            state: KeyState::Unknown,
            since: clock(),
            checked_at: None,
            served_at: None,
            newest: None,
            canaries: Vec::new(),
            failures: 0,
            due_at: clock(),
            owner: None,
            owned_until: None,
            held_at: None,
        };
        let mut state = self.state();
        state.tenants.insert(tenant.keys.tenant, Arc::clone(tenant));
        state.keys.entry(tenant.keys.tenant).or_insert(Row {
            health,
            given_up_by: None,
            claimed_at: None,
            looked_at: clock(),
            is_wanted: false,
        });
    }

    pub(crate) fn tenant(&self, tenant: TenantId) -> Option<Arc<Tenant>> {
        self.state().tenants.get(&tenant).cloned()
    }

    pub(crate) fn health(&self, tenant: TenantId) -> KeyHealth {
        self.state().keys[&tenant].health.clone()
    }

    /// All that happened after a revision, and the newest revision.
    pub(crate) fn feed(&self, after: Revision) -> (Vec<Arc<KeyEvent>>, Revision) {
        let state = self.state();
        let news = state.events.iter().filter(|event| event.revision > after).cloned();
        (news.collect(), state.newest())
    }

    /// What happened to a tenant's key, oldest first.
    pub(crate) fn news(&self, tenant: TenantId) -> Vec<KeyNews> {
        let state = self.state();
        let news = state.events.iter().filter(|event| event.tenant == tenant);
        news.map(|event| event.what.clone()).collect()
    }

    /// The looks that were saved, in their order: who looked at whose key.
    pub(crate) fn looks(&self) -> Vec<(ReplicaId, TenantId)> {
        self.state().looks_saved.clone()
    }

    pub(crate) fn acknowledged(&self, revision: Revision) -> BTreeSet<ReplicaId> {
        let state = self.state();
        let all = state.acknowledgements.get(&revision).into_iter().flatten();
        all.map(|acknowledgement| acknowledgement.replica).collect()
    }

    /// Some replica keeps a key to itself, and does not look at it.
    pub(crate) fn is_kept_by_nobody(&self, tenant: TenantId) {
        let mut state = self.state();
        let health = &mut state.keys.get_mut(&tenant).expect("there").health;
        health.owner = Some(ReplicaId(Uuid::nil()));
        health.owned_until = Some(clock() + Duration::from_hours(1));
    }

    /// A replica that does not run any more saw that the customer refuses.
    pub(crate) fn is_refused_untold(&self, tenant: TenantId, cause: VaultCause) {
        let trouble = Trouble {
            cause,
            evidence: Evidence::default(),
        };
        let mut state = self.state();
        state.keys.get_mut(&tenant).expect("there").health.state = KeyState::Refused(trouble.clone());
        state.tell(
            ReplicaId(Uuid::nil()),
            tenant,
            KeyNews::State(KeyState::Refused(trouble)),
        );
    }

    /// The store is away for all.
    pub(crate) fn goes_away(&self) {
        self.state().is_away = true;
    }

    pub(crate) fn comes_back(&self) {
        let mut state = self.state();
        state.is_away = false;
        state.cut_off.clear();
    }

    /// The store is away for one replica.
    pub(crate) fn is_cut_off(&self, replica: ReplicaId, cut: Cut) {
        self.state().cut_off.insert(replica, cut);
    }

    pub(crate) fn hears(&self, replica: ReplicaId) -> bool {
        let state = self.state();
        !state.is_away && matches!(state.cut_off.get(&replica), None | Some(Cut::ReadOnly | Cut::Untold))
    }

    /// The store as one replica reaches it.
    pub(crate) fn reached_by(self: &Arc<Self>, replica: ReplicaId) -> Arc<dyn KeyStore> {
        Arc::new(Reached {
            store: Arc::clone(self),
            replica,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }
}

impl State {
    fn newest(&self) -> Revision {
        let tenants = self.tenants.values().map(|tenant| tenant.revision);
        let events = self.events.last().map(|event| event.revision);
        tenants.chain(events).max().unwrap_or(Revision(0))
    }

    fn tell(&mut self, by: ReplicaId, tenant: TenantId, what: KeyNews) -> Revision {
        let revision = Revision(self.newest().0 + 1);
        self.events.push(Arc::new(KeyEvent {
            revision,
            tenant,
            at: clock(),
            by,
            what,
        }));
        revision
    }

    fn is_active(&self, tenant: TenantId) -> bool {
        let tenant = self.tenants.get(&tenant);
        tenant.is_some_and(|tenant| tenant.status == TenantStatus::Active)
    }
}

/// A store with the way to it from one replica.
struct Reached {
    store: Arc<FakeStore>,
    replica: ReplicaId,
}

impl Reached {
    async fn state(&self) -> Result<MutexGuard<'_, State>, RegistryError> {
        let cut = {
            let state = self.store.state();
            let everybody = state.is_away.then_some(Cut::Failing);
            everybody.or_else(|| state.cut_off.get(&self.replica).copied())
        };
        match cut {
            None | Some(Cut::ReadOnly | Cut::Untold) => Ok(self.store.state()),
            Some(Cut::Silent) => std::future::pending().await,
            Some(Cut::Failing) => Err(RegistryError::Unavailable(sqlx::Error::PoolTimedOut)),
        }
    }
}

impl Reached {
    /// The same, to change it.
    async fn to_change(&self) -> Result<MutexGuard<'_, State>, RegistryError> {
        let state = self.state().await?;
        if state.cut_off.get(&self.replica) == Some(&Cut::ReadOnly) {
            return Err(RegistryError::Unavailable(sqlx::Error::PoolTimedOut));
        }
        Ok(state)
    }
}

impl Row {
    /// Makes a look due by then, though it was to be later: its owner has as long after it is due as before.
    fn is_due_by(&mut self, at: OffsetDateTime) {
        let sooner = self.health.due_at.min(at);
        let by = self.health.due_at - sooner;
        self.health.due_at = sooner;
        self.health.owned_until = self.health.owned_until.map(|until| until - by);
        self.is_wanted = true;
    }

    fn may_be_claimed(&self, by: ReplicaId, lease: Duration) -> bool {
        let (health, now) = (&self.health, clock());
        let is_over = health.owned_until.is_none_or(|until| until <= now);
        let is_long_due = health.due_at + lease <= now;
        match health.owner {
            Some(owner) if owner == by => {
                let is_half_over = health.owned_until.is_none_or(|until| until <= now + lease / 2);
                health.due_at <= now && (self.claimed_at.is_none() || is_half_over)
            }
            Some(_) => is_long_due && is_over,
            None => health.due_at <= now && (self.given_up_by != Some(by) || is_long_due),
        }
    }
}

fn is_since(at: Option<OffsetDateTime>, span: Duration) -> bool {
    at.is_some_and(|at| at + span >= clock())
}

/// Whether the same is told, whatever the vault's words were.
fn is_same(one: &KeyNews, other: &KeyNews) -> bool {
    match (one, other) {
        (KeyNews::Withdrawn(one), KeyNews::Withdrawn(other)) => {
            (one.call, &one.key, &one.version, one.cause) == (other.call, &other.key, &other.version, other.cause)
        }
        (one, other) => one == other,
    }
}

/// Whether what happened has made news of the same again, though it was told before.
fn makes_news_again(happened: &KeyNews, news: &KeyNews) -> bool {
    match news {
        KeyNews::Withdrawn(_) => *happened == KeyNews::State(KeyState::Healthy),
        KeyNews::State(_) => !matches!(happened, KeyNews::Version(_)) && !is_same(happened, news),
        KeyNews::Version(_) => matches!(happened, KeyNews::Version(_)) && !is_same(happened, news),
    }
}

#[async_trait]
impl KeyStore for Reached {
    async fn beat(&self, replica: &Replica, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        let mut state = self.to_change().await?;
        state.replicas.insert(replica.id, replica.clone());
        Ok(living(&state, alive))
    }

    async fn leave(&self, replica: ReplicaId) -> Result<(), RegistryError> {
        let mut state = self.to_change().await?;
        state.replicas.remove(&replica);
        for row in state.keys.values_mut().filter(|row| row.health.owner == Some(replica)) {
            (row.health.owner, row.health.owned_until, row.claimed_at) = (None, None, None);
        }
        Ok(())
    }

    async fn claim_keys(
        &self,
        replica: ReplicaId,
        lease: Duration,
        held: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, RegistryError> {
        let mut state = self.to_change().await?;
        let now = clock();
        let mut due: Vec<_> = state
            .keys
            .iter()
            .filter(|(_, row)| row.may_be_claimed(replica, lease))
            .map(|(id, _)| *id)
            .collect();
        due.retain(|&tenant| state.is_active(tenant));
        due.sort_by_key(|tenant| {
            let health = &state.keys[tenant].health;
            (health.owner != Some(replica), health.due_at, *tenant)
        });
        due.truncate(limit as usize);
        let claimed = due.into_iter().map(|tenant| {
            let row = state.keys.get_mut(&tenant).expect("there");
            let looks_still = row.health.owner == Some(replica) && row.claimed_at.is_some();
            row.health.owner = Some(replica);
            row.health.owned_until = Some(now + lease);
            row.given_up_by = None;
            if !looks_still {
                (row.claimed_at, row.is_wanted) = (Some(now), false);
            }
            Claimed {
                health: row.health.clone(),
                is_held: is_since(row.health.held_at, held),
            }
        });
        Ok(claimed.collect())
    }

    async fn save_looks(
        &self,
        replica: ReplicaId,
        looks: &[Looked],
        lease: Duration,
    ) -> Result<Vec<Revision>, RegistryError> {
        let mut state = self.to_change().await?;
        let now = clock();
        let mut revisions = Vec::new();
        for looked in looks {
            let tenant = looked.health.tenant;
            let row = state.keys.get_mut(&tenant).expect("there");
            let is_owner = row.health.owner == Some(replica);
            if is_owner {
                let due_at = now + looked.due_in;
                let due_at = if row.is_wanted {
                    due_at.min(row.health.due_at)
                } else {
                    due_at
                };
                let was_asked = looked.health.checked_at != row.health.checked_at;
                row.health = KeyHealth {
                    due_at,
                    owner: looked.keeps.then_some(replica),
                    owned_until: looked.keeps.then_some(due_at + lease),
                    held_at: row.health.held_at,
                    ..looked.health.clone()
                };
                row.given_up_by = (!looked.keeps).then_some(replica);
                let began = row.claimed_at.take().unwrap_or(row.looked_at);
                row.looked_at = if was_asked { began } else { row.looked_at };
                row.is_wanted = false;
                state.looks_saved.push((replica, tenant));
            }
            for news in &looked.news {
                if is_owner || matches!(news, KeyNews::Withdrawn(_)) {
                    revisions.push(state.tell(replica, tenant, news.clone()));
                }
            }
        }
        Ok(revisions)
    }

    async fn tell_key_news(
        &self,
        replica: ReplicaId,
        tenant: TenantId,
        news: &KeyNews,
        pause: Duration,
    ) -> Result<Option<Revision>, RegistryError> {
        let mut state = self.to_change().await?;
        if state.cut_off.get(&self.replica) == Some(&Cut::Untold) {
            return Err(RegistryError::Unavailable(sqlx::Error::PoolTimedOut));
        }
        let of_tenant = state.events.iter().rev().filter(|event| event.tenant == tenant);
        let mut since = of_tenant.take_while(|event| !makes_news_again(&event.what, news));
        if since.any(|event| is_same(&event.what, news) && event.at + pause > clock()) {
            return Ok(None);
        }
        if let Some(row) = state.keys.get_mut(&tenant) {
            row.is_due_by(clock());
        }
        Ok(Some(state.tell(replica, tenant, news.clone())))
    }

    async fn note_held(&self, tenants: &[TenantId], within: Duration) -> Result<(), RegistryError> {
        let mut state = self.to_change().await?;
        let now = clock();
        for tenant in tenants {
            if let Some(row) = state.keys.get_mut(tenant) {
                if !is_since(row.health.held_at, Duration::from_mins(3)) {
                    row.is_due_by(now + within);
                }
                row.health.held_at = Some(now);
            }
        }
        Ok(())
    }

    async fn overdue(&self, held: Duration, longer: Duration) -> Result<Vec<TenantId>, RegistryError> {
        let state = self.state().await?;
        let rows = state.keys.iter().filter(|(tenant, row)| {
            let is_overdue = !is_since(Some(row.looked_at), longer);
            let serves = row.health.state == KeyState::Healthy;
            state.is_active(**tenant) && is_since(row.health.held_at, held) && (is_overdue || !serves)
        });
        Ok(rows.map(|(tenant, _)| *tenant).collect())
    }

    async fn hint(&self, key: &KeyRef) -> Result<u64, RegistryError> {
        let mut state = self.to_change().await?;
        let of_key = state.tenants.values().filter(|tenant| tenant.keys.current == *key);
        let tenants: Vec<_> = of_key.map(|tenant| tenant.keys.tenant).collect();
        for tenant in &tenants {
            let row = state.keys.get_mut(tenant).expect("there");
            row.is_due_by(clock());
            if let Some(newest) = &mut row.health.newest {
                newest.seen_at = OffsetDateTime::UNIX_EPOCH;
            }
        }
        Ok(tenants.len() as u64)
    }

    async fn look_soon(&self, tenant: TenantId) -> Result<bool, RegistryError> {
        let mut state = self.to_change().await?;
        let row = state.keys.get_mut(&tenant);
        Ok(row.map(|row| row.is_due_by(clock())).is_some())
    }

    async fn key_health(&self, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError> {
        Ok(self.state().await?.keys.get(&tenant).map(|row| row.health.clone()))
    }

    async fn key_states(&self) -> Result<BTreeMap<String, u64>, RegistryError> {
        let state = self.state().await?;
        let mut counts = BTreeMap::new();
        for (_, row) in state.keys.iter().filter(|(tenant, _)| state.is_active(**tenant)) {
            *counts.entry(row.health.state.slug().to_owned()).or_default() += 1;
        }
        Ok(counts)
    }

    async fn key_events(
        &self,
        tenant: TenantId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeyEvent>, RegistryError> {
        let state = self.state().await?;
        let of_tenant = state.events.iter().rev().filter(|event| event.tenant == tenant);
        let before = of_tenant.filter(|event| before.is_none_or(|before| event.revision < before));
        Ok(before
            .take(limit as usize)
            .map(|event| KeyEvent::clone(event))
            .collect())
    }

    async fn acknowledge(&self, replica: ReplicaId, revisions: &[Revision]) -> Result<(), RegistryError> {
        let mut state = self.to_change().await?;
        let name = state
            .replicas
            .get(&replica)
            .map(|replica| replica.name.clone())
            .unwrap_or_default();
        for revision in revisions {
            let said = Acknowledgement {
                replica,
                name: name.clone(),
                at: clock(),
            };
            state.acknowledgements.entry(*revision).or_default().push(said);
        }
        Ok(())
    }

    async fn acknowledgements(&self, revision: Revision) -> Result<Vec<Acknowledgement>, RegistryError> {
        let state = self.state().await?;
        Ok(state.acknowledgements.get(&revision).cloned().unwrap_or_default())
    }

    async fn replicas(&self, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        Ok(living(&*self.state().await?, alive))
    }
}

fn living(state: &State, alive: Duration) -> Vec<Replica> {
    let all = state.replicas.values();
    all.filter(|replica| is_since(Some(replica.seen_at), alive))
        .cloned()
        .collect()
}

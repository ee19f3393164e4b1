//! One replica's sealer, as the watch sees it: it writes down what it is told.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use keyferry_crypto::{
    canary::Canary,
    id::{KekId, TenantId},
    news::{Learnt, News, Refusal},
    sealer::SealerError,
    tenant::TenantKeys,
    vault::{Call, VaultCause, VaultError},
};
use keyferry_health::Keys;
use keyferry_registry::key::ReplicaId;
use tokio::{sync::broadcast, time::Instant};

use crate::vault::FakeVault;

pub(crate) struct FakeKeys {
    me: ReplicaId,
    vault: Arc<FakeVault>,
    news: broadcast::Sender<News>,
    told: Mutex<Told>,
    /// What it has made known: the refusals that hold, by tenant and version.
    refused: Mutex<HashMap<(TenantId, KekId), VaultCause>>,
    /// What it panics at.
    defect: Mutex<Option<Defect>>,
}

/// Where whoever asks it meets a defect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Defect {
    Obeying,
    Holding,
    Looking,
}

/// What it was told, and what it holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) held: BTreeSet<TenantId>,
    pub(crate) obeyed: Vec<(TenantId, Refusal)>,
    /// How many of them as told long ago.
    pub(crate) obeyed_late: usize,
    pub(crate) followed: Vec<(TenantId, KekId)>,
    pub(crate) evicted: Vec<TenantId>,
    pub(crate) evicted_all: usize,
    pub(crate) heard_at: Option<Instant>,
    /// Under which versions keys are looked at.
    pub(crate) watched: HashMap<TenantId, Vec<KekId>>,
    pub(crate) mistrusted: HashSet<TenantId>,
    /// From when on that counts.
    pub(crate) mistrusted_from: HashMap<TenantId, Instant>,
}

impl FakeKeys {
    pub(crate) fn new(me: ReplicaId, vault: &Arc<FakeVault>) -> Arc<Self> {
        Arc::new(Self {
            me,
            vault: Arc::clone(vault),
            news: broadcast::channel(64).0,
            told: Mutex::default(),
            refused: Mutex::default(),
            defect: Mutex::default(),
        })
    }

    pub(crate) fn told(&self) -> Told {
        self.state().clone()
    }

    /// Something of the tenant's is held from now on.
    pub(crate) fn holds(&self, tenant: TenantId) {
        self.state().held.insert(tenant);
    }

    /// Learns something from a call that it made for a request.
    pub(crate) fn learns(&self, tenant: TenantId, learnt: Learnt) {
        self.news.send(News { tenant, learnt }).expect("the watch listens");
    }

    /// Learns from a call that the customer refuses a version, and lets go of what it held. It is news if it held anything, or
    /// if it was not known.
    pub(crate) fn is_refused(&self, tenant: TenantId, kek: &KekId, cause: VaultCause) {
        let held = self.state().held.remove(&tenant);
        let mut refused = self.refused.lock().expect("unpoisoned");
        let known = refused.insert((tenant, kek.clone()), cause);
        if held || known != Some(cause) {
            let refusal = Refusal {
                call: Call::Unwrap,
                key: kek.key.clone(),
                version: Some(kek.version.clone()),
                cause,
                evidence: VaultError::from(cause).evidence().clone(),
            };
            self.learns(tenant, Learnt::Refused(refusal));
        }
    }

    /// Learns from a call that a version serves.
    fn is_served(&self, tenant: TenantId, kek: &KekId) {
        let mut refused = self.refused.lock().expect("unpoisoned");
        if refused.remove(&(tenant, kek.clone())).is_some() {
            self.learns(tenant, Learnt::Serves);
        }
    }

    /// Has a defect from now on, or none.
    pub(crate) fn has(&self, defect: impl Into<Option<Defect>>) {
        *self.defect.lock().expect("unpoisoned") = defect.into();
    }

    fn meets(&self, defect: Defect) {
        let there = *self.defect.lock().expect("unpoisoned");
        assert_ne!(there, Some(defect), "a defect that the test asked for");
    }

    fn state(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("unpoisoned")
    }
}

#[async_trait]
impl Keys for FakeKeys {
    fn evict(&self, tenant: TenantId) {
        let mut state = self.state();
        state.held.remove(&tenant);
        state.evicted.push(tenant);
    }

    fn evict_all(&self) {
        let mut state = self.state();
        state.held.clear();
        state.evicted_all += 1;
    }

    fn obey(&self, tenant: &TenantKeys, refusal: &Refusal) {
        self.meets(Defect::Obeying);
        let mut state = self.state();
        state.held.remove(&tenant.tenant);
        state.obeyed.push((tenant.tenant, refusal.clone()));
    }

    fn obey_late(&self, tenant: &TenantKeys, refusal: &Refusal) {
        self.state().obeyed_late += 1;
        self.obey(tenant, refusal);
    }

    fn follow(&self, tenant: &TenantKeys, newest: &KekId) {
        self.state().followed.push((tenant.tenant, newest.clone()));
    }

    fn heard(&self, at: Instant) {
        self.state().heard_at = Some(at);
    }

    fn mistrust(&self, tenants: HashMap<TenantId, Instant>) {
        let mut state = self.state();
        state.mistrusted = tenants.keys().copied().collect();
        state.mistrusted_from = tenants;
    }

    fn holding(&self) -> Vec<TenantId> {
        self.meets(Defect::Holding);
        self.state().held.iter().copied().collect()
    }

    fn holding_unwatched(&self) -> Vec<TenantId> {
        let state = self.state();
        let is_unwatched = |tenant: &&TenantId| !state.watched.contains_key(tenant);
        state.held.iter().filter(is_unwatched).copied().collect()
    }

    fn watch_versions(&self, tenant: TenantId, versions: &[KekId]) {
        self.state().watched.insert(tenant, versions.to_vec());
    }

    fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    async fn plant(&self, tenant: &TenantKeys) -> Result<Canary, SealerError> {
        Ok(self.vault.plant(self.me, tenant).await?)
    }

    async fn probe(&self, tenant: &TenantKeys, canary: &Canary) -> Result<(), VaultError> {
        self.meets(Defect::Looking);
        let answer = self.vault.probe(self.me, tenant, canary).await;
        // It is learnt as from any other call.
        match &answer {
            Ok(()) => self.is_served(tenant.tenant, &canary.kek),
            Err(error) if error.cause().is_refusal() => self.is_refused(tenant.tenant, &canary.kek, error.cause()),
            Err(_) => {}
        }
        answer
    }

    async fn newest(&self, tenant: &TenantKeys) -> Result<KekId, VaultError> {
        self.vault.newest(self.me, tenant).await
    }
}

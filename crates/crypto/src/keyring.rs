//! The data keys of all tenants: where the vault, the cache, the leases and the standings meet.
//!
//! Every call to the vault is made here, and what its answer teaches is learnt here, once per call however many wait for
//! it:
//! - a refusal (`Fault::Customer`) evicts at once whatever it concerns, and is remembered for a moment; what it only may
//!   concern is asked for again before it is used (see [`Meaning`]). One that may pass is confirmed
//!   before (see `confirming`);
//! - bytes that do not unwrap (`Fault::Caller`) are remembered for a while;
//! - unavailable is not revoked (`Fault::Unavailable`): nothing is evicted, and a key under grace learns of the outage;
//! - our own failure (`Fault::Service`) says nothing about the tenant;
//! - nor does it say anything of a vault that a call nobody waits for was not made, to leave room for others.
//!
//! It is logged here too, when it changes, as nobody may be waiting for it: the customer's refusal at `info`, what does not
//! answer at `warn`, our own failure at `error`; the same again, and bytes that do not unwrap, at `debug`. And it is news for
//! the other replicas: what one refusal taught here is obeyed there, and the reverse.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use tokio::{sync::broadcast, time::Instant};

use crate::{
    assurance::{Assurance, Watch},
    cache::{KeyCache, Slot},
    calls::Calls,
    envelope::is_modulus_len,
    flight::Flights,
    held::HeldKey,
    id::{KekId, KeyRef, KeyVersion, TenantId},
    lease::{Lease, Leases, Terms},
    news::{Learnt, News, Refusal},
    question::Questions,
    refusals::{Refusals, Version},
    sealer::SealerError,
    secret::DataKey,
    standing::{Standing, StandingId, Standings, Subject, Withdrawal},
    stats::{Counter, Counters, SealerStats},
    tenant::{TenantKeys, VersionPolicy},
    troubles::Troubles,
    vault::{Evidence, Fault, KeyVault, Meaning, Reach, Urgency, VaultCause, VaultError, WrappedDataKey},
    versions::Versions,
};

mod assuring;
mod confirming;
mod following;
mod leasing;
mod opening;
mod probing;
mod proving;
mod rewrapping;

use self::rewrapping::{Rewrapped, Rewrapping, Rewraps};

/// Bounds on what a sealer keeps in memory.
#[derive(Clone, Copy, Debug)]
pub struct SealerLimits {
    /// The most unwrapped data keys kept for opening, over all tenants.
    pub cached_data_keys: u64,
    /// The most refusals remembered of each kind: customers', of versions that may be made up, of bytes that do not unwrap.
    pub cached_refusals: u64,
    /// The most tenants with an active lease; the least recently used gives way.
    pub leases: u64,
    /// The most data keys whose rewrapped form is kept, so that each is wrapped once however many envelopes carry it.
    pub rewrapped: u64,
    /// The most calls to vaults under way at once.
    pub calls: usize,
    /// Of them, the most of one tenant, half of them at most for rewrapping. Canaries are not counted.
    pub calls_per_tenant: usize,
    /// How long a refusal that may pass is asked about again before it is believed; meanwhile nothing that it would withdraw is
    /// used. It is believed, too, if the vault gives no answer meanwhile. Zero believes it at once.
    pub confirmation: Duration,
    /// What is needed to go on using what is held. `None` asks for nothing: each key then has its time and no more.
    pub assurance: Option<Assurance>,
}

impl Default for SealerLimits {
    /// 100,000 data keys, 10,000 refusals and leases, 100,000 rewrapped keys, 4,096 calls of which 64 of a tenant, three seconds to
    /// confirm, no assurance.
    fn default() -> Self {
        Self {
            cached_data_keys: 100_000,
            cached_refusals: 10_000,
            leases: 10_000,
            rewrapped: 100_000,
            calls: 4_096,
            calls_per_tenant: 64,
            confirmation: Duration::from_secs(3),
            assurance: None,
        }
    }
}

/// The data keys of all tenants.
pub(crate) struct Keyring {
    vault: Arc<dyn KeyVault>,
    cache: KeyCache,
    refusals: Refusals,
    leases: Leases,
    rewraps: Rewraps,
    versions: Versions,
    standings: Standings,
    troubles: Troubles,
    calls: Calls,
    questions: Questions,
    confirmation: Duration,
    watch: Watch,
    assurances: Flights<(StandingId, Urgency), Result<(), VaultError>>,
    unwraps: Flights<(Slot, StandingId, Urgency), Result<Arc<HeldKey>, VaultError>>,
    new_leases: Flights<(StandingId, Terms, Urgency), Result<Arc<Lease>, SealerError>>,
    new_rewraps: Flights<Rewrapping, Result<Arc<Rewrapped>, VaultError>>,
    /// Which standing a tenant's shared proof was last relied on under: it is in use, though no data key is held under it.
    relied_on: Cache<TenantId, Arc<Standing>>,
    /// Whether anything was withdrawn that is not yet wiped.
    has_withdrawn: AtomicBool,
    news: broadcast::Sender<News>,
    /// Under which version a tenant's key last wrapped that was left to choose.
    wrapped_under: Cache<(TenantId, KeyRef), KeyVersion>,
    counters: Counters,
}

impl Keyring {
    pub(crate) fn new(vault: Arc<dyn KeyVault>, limits: SealerLimits) -> Self {
        let standings = Standings::new();
        Self {
            vault,
            cache: KeyCache::new(limits.cached_data_keys),
            refusals: Refusals::new(limits.cached_refusals),
            leases: Leases::new(limits.leases),
            rewraps: Rewraps::new(limits.rewrapped),
            versions: Versions::new(limits.leases, limits.cached_data_keys),
            questions: Questions::default(),
            confirmation: limits.confirmation,
            watch: Watch::new(limits.assurance, standings.epoch()),
            assurances: Flights::new(),
            standings,
            troubles: Troubles::new(limits.cached_refusals),
            calls: Calls::new(limits.calls, limits.calls_per_tenant),
            unwraps: Flights::new(),
            new_leases: Flights::new(),
            new_rewraps: Flights::new(),
            relied_on: Cache::builder()
                .max_capacity(limits.leases)
                .time_to_live(RELIED_ON)
                .build(),
            has_withdrawn: AtomicBool::new(false),
            news: broadcast::Sender::new(UNREAD_NEWS),
            wrapped_under: Cache::new(limits.leases),
            counters: Counters::default(),
        }
    }

    /// Forgets all that is kept of a tenant.
    pub(crate) fn evict(&self, tenant: TenantId) {
        let is_eviction = self.standings.withdraw_all(tenant);
        self.leases.remove(&tenant);
        if is_eviction {
            self.note_eviction();
        }
    }

    /// Forgets all that is kept of every tenant. (A lease that was withdrawn is not used, and goes with the next `tidy`.)
    pub(crate) fn evict_all(&self) {
        if self.standings.withdraw_everything() {
            self.note_eviction();
        }
    }

    /// Forgets all, as nobody knows how old anything is: that others were heard, too.
    pub(crate) fn evict_all_after_standstill(&self) {
        self.watch.deafen(Instant::now());
        self.evict_all();
    }

    /// Learns what another replica learnt: a refusal, which is confirmed. If it may be of that replica's address, it evicts as any
    /// does, but is not the answer here: one replica that is not let in must not keep the others from asking for themselves.
    pub(crate) fn obey(&self, tenant: &TenantKeys, refusal: &Refusal, is_remembered: bool) {
        let Some(meaning) = refusal.cause.meaning(refusal.call) else {
            return;
        };
        let subject = Subject {
            call: refusal.call,
            key: refusal.key.clone(),
            version: refusal.version.clone(),
        };
        let error = VaultError::new(refusal.cause, None, refusal.evidence.clone());
        let (standing, now) = (self.standings.of(tenant.tenant, subject), Instant::now());
        if self.troubles.are_news(&standing, refusal.cause, now) {
            tracing::info!(tenant = %tenant.tenant, cause = ?refusal.cause, "the customer has refused another replica");
        }
        if is_remembered {
            self.withdraw(&standing, meaning, Version::Known, &error, now);
        } else {
            self.evict_refused(&standing, meaning, refusal.cause, now);
        }
        self.vault.forget(tenant);
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The tenants of whom anything is held.
    pub(crate) fn holding(&self) -> Vec<TenantId> {
        self.standings.held()
    }

    /// The tenants of whom anything is held under a version that is not known to be looked at.
    pub(crate) fn holding_unwatched(&self) -> Vec<TenantId> {
        self.standings.held_unwatched()
    }

    /// Takes it that a tenant's keys are looked at under these versions, and no others.
    pub(crate) fn watch_versions(&self, tenant: TenantId, versions: &[KekId]) {
        self.standings.watch(tenant, versions);
    }

    /// What is learnt from now on.
    pub(crate) fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Wipes from memory what is expired or withdrawn.
    pub(crate) async fn tidy(&self) {
        if self.has_withdrawn.swap(false, Ordering::AcqRel) {
            self.leases.remove_withdrawn();
            self.cache.remove_withdrawn().await;
        }
        self.cache.remove_expired();
        self.refusals.remove_expired();
        self.rewraps.remove_expired();
        self.leases.remove_expired();
        self.relied_on.run_pending_tasks();
        self.standings.prune();
    }

    pub(crate) fn stats(&self) -> SealerStats {
        SealerStats {
            cached_data_keys: self.cache.len(),
            leases: self.leases.len(),
            ..self.counters.snapshot()
        }
    }

    /// The standing under which to wrap for a tenant, unless the vault refused to a moment ago.
    async fn wrapping_standing(&self, tenant: &TenantKeys) -> Result<Arc<Standing>, VaultError> {
        let standing = self.settled(tenant, Subject::wrap(tenant)).await;
        self.recall(&standing, None)?;
        Ok(standing)
    }

    /// Fails as the vault did a moment ago, if it refused.
    fn recall(&self, standing: &Standing, slot: Option<Slot>) -> Result<(), VaultError> {
        let now = Instant::now();
        let of_all = || match self.version_of(standing) {
            Version::Known => None,
            Version::Unknown => self.refusals.recall_of_all(standing, now),
        };
        match self.refusals.recall(standing, slot, now).or_else(of_all) {
            Some(refusal) => {
                self.counters.refusals_recalled.count();
                Err(refusal)
            }
            None => Ok(()),
        }
    }

    /// Asks the vault to wrap, and again if it did so under a version that is known to be past.
    async fn wrap(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        data_key: &DataKey,
        urgency: Urgency,
    ) -> Result<WrappedDataKey, VaultError> {
        let wrapped = self.wrap_as_told(tenant, standing, data_key, urgency).await?;
        match self.versions.note_wrapped(tenant, standing, &wrapped.kek.version) {
            None => {
                self.note_wrapped(tenant, &wrapped.kek);
                Ok(wrapped)
            }
            Some(newest) => {
                self.wrap_under_newest(tenant, standing, data_key, newest, urgency)
                    .await
            }
        }
    }

    /// Asks the vault to wrap, at the version that the policy names.
    async fn wrap_as_told(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        data_key: &DataKey,
        urgency: Urgency,
    ) -> Result<WrappedDataKey, VaultError> {
        let wrap = |urgency| async move { as_asked(tenant, self.vault.wrap(tenant, data_key, urgency).await?) };
        self.call(tenant, standing, &self.counters.vault_wraps, urgency, wrap)
            .await
    }

    /// Asks the vault to unwrap.
    async fn unwrap(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        wrapped: &WrappedDataKey,
        urgency: Urgency,
    ) -> Result<DataKey, VaultError> {
        let unwrap = |urgency| self.vault.unwrap(tenant, wrapped, urgency);
        self.call(tenant, standing, &self.counters.vault_unwraps, urgency, unwrap)
            .await
    }

    /// Has the vault unwrap what is known to be `data_key`, as no caller says: it must be the same.
    async fn unwrap_known(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        wrapped: &WrappedDataKey,
        data_key: &DataKey,
        urgency: Urgency,
    ) -> Result<(), VaultError> {
        let unwrap = |urgency| async move {
            match self.vault.unwrap(tenant, wrapped, urgency).await {
                Ok(unwrapped) if unwrapped.is(data_key) => Ok(()),
                Err(error) if error.cause() != VaultCause::WrappedKeyInvalid => Err(error),
                // These bytes come from no caller.
                Ok(_) | Err(_) => Err(VaultCause::AnswerInvalid.into()),
            }
        };
        self.call(tenant, standing, &self.counters.vault_unwraps, urgency, unwrap)
            .await
    }

    /// Makes a call to the vault and learns from its answer; from a refusal that may pass, once it is confirmed. That is asked as
    /// urgently as for a canary: that there is no room for the call, or that the vault's limits are near, is no answer of the
    /// vault's, and must not be taken for its last word.
    async fn call<T, C>(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        made: &Counter,
        urgency: Urgency,
        call: impl Fn(Urgency) -> C,
    ) -> Result<T, VaultError>
    where
        C: Future<Output = Result<T, VaultError>>,
    {
        let began = Instant::now();
        let attempt = |urgency| self.attempt(standing, made, urgency, &call);
        match attempt(urgency).await {
            Err(error) if self.is_to_be_confirmed(standing, &error) => {
                self.confirmed(tenant, standing, error, urgency, attempt).await
            }
            Err(error) if matches!(urgency, Urgency::Background | Urgency::Bulk) && gave_way(&error) => {
                tracing::debug!(tenant = %standing.tenant(), "a call that can wait leaves the vault to others");
                Err(error)
            }
            answer => {
                self.learn(tenant, standing, answer.as_ref().err(), began);
                answer
            }
        }
    }

    /// Makes a call to the vault, if there is room for it, and counts it. There is always room for a canary; one in bulk waits
    /// for its place.
    async fn attempt<T, C>(
        &self,
        standing: &Standing,
        made: &Counter,
        urgency: Urgency,
        call: impl Fn(Urgency) -> C,
    ) -> Result<T, VaultError>
    where
        C: Future<Output = Result<T, VaultError>>,
    {
        let _place = match urgency {
            Urgency::Watch => None,
            Urgency::Request | Urgency::Background => Some(self.calls.place(standing.tenant()).ok_or_else(busy)?),
            Urgency::Bulk => Some(self.calls.place_in_bulk(standing.tenant()).await.ok_or_else(busy)?),
        };
        made.count();
        call(urgency).await
    }

    /// Learns from a call that began then how things are with everything under the standing that it was made with.
    fn learn(&self, tenant: &TenantKeys, standing: &Arc<Standing>, failure: Option<&VaultError>, began: Instant) {
        match failure {
            None => self.learn_served(standing, began),
            Some(error) => self.learn_failure(tenant, standing, error, Instant::now()),
        }
    }

    fn learn_served(&self, standing: &Standing, began: Instant) {
        standing.note_served(began);
        self.versions.note_known(standing);
        if let Some(cause) = self.troubles.are_over(standing) {
            tracing::info!(tenant = %standing.tenant(), ?cause, "the key vault serves again");
            if cause.is_refusal() || cause.is_outage() {
                self.publish(standing.tenant(), Learnt::Serves);
            }
        }
    }

    /// Learns from a failure that was first said then.
    fn learn_failure(&self, tenant: &TenantKeys, standing: &Arc<Standing>, error: &VaultError, said: Instant) {
        let cause = error.cause();
        if cause == VaultCause::Busy {
            self.tell(standing, error);
            return;
        }
        let version = self.version_of(standing);
        if cause == VaultCause::KeyNotFound && version == Version::Unknown {
            self.learn_of_unknown_version(standing, error);
            return;
        }
        let is_news = self.tell(standing, error);
        let Some(meaning) = cause.meaning(standing.subject().call) else {
            self.counters.vault_failures.count();
            if is_news && cause.is_outage() {
                self.publish(tenant.tenant, Learnt::Unavailable(error.clone()));
            }
            return;
        };
        self.counters.vault_refusals.count();
        let is_eviction = self.withdraw(standing, meaning, version, error, said);
        if is_news || is_eviction {
            self.vault.forget(tenant);
            let Subject { call, key, version } = standing.subject().clone();
            let refusal = Refusal {
                call,
                key,
                version,
                cause,
                evidence: error.evidence().clone(),
            };
            self.publish(tenant.tenant, Learnt::Refused(refusal));
        }
    }

    /// Withdraws what a refusal means that was first said then, and remembers it for a moment. Whether anything was evicted.
    fn withdraw(
        &self,
        standing: &Arc<Standing>,
        meaning: Meaning,
        version: Version,
        error: &VaultError,
        said: Instant,
    ) -> bool {
        let Some(withdrawal) = self.evict_refused(standing, meaning, error.cause(), said) else {
            return false;
        };
        self.refusals.remember(withdrawal.anew, version, error.clone());
        withdrawal.is_eviction
    }

    /// Withdraws what a refusal means that was first said then. Nothing if that was withdrawn before.
    fn evict_refused(
        &self,
        standing: &Arc<Standing>,
        meaning: Meaning,
        cause: VaultCause,
        said: Instant,
    ) -> Option<Withdrawal> {
        let withdrawal = self.standings.withdraw(standing, meaning, said)?;
        if withdrawal.is_eviction {
            tracing::debug!(tenant = %standing.tenant(), ?cause, ?meaning, "cached keys evicted");
            self.note_eviction();
        }
        Some(withdrawal)
    }

    /// Learns that the vault does not know a version that it never unwrapped with for us. Perhaps the customer has deleted
    /// the key; perhaps somebody made the version up, as an envelope may name any. So it counts as no refusal and evicts
    /// nothing; the versions that the vault did unwrap with are put in doubt, no more than now and then.
    fn learn_of_unknown_version(&self, standing: &Arc<Standing>, error: &VaultError) {
        self.counters.vault_failures.count();
        self.tell(standing, error);
        self.standings.doubt(standing, Reach::Key, Instant::now());
        self.refusals
            .remember(Arc::clone(standing), Version::Unknown, error.clone());
    }

    /// Whether the key is known to have the version of a standing: the vault has unwrapped under it. An envelope may name any;
    /// and what one of a vault's machines has just wrapped under, another may not have heard of.
    fn version_of(&self, standing: &Standing) -> Version {
        if standing.has_served() || self.versions.is_known(standing) {
            Version::Known
        } else {
            Version::Unknown
        }
    }

    /// Learns under which version a key wrapped. Where it was left to choose, another than before is news.
    fn note_wrapped(&self, tenant: &TenantKeys, kek: &KekId) {
        if tenant.version == VersionPolicy::FollowLatest {
            let place = (tenant.tenant, kek.key.clone());
            if self.wrapped_under.get(&place).as_ref() != Some(&kek.version) {
                self.wrapped_under.insert(place, kek.version.clone());
                self.publish(tenant.tenant, Learnt::Wrapped(kek.clone()));
            }
        }
    }

    /// Tells whoever listens.
    fn publish(&self, tenant: TenantId, learnt: Learnt) {
        // It fails where nobody listens.
        let _ = self.news.send(News { tenant, learnt });
    }

    /// Logs why a call failed, as loud as whose move it is, unless it was told before. Whether it was not.
    fn tell(&self, standing: &Standing, error: &VaultError) -> bool {
        let (tenant, cause, said) = (standing.tenant(), error.cause(), error.evidence());
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    %tenant,
                    ?cause,
                    status = said.status,
                    upstream_code = said.code.as_deref(),
                    upstream_request_id = said.request_id.as_deref(),
                    "the key vault did not do as asked"
                )
            };
        }
        let is_news = cause.fault() != Fault::Caller && self.troubles.are_news(standing, cause, Instant::now());
        match cause.fault() {
            _ if !is_news => event!(debug),
            Fault::Caller => event!(debug),
            Fault::Customer => event!(info),
            Fault::Unavailable => event!(warn),
            Fault::Service => event!(error),
        }
        is_news
    }

    fn note_eviction(&self) {
        self.counters.evictions.count();
        self.note_superseded();
    }

    /// Notes that there is something to be wiped, though nobody took it away.
    fn note_superseded(&self) {
        self.has_withdrawn.store(true, Ordering::Release);
    }
}

/// Requires that the vault wrapped under the key, and at the version, that it was asked for: an envelope must not name
/// another, or it would never open.
fn as_asked(tenant: &TenantKeys, wrapped: WrappedDataKey) -> Result<WrappedDataKey, VaultError> {
    let version_fits = match &tenant.version {
        VersionPolicy::FollowLatest => true,
        VersionPolicy::Pinned(version) => wrapped.kek.version == *version,
    };
    if version_fits && wrapped.kek.key == tenant.current && is_modulus_len(wrapped.bytes.len()) {
        Ok(wrapped)
    } else {
        Err(VaultCause::AnswerInvalid.into())
    }
}

/// Whether the vault has said neither yes nor no.
fn is_no_answer(error: &VaultError) -> bool {
    matches!(error.cause().fault(), Fault::Unavailable | Fault::Service)
}

/// Whether the vault was not asked, for our own reasons.
fn is_unasked(error: &VaultError) -> bool {
    error.cause() == VaultCause::Busy || gave_way(error)
}

/// What is answered where there is no room for another call. Of calls under way, most are over within a moment.
fn busy() -> VaultError {
    VaultError::new(VaultCause::Busy, Some(BUSY_FOR), Evidence::default())
}

/// Whether a call was not made, to leave the vault to others.
fn gave_way(error: &VaultError) -> bool {
    error.cause() == VaultCause::QuotaSpent
}

/// What a request gets whose call to the vault was lost: its task panicked, or the runtime shuts down.
fn lost() -> VaultError {
    VaultCause::ConnectionFailed.into()
}

/// After how long a request that found too many calls under way is welcome again.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// How long it counts as holding something that a proof was relied on.
const RELIED_ON: Duration = Duration::from_mins(1);
/// How many news wait for who listens, before the oldest give way.
const UNREAD_NEWS: usize = 1024;

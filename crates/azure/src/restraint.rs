//! What keeps calls from a vault before it asks for it: its documented limits, its silence, and too many second tries. All of
//! it is one vault's own: what happens to one touches no other.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use keyferry_crypto::{
    id::{VaultHost, VaultKind},
    tenant::Route,
    vault::{Evidence, Urgency, VaultCause, VaultError},
};
use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::{Instant, sleep_until};
use tower::retry::budget::{Budget, TpsBudget};

use crate::{
    breaker::{Breaker, Pass, Turned},
    config::Limits,
    gauge::{Counts, Gauge, VaultStats},
    price::Prices,
    quota::Quota,
};

/// Vaults that are remembered at most; the least used give way. A few KiB each while they are asked.
const MAX_VAULTS: u64 = 20_000;

/// The ways to one vault that are remembered at most. One that has more has its endpoint made anew again and again.
const MAX_WAYS: usize = 8;

/// What ten seconds buy at a vault: 4,000 calls with RSA-2048 in software.
const BUDGET: f64 = 4_000.0;

/// The share of a limit that looks may spend, whatever else is spent. It is far more than they need, unless very many tenants have
/// their keys in one vault: these shall not spend a customer's whole limit on being watched.
const TO_LOOK: f64 = 1.0 / 2.0;

/// The share of a limit that may be spent with a call that nobody waits for. The rest is left to who waits.
const IN_BACKGROUND: f64 = 1.0 / 2.0;

/// The share of a limit that may be spent with a call in bulk. It is less, so that however many of these there are, keys in use are
/// still renewed ahead of time.
const IN_BULK: f64 = 1.0 / 3.0;

/// Second tries are at most this share of the calls to a vault, and [`FREE_TRIES`] a second.
const TRIED_AGAIN: f32 = 0.2;

/// Second tries a second that even a vault that is hardly asked may have.
const FREE_TRIES: u32 = 1;

/// The span over which they are counted.
const TRIES_COUNTED: Duration = Duration::from_secs(10);

/// What a call may claim of a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A canary: [`Urgency::Watch`].
    Watch,
    /// Somebody asks how things are at the vault now. The few such calls are not answered from what is known of it, but they are
    /// tried again, and obey the vault's own word.
    Question,
    /// Somebody waits for it: [`Urgency::Request`].
    Request,
    /// Nobody waits: [`Urgency::Background`].
    Background,
    /// It is one of very many: [`Urgency::Bulk`].
    Bulk,
}

/// What a call claims of a vault, and what it costs of its limit for cryptographic calls; nothing if it is not one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Toll {
    pub(crate) claim: Claim,
    pub(crate) units: Option<u32>,
}

/// What is known of all vaults, and what was done for them.
#[derive(Debug)]
pub(crate) struct Restraints {
    pub(crate) limits: Limits,
    pub(crate) prices: Prices,
    replicas: AtomicU32,
    vaults: Cache<VaultHost, Arc<Restraint>>,
    counts: Counts,
}

/// A turn that is waited for. If it is not until it comes, it was not used.
struct Waiting<'a> {
    quota: &'a Quota,
    units: u32,
    turn: Instant,
}

/// One vault's.
#[derive(Debug)]
pub(crate) struct Restraint {
    quota: Quota,
    tries: TpsBudget,
    breakers: Mutex<Vec<(Route, Arc<Breaker>)>>,
}

impl Restraints {
    pub(crate) fn new(limits: Limits) -> Self {
        let kept = Cache::builder().max_capacity(MAX_VAULTS);
        Self {
            limits,
            prices: Prices::new(),
            replicas: AtomicU32::new(1),
            vaults: kept.eviction_policy(EvictionPolicy::lru()).build(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn share_among(&self, replicas: u32) {
        self.replicas.store(replicas.max(1), Relaxed);
    }

    /// What is known of a vault. Nothing, if it was not asked before.
    pub(crate) fn of(&self, vault: &VaultHost) -> Arc<Restraint> {
        self.vaults.get_with_by_ref(vault, || {
            Arc::new(Restraint {
                quota: Quota::new(Instant::now()),
                tries: TpsBudget::new(TRIES_COUNTED, FREE_TRIES, TRIED_AGAIN),
                breakers: Mutex::default(),
            })
        })
    }

    /// Waits for a call's turn, no longer than is configured and never beyond `deadline`, and spends what it costs.
    pub(crate) async fn spend(
        &self,
        vault: &VaultHost,
        restraint: &Restraint,
        toll: Toll,
        deadline: Instant,
    ) -> Result<(), VaultError> {
        let (Some(units), now) = (toll.units, Instant::now()) else {
            return Ok(());
        };
        let (quota, limit) = (&restraint.quota, self.limit(vault));
        let latest = deadline.min(now + self.limits.wait);
        let booked = match toll.claim {
            Claim::Watch => quota.take_to_look(units, limit * TO_LOOK, now).map(|()| now),
            Claim::Question => {
                quota.take_anyway(units, now);
                Ok(now)
            }
            Claim::Request => quota.book(units, limit, latest, now),
            Claim::Background => quota.take_spare(units, limit * IN_BACKGROUND, now).map(|()| now),
            Claim::Bulk => {
                let spared = wait_for_spare(quota, units, limit * IN_BULK, latest).await;
                spared.map(|()| now)
            }
        };
        match booked {
            Ok(turn) if turn <= now => Ok(()),
            Ok(turn) => {
                let waiting = Waiting { quota, units, turn };
                sleep_until(turn).await;
                waiting.end();
                Ok(())
            }
            Err(turn) => {
                self.counts.quota_refused.one_more();
                let left = turn.saturating_duration_since(Instant::now());
                Err(VaultError::new(VaultCause::QuotaSpent, Some(left), Evidence::default()))
            }
        }
    }

    /// Fails as the vault did, if it does not answer and the call heeds that. Nothing is kept of it: the call is not made yet.
    pub(crate) fn look(&self, breaker: &Breaker, claim: Claim) -> Result<(), VaultError> {
        match claim {
            Claim::Watch | Claim::Question => Ok(()),
            Claim::Request | Claim::Background | Claim::Bulk => self.counted(breaker.look(Instant::now())),
        }
    }

    /// Leave to make a call now. Fails as the vault did, if it does not answer and the call heeds that.
    pub(crate) fn enter(&self, breaker: &Arc<Breaker>, claim: Claim) -> Result<Pass, VaultError> {
        match claim {
            Claim::Watch | Claim::Question => Ok(breaker.enter_anyway()),
            Claim::Request | Claim::Background | Claim::Bulk => self.counted(breaker.enter(Instant::now())),
        }
    }

    /// Learns from how a call went.
    pub(crate) fn learn(&self, vault: &VaultHost, restraint: &Restraint, pass: Pass, failure: Option<&VaultError>) {
        let now = Instant::now();
        if failure.is_some_and(|error| error.cause() == VaultCause::Throttled) {
            self.counts.throttled.one_more();
            restraint.quota.cut(now);
        }
        match pass.tell(failure, &self.limits, now) {
            Turned::Not => {}
            Turned::Open => {
                self.counts.breakers_opened.one_more();
                tracing::warn!(%vault, cause = ?failure.map(VaultError::cause), "the vault does not answer: it is left alone");
            }
            Turned::Closed => tracing::info!(%vault, "the vault answers again"),
        }
    }

    /// Whether an operation that failed may be tried again then.
    pub(crate) fn may_try_again(&self, restraint: &Restraint, breaker: &Breaker, claim: Claim, then: Instant) -> bool {
        let is_heard = matches!(claim, Claim::Watch | Claim::Question) || breaker.look(then).is_ok();
        if is_heard && restraint.tries.withdraw() {
            self.counts.retries.one_more();
            return true;
        }
        self.counts.retries_refused.one_more();
        false
    }

    /// How much of a vault's limit is used, and whether it answers by every way. `None` if it was not asked lately.
    pub(crate) fn gauge(&self, vault: &VaultHost) -> Option<Gauge> {
        let restraint = self.vaults.get(vault)?;
        let (limit, now) = (self.limit(vault), Instant::now());
        let is_open = restraint.open(now) > 0;
        let used = restraint.quota.gauge(limit, now);
        // One that is left alone is not asked, and is shown all the same.
        let used = used.or_else(|| is_open.then(|| Gauge::unused(limit)))?;
        Some(Gauge { is_open, ..used })
    }

    pub(crate) fn stats(&self) -> VaultStats {
        let now = Instant::now();
        let open = self.vaults.iter().map(|(_, restraint)| restraint.open(now)).sum();
        self.counts.stats(open)
    }

    /// What ten seconds buy this replica at a vault. Azure documents no such limits of Managed HSMs.
    fn limit(&self, vault: &VaultHost) -> f64 {
        match vault.kind() {
            VaultKind::KeyVault => BUDGET * (1.0 - self.limits.quota_margin) / f64::from(self.replicas.load(Relaxed)),
            VaultKind::ManagedHsm => f64::INFINITY,
        }
    }

    fn counted<T>(&self, entered: Result<T, VaultError>) -> Result<T, VaultError> {
        entered.inspect_err(|_| self.counts.breaker_refused.one_more())
    }
}

impl Restraint {
    /// An operation begins, which earns the vault a share of a second try.
    pub(crate) fn begin(&self) {
        self.tries.deposit();
    }

    /// The breaker of one way to the vault: a private endpoint may be dead while the public network is well.
    pub(crate) fn breaker(&self, route: Route) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, breaker)) = breakers.iter().find(|(way, _)| *way == route) {
            return Arc::clone(breaker);
        }
        if breakers.len() == MAX_WAYS {
            breakers.remove(0);
        }
        let breaker = Arc::<Breaker>::default();
        breakers.push((route, Arc::clone(&breaker)));
        breaker
    }

    /// How many ways to the vault do not answer.
    fn open(&self, now: Instant) -> u64 {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers
            .iter()
            .map(|(_, breaker)| u64::from(breaker.is_open(now)))
            .sum()
    }
}

/// Waits until less than `share` is spent, and spends what a call in bulk costs; or fails with the time at which it could be, if
/// that is later than `latest`. No turn is booked ahead: whoever comes meanwhile would have theirs behind it.
async fn wait_for_spare(quota: &Quota, units: u32, share: f64, latest: Instant) -> Result<(), Instant> {
    loop {
        match quota.take_spare(units, share, Instant::now()) {
            Err(turn) if turn <= latest => sleep_until(turn).await,
            spared => return spared,
        }
    }
}

impl Waiting<'_> {
    fn end(mut self) {
        self.units = 0;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.quota.give_back(self.units, self.turn);
    }
}

impl From<Urgency> for Claim {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Watch => Self::Watch,
            Urgency::Request => Self::Request,
            Urgency::Background => Self::Background,
            Urgency::Bulk => Self::Bulk,
        }
    }
}

impl Toll {
    /// A cryptographic call's.
    pub(crate) fn of(urgency: Urgency, units: u32) -> Self {
        Self {
            claim: urgency.into(),
            units: Some(units),
        }
    }

    /// A call's that uses no key. Azure allows 4,000 of those in ten seconds too, counted apart, which we never come near.
    pub(crate) fn free(claim: Claim) -> Self {
        Self { claim, units: None }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn vault(host: &str) -> VaultHost {
        host.parse().unwrap()
    }

    fn acme() -> VaultHost {
        vault("acme.vault.azure.net")
    }

    /// One of so many replicas.
    fn shared_by(replicas: u32) -> Restraints {
        let restraints = Restraints::new(Limits::default());
        restraints.share_among(replicas);
        restraints
    }

    /// What becomes of a call that costs so much and has a minute.
    async fn spend(restraints: &Restraints, vault: &VaultHost, urgency: Urgency, units: u32) -> Result<(), VaultError> {
        let (restraint, deadline) = (restraints.of(vault), Instant::now() + SECOND * 60);
        let toll = Toll::of(urgency, units);
        restraints.spend(vault, &restraint, toll, deadline).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_comes_soon_is_waited_for_in_order_and_one_that_does_not_is_told_at_once() {
        let restraints = shared_by(400);
        let vault = acme();
        let request = |units| spend(&restraints, &vault, Urgency::Request, units);
        let now = |units| request(units).now_or_never();
        request(8).await.unwrap();
        let refused = now(1).expect("nobody waits in vain").unwrap_err();
        assert_eq!(refused.cause(), VaultCause::QuotaSpent);
        let wait = refused.retry_after().unwrap();
        assert!(wait > SECOND && wait <= SECOND * 10 + SECOND / 10, "{wait:?}");
        // Whoever gives up waiting leaves the turn to others.
        let turn = Instant::now() + wait;
        tokio::time::advance(SECOND * 19 / 2).await;
        assert!(now(8).is_none());
        let began = Instant::now();
        request(1).await.unwrap();
        assert!(
            began < turn && turn <= Instant::now(),
            "it waited: {:?}",
            began.elapsed()
        );
        // Now there is room, and nobody waits.
        now(7).expect("at once").unwrap();
        assert_eq!(restraints.stats().quota_refused, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_bulk_leave_room_to_all_others_and_wait_for_theirs_before_nobody() {
        let restraints = shared_by(40);
        let acme = acme();
        let now = |urgency| spend(&restraints, &acme, urgency, 8).now_or_never();
        // 80 units: 26 in bulk, 40 in the background, 80 in all.
        for (urgency, made) in [(Urgency::Bulk, 3), (Urgency::Background, 2), (Urgency::Request, 5)] {
            for _ in 0..made {
                now(urgency).expect("at once").unwrap();
            }
            let refused = now(urgency).expect("nobody waits in vain").unwrap_err();
            assert_eq!(refused.cause(), VaultCause::QuotaSpent, "{urgency:?}");
            assert!(refused.retry_after().unwrap() > SECOND, "{urgency:?}");
        }
        tokio::time::advance(SECOND * 19 / 2).await;
        let mut in_bulk = Box::pin(spend(&restraints, &acme, Urgency::Bulk, 8));
        assert!((&mut in_bulk).now_or_never().is_none(), "it waits");
        // Somebody who comes later is not behind it.
        restraints.share_among(20);
        now(Urgency::Request).expect("at once").unwrap();
        in_bulk.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn no_turn_is_waited_for_beyond_the_operations_own_time() {
        let restraints = shared_by(400);
        let (acme, restraint) = (acme(), restraints.of(&acme()));
        let toll = Toll::of(Urgency::Request, 8);
        let within = |time| restraints.spend(&acme, &restraint, toll, Instant::now() + time);
        within(SECOND).await.unwrap();
        tokio::time::advance(SECOND * 19 / 2).await;
        assert!(within(SECOND / 10).await.is_err());
        within(SECOND).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_managed_hsm_has_no_limit_that_we_know_of() {
        let restraints = shared_by(4_000);
        let pool = vault("acme.managedhsm.azure.net");
        for _ in 0..1_000 {
            spend(&restraints, &pool, Urgency::Background, 16).await.unwrap();
        }
        assert!(restraints.gauge(&pool).unwrap().limit_per_second.is_infinite());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_uses_no_key_costs_nothing() {
        let restraints = shared_by(4_000);
        let (acme, restraint) = (acme(), restraints.of(&acme()));
        for _ in 0..1_000 {
            let toll = Toll::free(Claim::Background);
            let spent = restraints.spend(&acme, &restraint, toll, Instant::now());
            spent.await.unwrap();
        }
        assert_eq!(restraints.gauge(&acme), None);
    }

    #[tokio::test]
    async fn the_ways_to_a_vault_that_are_remembered_are_few() {
        let restraint = shared_by(1).of(&acme());
        let way = |last| Route::Private([10, 1, 0, last].into());
        let (first, second) = (restraint.breaker(way(0)), restraint.breaker(way(1)));
        for last in 0..=8 {
            restraint.breaker(way(last));
        }
        assert!(Arc::ptr_eq(&second, &restraint.breaker(way(1))));
        assert!(!Arc::ptr_eq(&first, &restraint.breaker(way(0))));
    }
}

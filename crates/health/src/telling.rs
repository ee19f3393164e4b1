//! What this replica learns from its own calls to vaults goes to the others through the registry.
//!
//! While the registry is away it is kept: a refusal for as long as it holds (until the vault serves again), once for each key and
//! version, the newest in the place of older ones; of hints a bounded number, as looks find out without them, only later.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_crypto::{
    id::{KekId, KeyRef, KeyVersion, TenantId},
    news::{Learnt, News, Refusal},
    tenant::Route,
    vault::{Call, VaultCause},
};
use keyferry_registry::{Tenant, key::KeyNews};
use tokio::{
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
    },
    time::Instant,
};

use crate::{
    patience::{Asked, Away, in_time},
    watch::KeyWatch,
};

/// What is still to be told.
#[derive(Default)]
pub(crate) struct Untold {
    state: Mutex<State>,
    more: Notify,
}

#[derive(Default)]
struct State {
    /// In the order in which they came.
    order: VecDeque<Errand>,
    refusals: HashMap<Subject, Refusal>,
    /// How many of those in order are hints.
    hints: usize,
    /// What was told a moment ago.
    told: HashMap<Subject, (VaultCause, Instant)>,
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Errand {
    Refusal(Subject),
    /// A tenant's key wrapped under this version, which may be new.
    Version(TenantId, KekId),
    /// A key serves that did not.
    Serves(TenantId),
}

/// What a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    tenant: TenantId,
    call: Call,
    key: KeyRef,
    version: Option<KeyVersion>,
}

impl KeyWatch {
    /// Tells what this replica learns, for as long as it learns anything.
    pub(crate) async fn tell(&self, news: &mut Receiver<News>) {
        self.untold.begin_anew();
        tokio::join!(self.learn(news), self.tell_untold());
    }

    async fn learn(&self, news: &mut Receiver<News>) {
        loop {
            match news.recv().await {
                Ok(News { tenant, learnt }) => self.take(tenant, learnt),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(
                        missed,
                        "what was learnt of customers' keys was not told: looks will find it out"
                    );
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn take(&self, tenant: TenantId, learnt: Learnt) {
        match learnt {
            Learnt::Refused(refusal) => {
                self.held.let_go(tenant);
                self.withdraw(tenant, refusal);
            }
            Learnt::Serves => {
                self.untold.serves(tenant);
                // It may be another version that serves: what the last look met may not have been told, and is told again.
                self.forget_met(tenant);
            }
            Learnt::Wrapped(kek) => self.untold.hint(Errand::Version(tenant, kek)),
            Learnt::Unavailable(_) => {
                let held = self.parts.registry.held(tenant);
                if held.is_some_and(|tenant| is_private(&tenant)) {
                    (self.parts.doubt_endpoint)(tenant);
                }
            }
        }
    }

    /// Has all replicas told that a customer refuses.
    pub(crate) fn withdraw(&self, tenant: TenantId, refusal: Refusal) {
        self.untold.refused(tenant, refusal, self.config.telling_pause());
    }

    async fn tell_untold(&self) {
        let mut telling = Asked::but("what was learnt of customers' keys cannot be told");
        loop {
            let Some(errand) = self.untold.next() else {
                self.untold.more.notified().await;
                continue;
            };
            let told = self.run_errand(&errand).await;
            if telling.note(told).is_none() {
                // To the end of the line: whatever it is about this one must not keep the others.
                self.untold.again(errand);
                tokio::time::sleep(telling.pause(RETRY)).await;
            }
        }
    }

    /// Tells what there is to tell, once: this replica ends.
    pub(crate) async fn tell_last(&self) -> Result<(), Away> {
        while let Some(errand) = self.untold.next() {
            self.run_errand(&errand).await?;
        }
        Ok(())
    }

    async fn run_errand(&self, errand: &Errand) -> Result<(), Away> {
        let store = &self.parts.store;
        match errand {
            Errand::Refusal(subject) => {
                let Some(refusal) = self.untold.refusal(subject) else {
                    return Ok(());
                };
                let (news, pause) = (KeyNews::Withdrawn(refusal.clone()), self.config.telling_pause());
                in_time(store.tell_key_news(self.me.id, subject.tenant, &news, pause)).await?;
                self.untold.is_told(subject, &refusal);
            }
            Errand::Version(tenant, kek) => {
                let health = in_time(store.key_health(*tenant)).await?;
                let newest = health.and_then(|health| health.newest);
                // Before the first look there is none, and the look will find it.
                if newest.is_some_and(|newest| newest.kek != *kek) {
                    in_time(store.hint(&kek.key)).await?;
                }
            }
            Errand::Serves(tenant) => {
                in_time(store.look_soon(*tenant)).await?;
            }
        }
        Ok(())
    }
}

fn is_private(tenant: &Tenant) -> bool {
    matches!(tenant.keys.route, Route::Private(_))
}

impl Untold {
    fn refused(&self, tenant: TenantId, refusal: Refusal, pause: Duration) {
        let subject = Subject {
            tenant,
            call: refusal.call,
            key: refusal.key.clone(),
            version: refusal.version.clone(),
        };
        let mut state = self.state();
        if state.was_told(&subject, refusal.cause, pause) {
            return;
        }
        if state.refusals.insert(subject.clone(), refusal).is_none() {
            state.order.push_back(Errand::Refusal(subject));
        }
        self.more.notify_one();
    }

    /// What was refused before does not hold any more.
    fn serves(&self, tenant: TenantId) {
        let mut state = self.state();
        state.refusals.retain(|subject, _| subject.tenant != tenant);
        state.told.retain(|subject, _| subject.tenant != tenant);
        let is_of_tenant = |errand: &Errand| matches!(errand, Errand::Refusal(subject) if subject.tenant == tenant);
        state.order.retain(|errand| !is_of_tenant(errand));
        drop(state);
        self.hint(Errand::Serves(tenant));
    }

    fn hint(&self, errand: Errand) {
        let mut state = self.state();
        if state.hints < MOST_HINTS && !state.order.contains(&errand) {
            state.hints += 1;
            state.order.push_back(errand);
            self.more.notify_one();
        }
    }

    fn next(&self) -> Option<Errand> {
        let mut state = self.state();
        let errand = state.order.pop_front()?;
        if !matches!(errand, Errand::Refusal(_)) {
            state.hints -= 1;
        }
        Some(errand)
    }

    fn refusal(&self, subject: &Subject) -> Option<Refusal> {
        self.state().refusals.get(subject).cloned()
    }

    fn is_told(&self, subject: &Subject, refusal: &Refusal) {
        let mut state = self.state();
        match state.refusals.get(subject) {
            Some(untold) if untold == refusal => {
                state.refusals.remove(subject);
                state.told.insert(subject.clone(), (refusal.cause, Instant::now()));
            }
            // Another came while this one was told.
            Some(_) => state.order.push_back(Errand::Refusal(subject.clone())),
            None => {}
        }
    }

    /// Puts those refusals in line again that are in none, as whoever had them in hand broke off.
    fn begin_anew(&self) {
        let mut state = self.state();
        let subjects: Vec<_> = state.refusals.keys().cloned().map(Errand::Refusal).collect();
        for errand in subjects {
            if !state.order.contains(&errand) {
                state.order.push_back(errand);
            }
        }
        self.more.notify_one();
    }

    fn again(&self, errand: Errand) {
        match errand {
            Errand::Refusal(subject) => {
                let mut state = self.state();
                if state.refusals.contains_key(&subject) {
                    state.order.push_back(Errand::Refusal(subject));
                }
            }
            hint @ (Errand::Version(..) | Errand::Serves(_)) => self.hint(hint),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the same was told less than `pause` ago.
    fn was_told(&mut self, subject: &Subject, cause: VaultCause, pause: Duration) -> bool {
        self.told.retain(|_, (_, at)| at.elapsed() < pause);
        self.told.get(subject).is_some_and(|(told, _)| *told == cause)
    }
}

/// Waits this long at first before it is tried again.
const RETRY: Duration = Duration::from_millis(100);
const MOST_HINTS: usize = 1_000;

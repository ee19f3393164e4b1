//! The registry's database, and the ways there: late, cut for one or all, without notifications, failing over to a server that
//! lagged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_crypto::id::{KeyRef, TenantId};
use keyferry_registry::{
    Change, Created, Idempotency, KeyChange, KeyStore, Mark, RegistryError, Revision, Since, Slug, Subject, Tenant,
    TenantChange, TenantStore,
    key::{Acknowledgement, Claimed, KeyEvent, KeyHealth, KeyNews, Looked, Replica, ReplicaId},
};
use tokio::{sync::Notify, time::sleep};

use crate::{dice::Dice, gate::Gate, store::FakeStore, trace};

pub(crate) struct Database {
    seed: u64,
    /// There is one.
    tenant: TenantId,
    state: Mutex<State>,
}

struct State {
    server: Arc<FakeStore>,
    /// What a server has that has heard of nothing since it began to lag.
    lagging: Option<Arc<FakeStore>>,
    /// Each that there is just now, as often as there is.
    troubles: Vec<Trouble>,
    listeners: Vec<(usize, Arc<Notify>)>,
    /// How often each replica has asked each kind of thing.
    calls: BTreeMap<(usize, &'static str), u64>,
}

/// What is wrong with the database, or the way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Slow,
    /// It is not there, for nobody.
    Away(Cut),
    /// It is not there for this machine.
    CutOff(usize, Cut),
    /// It notifies nobody.
    Mute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It gives no answer.
    Silent,
    /// It says no.
    Failing,
    /// It does as asked, and the answer is lost.
    Unanswered,
}

impl Database {
    pub(crate) fn new(seed: u64, server: FakeStore, tenant: TenantId) -> Arc<Self> {
        let state = State {
            server: Arc::new(server),
            lagging: None,
            troubles: Vec::new(),
            listeners: Vec::new(),
            calls: BTreeMap::new(),
        };
        Arc::new(Self {
            seed,
            tenant,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn server(&self) -> Arc<FakeStore> {
        Arc::clone(&self.state().server)
    }

    pub(crate) fn begins(&self, trouble: Trouble) {
        self.state().troubles.push(trouble);
    }

    pub(crate) fn ends(&self, trouble: Trouble) {
        let mut state = self.state();
        let place = state.troubles.iter().position(|other| *other == trouble);
        state.troubles.remove(place.expect("it was there"));
    }

    /// Another server hears of nothing from now on.
    pub(crate) fn begins_to_lag(&self) {
        let mut state = self.state();
        state.lagging = Some(Arc::new(FakeStore::clone(&state.server)));
    }

    /// That server takes the place of this one: what happened since is lost, though it was acknowledged.
    pub(crate) fn fails_over(&self) {
        let mut state = self.state();
        if let Some(lagging) = state.lagging.take() {
            state.server = lagging;
        }
    }

    fn cut(&self, machine: usize) -> Option<Cut> {
        let state = self.state();
        state.troubles.iter().find_map(|trouble| match trouble {
            Trouble::Away(cut) => Some(*cut),
            Trouble::CutOff(whose, cut) if *whose == machine => Some(*cut),
            _ => None,
        })
    }

    fn latency(&self, dice: &mut Dice) -> Duration {
        let is_slow = self.state().troubles.contains(&Trouble::Slow);
        let most = if is_slow { SLOW } else { QUICK };
        dice.between(Duration::from_millis(1), most)
    }

    fn notifies(&self) {
        let state = self.state();
        if !state.troubles.contains(&Trouble::Mute) {
            for (_, wake) in &state.listeners {
                wake.notify_one();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }
}

/// The way there of a replica on a machine.
pub(crate) struct Way {
    pub(crate) database: Arc<Database>,
    pub(crate) replica: usize,
    pub(crate) id: ReplicaId,
    pub(crate) machine: usize,
    pub(crate) gate: Arc<Gate>,
}

/// Something is asked, and was heard.
struct Trip<'a> {
    way: &'a Way,
    server: Arc<FakeStore>,
    keys: Arc<dyn KeyStore>,
    before: Revision,
    back: Duration,
}

impl Way {
    /// To the database, which may not be there.
    async fn asks(&self, what: &'static str) -> Result<Trip<'_>, RegistryError> {
        self.gate.passes().await;
        let mut dice = self.dice(what);
        let (there, back) = (self.database.latency(&mut dice), self.database.latency(&mut dice));
        sleep(there).await;
        let cut = self.database.cut(self.machine);
        trace::note(format_args!(
            "replica {} asks the registry: {what}: {cut:?}",
            self.replica
        ));
        match cut {
            Some(Cut::Silent) => std::future::pending().await,
            Some(Cut::Failing) => Err(away()),
            Some(Cut::Unanswered) | None => {
                let server = self.database.server();
                Ok(Trip {
                    way: self,
                    keys: server.reached_by(self.id),
                    before: newest(&server),
                    server,
                    back,
                })
            }
        }
    }

    /// Of tenants, and of what happened to their keys.
    fn all_changes(&self, server: &FakeStore) -> Vec<Change> {
        let tenants = server.tenant(self.database.tenant);
        let tenants = tenants.iter().map(tenants_change);
        tenants
            .chain(server.feed(Revision(0)).0.iter().map(keys_change))
            .collect()
    }

    fn dice(&self, what: &'static str) -> Dice {
        let mut state = self.database.state();
        let nth = state.calls.entry((self.replica, what)).or_default();
        *nth += 1;
        Dice::for_the((self.replica, what, *nth), self.database.seed)
    }
}

impl Trip<'_> {
    /// Back with the answer, which may be lost.
    async fn returns<T>(self, answer: Result<T, RegistryError>) -> Result<T, RegistryError> {
        let Way {
            database,
            machine,
            gate,
            ..
        } = self.way;
        if newest(&self.server) > self.before {
            database.notifies();
        }
        sleep(self.back).await;
        match database.cut(*machine) {
            Some(Cut::Silent | Cut::Unanswered) => return std::future::pending().await,
            Some(Cut::Failing) => return Err(away()),
            None => {}
        }
        gate.passes().await;
        answer
    }
}

fn newest(server: &FakeStore) -> Revision {
    server.feed(Revision(i64::MAX)).1
}

fn away() -> RegistryError {
    RegistryError::Unavailable(sqlx::Error::PoolTimedOut)
}

#[async_trait]
impl KeyStore for Way {
    async fn beat(&self, replica: &Replica, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        let trip = self.asks("beat").await?;
        let answer = trip.keys.beat(replica, alive).await;
        trip.returns(answer).await
    }

    async fn leave(&self, replica: ReplicaId) -> Result<(), RegistryError> {
        let trip = self.asks("leave").await?;
        let answer = trip.keys.leave(replica).await;
        trip.returns(answer).await
    }

    async fn claim_keys(
        &self,
        replica: ReplicaId,
        lease: Duration,
        held: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, RegistryError> {
        let trip = self.asks("claim").await?;
        let claimed = trip.keys.claim_keys(replica, lease, held, limit).await;
        if claimed.as_ref().is_ok_and(|claimed| !claimed.is_empty()) {
            trace::note(format_args!("replica {} is to look", self.replica));
        }
        trip.returns(claimed).await
    }

    async fn save_looks(
        &self,
        replica: ReplicaId,
        looks: &[Looked],
        lease: Duration,
    ) -> Result<Vec<Revision>, RegistryError> {
        for looked in looks {
            let (state, keeps) = (looked.health.state.slug(), looked.keeps);
            trace::note(format_args!("replica {} found {state}, keeps {keeps}", self.replica));
        }
        let trip = self.asks("save").await?;
        let answer = trip.keys.save_looks(replica, looks, lease).await;
        trip.returns(answer).await
    }

    async fn tell_key_news(
        &self,
        replica: ReplicaId,
        tenant: TenantId,
        news: &KeyNews,
        pause: Duration,
    ) -> Result<Option<Revision>, RegistryError> {
        let trip = self.asks("tell").await?;
        let told = trip.keys.tell_key_news(replica, tenant, news, pause).await;
        trace::note(format_args!("replica {} tells of a withdrawal: {told:?}", self.replica));
        trip.returns(told).await
    }

    async fn note_held(&self, tenants: &[TenantId], within: Duration) -> Result<(), RegistryError> {
        let trip = self.asks("note held").await?;
        let answer = trip.keys.note_held(tenants, within).await;
        trip.returns(answer).await
    }

    async fn overdue(&self, held: Duration, longer: Duration) -> Result<Vec<TenantId>, RegistryError> {
        let trip = self.asks("overdue").await?;
        let answer = trip.keys.overdue(held, longer).await;
        trip.returns(answer).await
    }

    async fn hint(&self, key: &KeyRef) -> Result<u64, RegistryError> {
        let trip = self.asks("hint").await?;
        let answer = trip.keys.hint(key).await;
        trip.returns(answer).await
    }

    async fn look_soon(&self, tenant: TenantId) -> Result<bool, RegistryError> {
        let trip = self.asks("look soon").await?;
        let answer = trip.keys.look_soon(tenant).await;
        trip.returns(answer).await
    }

    async fn key_health(&self, tenant: TenantId) -> Result<Option<KeyHealth>, RegistryError> {
        let trip = self.asks("health").await?;
        let answer = trip.keys.key_health(tenant).await;
        trip.returns(answer).await
    }

    async fn key_states(&self) -> Result<BTreeMap<String, u64>, RegistryError> {
        let trip = self.asks("states").await?;
        let answer = trip.keys.key_states().await;
        trip.returns(answer).await
    }

    async fn key_events(
        &self,
        tenant: TenantId,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<KeyEvent>, RegistryError> {
        let trip = self.asks("events").await?;
        let answer = trip.keys.key_events(tenant, before, limit).await;
        trip.returns(answer).await
    }

    async fn acknowledge(&self, replica: ReplicaId, revisions: &[Revision]) -> Result<(), RegistryError> {
        let trip = self.asks("acknowledge").await?;
        trace::note(format_args!("replica {} has obeyed {revisions:?}", self.replica));
        let answer = trip.keys.acknowledge(replica, revisions).await;
        trip.returns(answer).await
    }

    async fn acknowledgements(&self, revision: Revision) -> Result<Vec<Acknowledgement>, RegistryError> {
        let trip = self.asks("acknowledgements").await?;
        let answer = trip.keys.acknowledgements(revision).await;
        trip.returns(answer).await
    }

    async fn replicas(&self, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
        let trip = self.asks("replicas").await?;
        let answer = trip.keys.replicas(alive).await;
        trip.returns(answer).await
    }
}

/// Of tenants there is one, which nobody changes.
#[async_trait]
impl TenantStore for Way {
    async fn create(&self, _: &Tenant, _: Option<&Idempotency>) -> Result<Created, RegistryError> {
        Err(away())
    }

    async fn find(&self, _: &Slug) -> Result<Option<Tenant>, RegistryError> {
        Err(away())
    }

    async fn find_by_id(&self, id: TenantId) -> Result<Option<Tenant>, RegistryError> {
        let trip = self.asks("find").await?;
        let found = trip.server.tenant(id).map(|tenant| Tenant::clone(&tenant));
        trip.returns(Ok(found)).await
    }

    async fn list(&self, _: Option<&Slug>, _: u32) -> Result<Vec<Tenant>, RegistryError> {
        Err(away())
    }

    async fn list_among(&self, _: &[Slug], _: u32) -> Result<Vec<Tenant>, RegistryError> {
        Err(away())
    }

    async fn save(&self, _: &Tenant) -> Result<Tenant, RegistryError> {
        Err(away())
    }

    async fn changes(&self, since: Since, limit: u32) -> Result<Vec<Change>, RegistryError> {
        let trip = self.asks("changes").await?;
        let mut page = self.all_changes(&trip.server);
        page.retain(|change| {
            let revision = change.mark().revision;
            match change {
                Change::Tenant(_) => revision > since.followed,
                Change::Key(_) => revision > since.followed.max(since.keys),
            }
        });
        page.truncate(limit as usize);
        trip.returns(Ok(page)).await
    }

    async fn newest(&self) -> Result<Revision, RegistryError> {
        let trip = self.asks("newest").await?;
        let answer = newest(&trip.server);
        trip.returns(Ok(answer)).await
    }

    async fn remembers(&self, seen: &Mark) -> Result<bool, RegistryError> {
        let trip = self.asks("remembers").await?;
        let mut all = self.all_changes(&trip.server).into_iter();
        let is_there = all.any(|change| change.mark() == *seen);
        trip.returns(Ok(is_there)).await
    }

    async fn purge(&self) -> Result<u64, RegistryError> {
        Ok(0)
    }

    async fn listen(&self, wake: Arc<Notify>) {
        self.database.state().listeners.push((self.replica, wake));
        std::future::pending::<()>().await;
    }
}

fn tenants_change(tenant: &Arc<Tenant>) -> Change {
    Change::Tenant(TenantChange {
        mark: Mark::from(&**tenant),
        slug: Some(tenant.slug.clone()),
        tenant: Some(Tenant::clone(tenant)),
    })
}

fn keys_change(event: &Arc<KeyEvent>) -> Change {
    Change::Key(KeyChange {
        mark: Mark {
            subject: Subject::Key,
            tenant: event.tenant,
            revision: event.revision,
            at: event.at,
        },
        event: Some(KeyEvent::clone(event)),
    })
}

/// A round trip takes up to twice as long.
const QUICK: Duration = Duration::from_millis(15);
const SLOW: Duration = Duration::from_millis(2_500);

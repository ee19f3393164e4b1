//! Callers who seal and open all the time, and write down what became of each call.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use keyferry_client::{Client, Context, Error, Secret, TenantClient};
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// To seal.
    Seal,
    /// To open what was sealed before the load began.
    Open,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it was to be sent: later than that it is only because this process was kept from it.
    pub due_at: Instant,
    /// When it was sent.
    pub sent_at: Instant,
    /// When its answer was there.
    pub finished_at: Instant,
    /// Which replica was asked, in the order in which they were given.
    pub replica: usize,
    /// For which tenant, in the order in which they were given.
    pub tenant: usize,
    /// What was asked.
    pub deed: Deed,
    /// The version of the customer's key that it was sealed under; absent if nothing was sealed.
    pub key_id: Option<Box<str>>,
    /// The slug of its problem, or what else became of it; absent if it was done.
    pub failure: Option<Cow<'static, str>>,
}

/// Calls, to be asked about.
#[derive(Clone, Debug, Default)]
pub struct Records(pub Vec<Record>);

/// A load that goes on until it is stopped.
pub struct Load {
    records: Arc<Mutex<Records>>,
    pacing: JoinHandle<()>,
    under_way: Arc<Semaphore>,
}

/// A tenant, for whom something is sealed already.
#[derive(Clone, Debug)]
pub struct Caller {
    slug: String,
    sealed: Arc<str>,
}

impl Caller {
    /// Seals something for that tenant.
    pub async fn of(client: &Client, slug: &str) -> Result<Self, Error> {
        let plaintext = Secret::from(CONTENT.to_vec());
        let sealed = client.tenant(slug).encrypt(&plaintext, &Context::new()).await?;
        Ok(Self {
            slug: slug.to_owned(),
            sealed: sealed.ciphertext.into(),
        })
    }
}

impl Load {
    /// So many calls a second over all replicas and tenants, by turns, each sent when it is due whatever became of the others.
    #[must_use]
    pub fn start(replicas: &[Client], callers: &[Caller], per_second: f64) -> Self {
        let records = Arc::<Mutex<Records>>::default();
        let under_way = Arc::new(Semaphore::new(UNDER_WAY));
        let lanes: Vec<_> = callers
            .iter()
            .enumerate()
            .flat_map(|(tenant, caller)| {
                let ways = replicas.iter().enumerate();
                ways.map(move |(replica, client)| Lane {
                    replica,
                    tenant,
                    client: client.tenant(&caller.slug),
                    sealed: Arc::clone(&caller.sealed),
                })
            })
            .collect();
        let pacing = tokio::spawn(pace(lanes, per_second, Arc::clone(&records), Arc::clone(&under_way)));
        Self {
            records,
            pacing,
            under_way,
        }
    }

    /// Looks at what is known by now.
    pub fn so_far<T>(&self, look: impl FnOnce(&Records) -> T) -> T {
        look(&self.records.lock().unwrap())
    }

    /// Sends no more, waits for what is under way, and tells all.
    pub async fn stop(mut self) -> Records {
        self.pacing.abort();
        let _ = (&mut self.pacing).await;
        let all = u32::try_from(UNDER_WAY).unwrap();
        drop(self.under_way.acquire_many(all).await.unwrap());
        std::mem::take(&mut *self.records.lock().unwrap())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.pacing.abort();
    }
}

impl Records {
    /// Those that are so.
    #[must_use]
    pub fn which(&self, holds: impl Fn(&Record) -> bool) -> Self {
        Self(self.0.iter().filter(|record| holds(record)).cloned().collect())
    }

    /// Those that were sent from then on.
    #[must_use]
    pub fn sent_since(&self, at: Instant) -> Self {
        self.which(|record| record.sent_at >= at)
    }

    /// Those that one replica was asked.
    #[must_use]
    pub fn of_replica(&self, replica: usize) -> Self {
        self.which(|record| record.replica == replica)
    }

    /// Those for one tenant.
    #[must_use]
    pub fn of_tenant(&self, tenant: usize) -> Self {
        self.which(|record| record.tenant == tenant)
    }

    /// Those that were done.
    #[must_use]
    pub fn successes(&self) -> Self {
        self.which(|record| record.failure.is_none())
    }

    /// When the last that was done was sent.
    #[must_use]
    pub fn last_success(&self) -> Option<Instant> {
        let done = self.0.iter().filter(|record| record.failure.is_none());
        done.map(|record| record.sent_at).max()
    }

    /// How many failed, by what became of them.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, usize> {
        let mut failures = BTreeMap::new();
        for failure in self.0.iter().filter_map(|record| record.failure.as_deref()) {
            *failures.entry(failure.to_owned()).or_default() += 1;
        }
        failures
    }

    /// How long so many of a hundred took at most, from when they were due; zero if there are none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut times: Vec<_> = self.0.iter().map(|record| record.finished_at - record.due_at).collect();
        times.sort_unstable();
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).copied().unwrap_or_default()
    }
}

/// One tenant at one replica.
struct Lane {
    replica: usize,
    tenant: usize,
    client: TenantClient,
    sealed: Arc<str>,
}

async fn pace(lanes: Vec<Lane>, per_second: f64, records: Arc<Mutex<Records>>, under_way: Arc<Semaphore>) {
    let mut due = tokio::time::interval(Duration::from_secs_f64(per_second.recip()));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // Each lane by turns, and when all have had theirs, again with the other deed.
    for deed in [Deed::Seal, Deed::Open].into_iter().cycle() {
        for lane in &lanes {
            let due_at = due.tick().await;
            let (replica, tenant, sent_at) = (lane.replica, lane.tenant, Instant::now());
            let record = move |(key_id, failure)| Record {
                due_at,
                sent_at,
                finished_at: Instant::now(),
                replica,
                tenant,
                deed,
                key_id,
                failure,
            };
            let Ok(place) = Arc::clone(&under_way).try_acquire_owned() else {
                records.lock().unwrap().0.push(record((None, Some("not-sent".into()))));
                continue;
            };
            let (client, sealed, records) = (lane.client.clone(), Arc::clone(&lane.sealed), Arc::clone(&records));
            tokio::spawn(async move {
                let outcome = match ask(&client, deed, &sealed).await {
                    Ok(key_id) => (key_id, None),
                    Err(failure) => (None, Some(failure)),
                };
                records.lock().unwrap().0.push(record(outcome));
                drop(place);
            });
        }
    }
}

/// The key that was sealed under, if anything was; or what became of a call that was not done.
type Outcome = Result<Option<Box<str>>, Cow<'static, str>>;

async fn ask(client: &TenantClient, deed: Deed, sealed: &str) -> Outcome {
    let context = Context::new();
    let done = match deed {
        Deed::Seal => {
            let sealed = client.encrypt(&Secret::from(CONTENT.to_vec()), &context).await;
            sealed.map(|sealed| Some(sealed.key_id.into()))
        }
        Deed::Open => client.decrypt(sealed, &context).await.map(|opened| {
            assert_eq!(opened.plaintext.expose(), CONTENT);
            None
        }),
    };
    done.map_err(|error| outcome_of(&error))
}

/// The slug of an error's problem, or what else it is.
#[must_use]
pub fn outcome_of(error: &Error) -> Cow<'static, str> {
    match error {
        Error::Problem(problem) => problem.slug().to_owned().into(),
        Error::Unreachable(_) => "unreachable".into(),
        Error::Unexpected(_) => "unexpected".into(),
        Error::Token(_) | Error::NoIdentityProvider(_) => "no-token".into(),
    }
}

const CONTENT: &[u8] = b"payroll";
/// More calls than that are not sent at once: they would only wait in this process.
const UNDER_WAY: usize = 4_096;

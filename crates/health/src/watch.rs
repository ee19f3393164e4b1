//! The watch: what runs beside the requests, on every replica.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use keyferry_crypto::{id::TenantId, news::News};
use keyferry_registry::{
    Changed, Clock, KeyStore, Revision,
    key::{Replica, ReplicaId},
};
use tokio::{
    sync::{Mutex as AsyncMutex, broadcast::Receiver},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    acknowledging::Acknowledgements,
    config::HealthConfig,
    holding::Held,
    keys::Keys,
    looking::Met,
    patience::in_time,
    stats::{Counters, WatchStats},
    telling::Untold,
    tenants::Tenants,
};

/// What the watch works with.
pub struct Parts {
    /// Where keys' health is kept.
    pub store: Arc<dyn KeyStore>,
    /// The tenants, and the feed of what others found out.
    pub registry: Arc<dyn Tenants>,
    /// Asks vaults, and obeys.
    pub sealer: Arc<dyn Keys>,
    /// Hears among how many replicas vaults' limits are divided.
    pub share_among: Box<dyn Fn(u32) + Send + Sync>,
    /// Hears that a tenant's vault, which is reached by a private endpoint, is asked in vain: perhaps the endpoint was rejected.
    pub doubt_endpoint: Box<dyn Fn(TenantId) + Send + Sync>,
    /// How long one call to a vault may take.
    pub try_timeout: Duration,
    /// How long a refusal that may pass is asked about again: the sealer's `confirmation`.
    pub confirmation: Duration,
    /// Tells the time.
    pub clock: Clock,
}

/// Watches over customers' keys, and has this replica obey what is found out about them, here or elsewhere.
pub struct KeyWatch {
    pub(crate) parts: Parts,
    pub(crate) config: HealthConfig,
    pub(crate) me: Replica,
    /// Subscribed to from the start, so that nothing is missed before the watch runs.
    subscriptions: Mutex<Option<(Receiver<Changed>, Receiver<News>)>>,
    started: Instant,
    pub(crate) has_begun_to_obey: AtomicBool,
    /// Up to where the feed was followed, and obeyed.
    pub(crate) followed: AtomicI64,
    /// When the reading of the feed began that was last obeyed.
    pub(crate) heard_at: Mutex<Option<Instant>>,
    /// When the sealer was last told whose keys nobody looks at; when this replica started if it was not.
    pub(crate) mistrusted_at: Mutex<Instant>,
    /// How many replicas live.
    pub(crate) replicas: AtomicU32,
    pub(crate) met: Mutex<HashMap<TenantId, Met>>,
    pub(crate) held: Held,
    pub(crate) untold: Untold,
    pub(crate) acknowledgements: Acknowledgements,
    pub(crate) counters: Counters,
}

impl KeyWatch {
    /// A watch of these parts, by a replica that starts now. `name` is this replica's for people, `release` that of the program.
    #[must_use]
    pub fn new(parts: Parts, config: HealthConfig, name: &str, release: &str) -> Arc<Self> {
        Self::by(ReplicaId::generate(), parts, config, name, release)
    }

    /// The same by a replica of that id, which no other may have had.
    #[must_use]
    pub fn by(id: ReplicaId, parts: Parts, config: HealthConfig, name: &str, release: &str) -> Arc<Self> {
        let now = (parts.clock)();
        let me = Replica {
            id,
            name: name.to_owned(),
            release: release.to_owned(),
            started_at: now,
            seen_at: now,
            followed: Revision(0),
        };
        Arc::new(Self {
            subscriptions: Mutex::new(Some((parts.registry.changes(), parts.sealer.news()))),
            parts,
            config,
            me,
            has_begun_to_obey: AtomicBool::new(false),
            followed: AtomicI64::new(0),
            heard_at: Mutex::default(),
            mistrusted_at: Mutex::new(Instant::now()),
            started: Instant::now(),
            replicas: AtomicU32::new(1),
            met: Mutex::default(),
            held: Held::default(),
            untold: Untold::default(),
            acknowledgements: Acknowledgements::default(),
            counters: Counters::default(),
        })
    }

    /// This replica, as it was when it started.
    #[must_use]
    pub fn me(&self) -> &Replica {
        &self.me
    }

    /// What this watch has done, and how things stand.
    #[must_use]
    pub fn stats(&self) -> WatchStats {
        let heard_at = *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner);
        let since_heard = heard_at.unwrap_or(self.started).elapsed();
        self.counters.stats(self.replicas.load(Relaxed), since_heard)
    }

    /// Runs until told to stop, once: makes this replica known, looks at keys that are due, tells what is learnt here, obeys what
    /// was learnt elsewhere and says so. Then what it looked after is left to others.
    ///
    /// No failure of the registry's or a vault's ends it, nor does a part that breaks off. Run a second time it only ends again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((feed, news)) = subscriptions else { return };
        // They outlast a part that breaks off, so that nothing is missed but what it had in hand.
        let (feed, news) = (Arc::new(AsyncMutex::new(feed)), Arc::new(AsyncMutex::new(news)));
        let mut loops = JoinSet::new();
        let this = || Arc::clone(&self);
        loops.spawn(this().keep_up("obeying", move |this| {
            let feed = Arc::clone(&feed);
            async move { this.obey(&mut *feed.lock().await).await }
        }));
        loops.spawn(this().keep_up("telling", move |this| {
            let news = Arc::clone(&news);
            async move { this.tell(&mut *news.lock().await).await }
        }));
        loops.spawn(this().keep_up("making itself known", async |this| this.beat().await));
        loops.spawn(this().keep_up("acknowledging", async |this| this.acknowledge().await));
        loops.spawn(this().keep_up("watching what is held", async |this| this.watch_what_is_held().await));
        loops.spawn(this().keep_up("looking", async |this| this.look_at_keys().await));
        stop.run_until_cancelled(until_one_breaks(&mut loops)).await;
        loops.shutdown().await;
        self.leave().await;
    }

    /// W: the longest that a key that is held goes without a look.
    pub(crate) fn watched_within(&self) -> Duration {
        self.config.watched_within(self.parts.try_timeout)
    }

    /// How long an answer of a look may take: a call, and what confirms it until the last call for that has ended.
    pub(crate) fn answer_limit(&self) -> Duration {
        self.parts.try_timeout * 2 + self.parts.confirmation
    }

    /// Says the last that there is to say.
    async fn leave(&self) {
        let store = &self.parts.store;
        let owed = self.acknowledgements.some();
        let last = async {
            self.tell_last().await?;
            if !owed.is_empty() {
                in_time(store.acknowledge(self.me.id, &owed)).await?;
            }
            in_time(store.leave(self.me.id)).await
        };
        if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, last).await {
            tracing::warn!(%error, "this replica ends without having said so: others take over when its leases are over");
        }
    }
}

/// A loop that ended did so because what it listens to is gone. None breaks off but by a defect in what begins them anew.
async fn until_one_breaks(loops: &mut JoinSet<()>) {
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the watch over keys broke off");
            return;
        }
    }
}

impl fmt::Debug for KeyWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyWatch({})", self.me.id)
    }
}

/// How long a replica that ends waits for the registry.
const FAREWELL: Duration = Duration::from_secs(2);

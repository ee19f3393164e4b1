//! What takes events: whose they must be, and how many at once.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use keyferry_crypto::id::KeyRef;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::proof::Proof;
use crate::{
    clock::Clock,
    config::{AuthConfig, ConfigError, EventsConfig},
    problem::{Kind, Problem},
};

/// Takes events.
pub struct Events {
    pub(super) proof: Proof,
    pub(super) origins: Vec<String>,
    pub(super) per_minute: u32,
    rate: DefaultDirectRateLimiter,
    places: Semaphore,
    turns: Semaphore,
    /// When tenants' keys were last hinted at.
    hinted: Mutex<HashMap<KeyRef, Instant>>,
}

impl Events {
    /// Takes events as configured. Reads the file of secrets; tokens are verified with keys fetched with `http` from where
    /// callers' are.
    pub fn new(
        config: &EventsConfig,
        auth: &AuthConfig,
        http: &reqwest::Client,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let per_minute = NonZeroU32::new(config.deliveries_per_minute).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            proof: Proof::new(config, auth, http, clock)?,
            origins: config.origins.clone(),
            per_minute: per_minute.get(),
            rate: RateLimiter::direct(Quota::per_minute(per_minute)),
            places: Semaphore::new(MOST_AT_ONCE),
            turns: Semaphore::new(MOST_AT_THE_REGISTRY),
            hinted: Mutex::default(),
        })
    }

    /// Keeps fresh what proves deliveries, until cancelled (dropped).
    pub(crate) async fn run(&self) {
        self.proof.run().await;
    }

    /// A place among the deliveries under way, if there are not too many of them, nor were lately. What is refused so, Event Grid
    /// delivers again, no sooner than in half a minute.
    pub(super) fn enter(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let too_many = || Problem::because(Kind::Overloaded, "Too many events. Deliver them again.").retry_after(LATER);
        let place = self.places.try_acquire().map_err(|_| too_many())?;
        self.rate.check().map_err(|_| too_many())?;
        Ok(place)
    }

    /// A turn at the registry, whose connections are few and others' too.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Whether a key was hinted at a moment ago. Each hint costs its vault a look, and whoever may deliver may deliver any key's: so
    /// there are few of them, whatever is delivered.
    pub(super) fn was_hinted_at(&self, key: &KeyRef) -> bool {
        let hinted = self.hinted.lock().unwrap_or_else(PoisonError::into_inner);
        hinted.get(key).is_some_and(|at| at.elapsed() < PAUSE)
    }

    /// Notes that a key was hinted at, which is a tenant's.
    pub(super) fn note_hint(&self, key: &KeyRef) {
        let mut hinted = self.hinted.lock().unwrap_or_else(PoisonError::into_inner);
        if hinted.len() >= MANY {
            hinted.retain(|_, at| at.elapsed() < PAUSE);
        }
        hinted.insert(key.clone(), Instant::now());
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// Deliveries whose bodies are held at once.
const MOST_AT_ONCE: usize = 8;
const LATER: Duration = Duration::from_secs(30);
/// Deliveries whose hints are written at once.
const MOST_AT_THE_REGISTRY: usize = 2;
/// How long one hint at a key is enough.
const PAUSE: Duration = Duration::from_secs(5);
/// From so many keys on those are forgotten whose pause is over.
const MANY: usize = 1_024;

//! What takes events: whose they must be, and how many at once.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

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
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// Deliveries whose bodies are held at once.
const MOST_AT_ONCE: usize = 8;
const LATER: Duration = Duration::from_secs(30);

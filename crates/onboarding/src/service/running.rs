//! Makes the checks that are due, with others doing the same.

use std::{sync::Arc, time::Duration};

use keyferry_crypto::id::TenantId;
use keyferry_registry::onboarding::Onboarding;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Onboardings, checking::CLAIM};

impl Onboardings {
    /// Makes the checks that are due, until told to stop: those of onboardings under way with growing pauses, those of active
    /// ones rarely; and ends those whose tenants are purged.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut rounds = JoinSet::new();
        let mut failures = 0;
        loop {
            let free = AT_ONCE.saturating_sub(rounds.len());
            for onboarding in self.claimed(free, &mut failures).await {
                let this = Arc::clone(&self);
                rounds.spawn(async move { this.by_schedule(onboarding.tenant).await });
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.due.notified() => {}
                () = tokio::time::sleep(pause(failures)) => {}
                Some(ended) = rounds.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a round of checks broke off");
                    }
                }
            }
        }
        // What is under way ends by itself, or is begun anew by whoever claims it next: nothing is half done.
        rounds.shutdown().await;
    }

    /// What is due, and how often in a row that could not be asked for. A database that is away is told of once.
    async fn claimed(&self, free: usize, failures: &mut u32) -> Vec<Onboarding> {
        if free == 0 {
            return Vec::new();
        }
        let (now, limit) = (self.now(), u32::try_from(free).unwrap_or(1));
        match self.parts.store.claim_due(now, now + CLAIM, limit).await {
            Ok(claimed) => {
                if std::mem::take(failures) > 0 {
                    tracing::info!("onboardings that are due can be asked for again");
                }
                claimed
            }
            Err(error) => {
                if *failures == 0 {
                    tracing::warn!(%error, "onboardings that are due cannot be asked for; it goes on being tried");
                }
                *failures = failures.saturating_add(1);
                Vec::new()
            }
        }
    }

    async fn by_schedule(self: Arc<Self>, tenant: TenantId) {
        match tokio::time::timeout(ROUND_LIMIT, self.in_turn(tenant, false)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%tenant, %error, "a round of checks was not kept"),
            Err(_) => tracing::warn!(%tenant, "a round of checks took too long"),
        }
    }
}

/// How long until it is looked again what is due.
fn pause(failures: u32) -> Duration {
    POLL.saturating_mul(1 << failures.min(4))
}

/// How many onboardings' checks one replica makes at once.
const AT_ONCE: usize = 8;
/// How long a round may take.
const ROUND_LIMIT: Duration = Duration::from_mins(4);
/// How often it is looked what is due, without being told.
const POLL: Duration = Duration::from_secs(1);

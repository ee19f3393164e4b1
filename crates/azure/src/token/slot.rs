//! One directory's place: its token, the one request for the next that may be under way, and how the last one failed.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, ready},
};
use keyferry_crypto::vault::{VaultCause, VaultError};
use tokio::{task::AbortHandle, time::Instant};

use super::Held;
use crate::{
    config::Retries,
    jitter::between,
    retry::{MAX_RETRY_AFTER, may_pass, pause},
};

/// The pause after a renewal that failed, while the old token still serves. Drawn anew each time, so that directories do not
/// ask in step.
const RENEWAL_PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// The pause after a request that was refused, while there is no token: nothing will be different with the next call.
const REFUSAL_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The pause after a token was forgotten because a vault rejected it.
const DISCARD_PAUSE: Duration = Duration::from_secs(5);

/// A request for a token, for everyone who waits for it.
pub(super) type Flight = Shared<BoxFuture<'static, Result<Arc<Held>, VaultError>>>;

/// Why a token is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A vault rejected it.
    Rejected,
    /// Perhaps it is as good as ever: a vault could not tell, or what it stands for may have been taken away since.
    Possible,
}

/// Whether a request failed as the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Same,
    Other,
}

#[derive(Debug, Default)]
pub(super) struct Slot {
    held: ArcSwapOption<Held>,
    affairs: Mutex<Affairs>,
}

#[derive(Debug, Default)]
struct Affairs {
    flight: Option<(AbortHandle, Flight)>,
    failed: Option<Failed>,
    discarded_at: Option<Instant>,
    /// A token that was forgotten without having been rejected: should the directory have no answer, it is used again.
    aside: Option<Arc<Held>>,
}

/// How the last request failed.
#[derive(Debug)]
struct Failed {
    error: VaultError,
    in_a_row: u32,
    /// When to ask again, if there is no token.
    ask_at: Instant,
    /// When to ask again, if there is one that still serves.
    renew_at: Instant,
}

impl Slot {
    /// The token, if it may be used now.
    pub(super) fn usable(&self, now: Instant) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| held.is_usable(now))
    }

    /// Joins the request that is under way, or starts the one that `ask` makes. What has come in since the caller found no
    /// token is looked for first: that token, or the failure, is the answer.
    pub(super) fn fetch<F>(&self, now: Instant, ask: impl FnOnce() -> F) -> Flight
    where
        F: Future<Output = Result<Arc<Held>, VaultError>> + Send + 'static,
    {
        let mut affairs = self.affairs();
        if let Some(under_way) = affairs.under_way() {
            return under_way;
        }
        let landed = self.usable(now).map(Ok);
        let landed = landed.or_else(|| affairs.failed.as_ref()?.recalled(now).map(Err));
        match landed {
            Some(landed) => ready(landed).boxed().shared(),
            None => affairs.start(ask()),
        }
    }

    /// The request that is under way, if there is one.
    pub(super) fn under_way(&self) -> Option<Flight> {
        self.affairs().under_way()
    }

    /// Joins the request that is under way, or starts the one that `ask` makes, whatever has come in before: but for the
    /// directory's own wish to be left alone, which is the answer for as long as it lasts.
    pub(super) fn refetch<F>(&self, now: Instant, ask: impl FnOnce() -> F) -> Flight
    where
        F: Future<Output = Result<Arc<Held>, VaultError>> + Send + 'static,
    {
        let mut affairs = self.affairs();
        if let Some(under_way) = affairs.under_way() {
            return under_way;
        }
        let wish = affairs.failed.as_ref().filter(|failed| failed.is_a_wish());
        match wish.and_then(|wish| wish.recalled(now)) {
            Some(wish) => ready(Err(wish)).boxed().shared(),
            None => affairs.start(ask()),
        }
    }

    /// Starts a request for the next token, unless one is under way, has just ended, or failed too short a while ago.
    pub(super) fn renew<F>(&self, now: Instant, ask: impl FnOnce() -> F)
    where
        F: Future<Output = Result<Arc<Held>, VaultError>> + Send + 'static,
    {
        let mut affairs = self.affairs();
        let is_due = self.held.load().as_ref().is_none_or(|held| held.is_due(now));
        let may_ask = affairs.failed.as_ref().is_none_or(|failed| failed.renew_at <= now);
        if is_due && may_ask && affairs.under_way().is_none() {
            drop(affairs.start(ask()));
        }
    }

    /// Takes a new token in.
    pub(super) fn succeed(&self, held: Held) -> Arc<Held> {
        let (held, mut affairs) = (Arc::new(held), self.affairs());
        self.held.store(Some(Arc::clone(&held)));
        affairs.failed = None;
        affairs.aside = None;
        held
    }

    /// Remembers how a request failed, and until when nobody asks again. Whether that is anything new.
    pub(super) fn fail(&self, error: VaultError, retries: &Retries, now: Instant) -> (VaultError, News) {
        let mut affairs = self.affairs();
        let before = affairs.failed.as_ref();
        let is_same = before.is_some_and(|failed| failed.error.cause() == error.cause());
        let in_a_row = before.map_or(0, |failed| failed.in_a_row).saturating_add(1);
        let asked = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        let own = if may_pass(error.cause()) {
            pause(retries, in_a_row)
        } else {
            between(REFUSAL_PAUSE.0, REFUSAL_PAUSE.1)
        };
        let aside = affairs.aside.take();
        if error.cause().is_refusal() {
            // The directory's definite no ends the old token too, though Key Vault might still take it.
            self.held.store(None);
        } else if may_pass(error.cause()) && aside.is_some() {
            self.held.store(aside);
        }
        let failed = affairs.failed.insert(Failed {
            error,
            in_a_row,
            ask_at: now + own.max(asked),
            renew_at: now + between(RENEWAL_PAUSE.0, RENEWAL_PAUSE.1).max(asked),
        });
        (failed.told(now), if is_same { News::Same } else { News::Other })
    }

    /// Forgets a token, unless another has taken its place or one was forgotten only a moment ago. Whether another is to
    /// be had.
    pub(super) fn discard(&self, rejected: &Arc<Held>, doubt: Doubt, now: Instant) -> bool {
        let mut affairs = self.affairs();
        let is_held = self
            .held
            .load()
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, rejected));
        if !is_held {
            return true;
        }
        if affairs.discarded_at.is_some_and(|at| now < at + DISCARD_PAUSE) {
            return false;
        }
        affairs.discarded_at = Some(now);
        affairs.aside = (doubt == Doubt::Possible).then(|| Arc::clone(rejected));
        self.held.store(None);
        true
    }

    fn affairs(&self) -> MutexGuard<'_, Affairs> {
        self.affairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Affairs {
    /// The task is asked, not the shared future: one that nobody waits for never learns that it is done.
    fn under_way(&self) -> Option<Flight> {
        let (_, flight) = self.flight.as_ref().filter(|(task, _)| !task.is_finished())?;
        Some(flight.clone())
    }

    fn start(&mut self, request: impl Future<Output = Result<Arc<Held>, VaultError>> + Send + 'static) -> Flight {
        let task = tokio::spawn(request);
        let handle = task.abort_handle();
        let joined = async {
            task.await
                .unwrap_or_else(|_| Err(VaultCause::AppCredentialUnavailable.into()))
        };
        let flight = joined.boxed().shared();
        self.flight = Some((handle, flight.clone()));
        flight
    }
}

impl Failed {
    /// The same failure again, if it is too soon to ask.
    fn recalled(&self, now: Instant) -> Option<VaultError> {
        (now < self.ask_at).then(|| self.told(now))
    }

    /// Whether the directory asked to be left alone.
    fn is_a_wish(&self) -> bool {
        may_pass(self.error.cause()) && self.error.retry_after().is_some()
    }

    /// The failure as it is told to callers. One that passes tells when to try again: sooner brings the same answer.
    fn told(&self, now: Instant) -> VaultError {
        let (cause, evidence) = (self.error.cause(), self.error.evidence().clone());
        let left = self.ask_at.saturating_duration_since(now);
        VaultError::new(cause, may_pass(cause).then_some(left), evidence)
    }
}

//! Tokens by directory: fetched once however many wait, renewed in the background while the old one still serves, and never
//! used for longer than the configured age.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use keyferry_crypto::vault::{Fault, VaultCause, VaultError};
use tokio::{task::AbortHandle, time::Instant};
use tracing::Level;

use crate::{
    clock,
    credential::{Audience, Credentials},
    failure::through_sdk,
    jitter::between,
};

/// Directories whose tokens are kept at most. An idle one's place is taken first.
const MAX_DIRECTORIES: u64 = 100_000;

/// The pause after a renewal that failed, while the old token still serves. Drawn anew each time, so that directories do not
/// ask in step.
const RENEWAL_PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// What tokens are asked of: Entra, or a test.
#[async_trait]
pub(crate) trait Source: Send + Sync + fmt::Debug + 'static {
    async fn ask(&self, audience: Audience) -> Result<AccessToken, VaultError>;
}

#[async_trait]
impl Source for Credentials {
    async fn ask(&self, audience: Audience) -> Result<AccessToken, VaultError> {
        Credentials::ask(self, audience).await
    }
}

/// The tokens of all directories. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Arc<dyn Source>,
    slots: moka::sync::Cache<Audience, Arc<Slot>>,
    max_age: Duration,
}

/// One directory's token, and the one request for the next that may be under way.
#[derive(Debug, Default)]
struct Slot {
    held: ArcSwapOption<Held>,
    flight: Mutex<Option<(AbortHandle, Flight)>>,
    renewal_not_before: Mutex<Option<Instant>>,
    /// Why the last request failed, if it did.
    last_failure: Mutex<Option<VaultCause>>,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Held>, VaultError>>>;

/// A token with the times at which it is renewed and given up.
pub(crate) struct Held {
    token: AccessToken,
    renew_at: Instant,
    until: Instant,
}

impl Tokens {
    pub(crate) fn new(source: Arc<dyn Source>, max_age: Duration) -> Self {
        Self(Arc::new(Inner {
            source,
            slots: moka::sync::Cache::builder().max_capacity(MAX_DIRECTORIES).build(),
            max_age,
        }))
    }

    /// A token to use now.
    pub(crate) async fn get(&self, audience: Audience) -> Result<Arc<Held>, VaultError> {
        let slot = self.slot(audience);
        let now = Instant::now();
        let held = slot.held.load_full().filter(|held| now < held.until);
        match held {
            Some(held) => {
                if held.renew_at <= now && slot.may_renew(now) {
                    drop(self.fetch(audience, &slot));
                }
                Ok(held)
            }
            None => self.fetch(audience, &slot).await,
        }
    }

    /// Forgets a token that was rejected, unless another has taken its place already.
    pub(crate) fn discard(&self, audience: Audience, rejected: &Arc<Held>) {
        let slot = self.slot(audience);
        slot.held.compare_and_swap(rejected, None);
    }

    fn slot(&self, audience: Audience) -> Arc<Slot> {
        self.0.slots.get_with(audience, Arc::default)
    }

    /// Joins the request that is under way, or starts one. It runs to its end even if nobody waits for it any more.
    fn fetch(&self, audience: Audience, slot: &Arc<Slot>) -> Flight {
        let mut flight = slot.flight.lock().unwrap_or_else(PoisonError::into_inner);
        // The task is asked, not the shared future: one that nobody waits for never learns that it is done.
        if let Some((_, under_way)) = flight.as_ref().filter(|(task, _)| !task.is_finished()) {
            return under_way.clone();
        }
        let (tokens, slot) = (self.clone(), Arc::clone(slot));
        let task = tokio::spawn(async move { tokens.renew(audience, &slot).await });
        let handle = task.abort_handle();
        let joined = async {
            task.await
                .unwrap_or_else(|_| Err(VaultCause::AppCredentialUnavailable.into()))
        };
        let started = joined.boxed().shared();
        *flight = Some((handle, started.clone()));
        started
    }

    async fn renew(&self, audience: Audience, slot: &Slot) -> Result<Arc<Held>, VaultError> {
        match self.0.source.ask(audience).await {
            Ok(token) => {
                let held = Arc::new(Held::new(token, self.0.max_age));
                slot.held.store(Some(Arc::clone(&held)));
                slot.note(None);
                Ok(held)
            }
            Err(error) => {
                tell(audience, error.cause(), slot.note(Some(error.cause())));
                // The directory's definite no ends the old token too, though Key Vault might still take it.
                if error.cause().is_refusal() {
                    slot.held.store(None);
                }
                slot.pause_renewal(Instant::now() + between(RENEWAL_PAUSE.0, RENEWAL_PAUSE.1));
                Err(error)
            }
        }
    }
}

impl Slot {
    fn may_renew(&self, now: Instant) -> bool {
        let not_before = self.renewal_not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.is_none_or(|at| at <= now)
    }

    fn pause_renewal(&self, until: Instant) {
        *self.renewal_not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Notes how a request ended, and tells how loud that is: as whose move it is, and the same again only at debug level.
    fn note(&self, failure: Option<VaultCause>) -> Level {
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *last, failure);
        match failure.filter(|_| failure != before).map(VaultCause::fault) {
            None => Level::DEBUG,
            Some(Fault::Customer) => Level::INFO,
            Some(Fault::Caller | Fault::Unavailable) => Level::WARN,
            Some(Fault::Service) => Level::ERROR,
        }
    }
}

/// Logged here, since a renewal in the background may fail long before anyone notices.
fn tell(audience: Audience, cause: VaultCause, level: Level) {
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(directory = %audience.directory, ?cause, "no token")
        };
    }
    match level {
        Level::ERROR => event!(error),
        Level::WARN => event!(warn),
        Level::INFO => event!(info),
        _ => event!(debug),
    }
}

impl Held {
    /// A tenth of the token's life, at most half a minute, is left unused: the vault's clock is not ours. It is renewed
    /// somewhere in its last quarter, not at the same moment as every other directory's.
    fn new(token: AccessToken, max_age: Duration) -> Self {
        let life = Duration::try_from(token.expires_on - clock::now()).unwrap_or_default();
        let used = life
            .saturating_sub((life / 10).min(Duration::from_secs(30)))
            .min(max_age);
        let now = Instant::now();
        Self {
            token,
            renew_at: now + between(used / 4 * 3, used / 10 * 9),
            until: now + used,
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(…)")
    }
}

/// A directory's tokens as the SDK asks for them.
#[derive(Debug)]
pub(crate) struct DirectoryCredential {
    pub(crate) tokens: Tokens,
    pub(crate) audience: Audience,
}

#[async_trait]
impl TokenCredential for DirectoryCredential {
    /// The scope comes out of the vault's challenge. A token is issued for no other than the one that belongs to the vault's
    /// host; and it is called expired at once, because the SDK keeps it otherwise, past its maximum age and past its rejection.
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let fails = |error| through_sdk(ErrorKind::Credential, error);
        if scopes != [self.audience.scope()] {
            return Err(fails(VaultCause::AnswerInvalid.into()));
        }
        let held = self.tokens.get(self.audience).await.map_err(fails)?;
        Ok(AccessToken::new(held.token.token.clone(), clock::now()))
    }
}

#[cfg(test)]
mod tests;

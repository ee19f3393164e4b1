//! Tokens by directory: fetched once however many wait, renewed in the background while the old one still serves, and never
//! used for longer than the configured age. A directory that gives none is not asked for one with every request.

mod held;
mod slot;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::credentials::AccessToken;
use keyferry_crypto::vault::{Fault, VaultCause, VaultError};
use tokio::time::Instant;
use tracing::Level;

use self::slot::{Flight, News, Slot};
pub(crate) use self::{held::Held, slot::Doubt};
use crate::{
    config::Retries,
    credential::{Audience, Credentials},
};

/// Directories whose tokens are kept at most. An idle one's place is taken first.
const MAX_DIRECTORIES: u64 = 100_000;

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
    retries: Retries,
}

impl Tokens {
    pub(crate) fn new(source: Arc<dyn Source>, max_age: Duration, retries: Retries) -> Self {
        Self(Arc::new(Inner {
            source,
            slots: moka::sync::Cache::builder().max_capacity(MAX_DIRECTORIES).build(),
            max_age,
            retries,
        }))
    }

    /// A token to use now. Fails as the directory did a moment ago, if there is none and it would be asked too soon.
    pub(crate) async fn get(&self, audience: Audience) -> Result<Arc<Held>, VaultError> {
        let slot = self.slot(audience);
        let now = Instant::now();
        match slot.usable(now) {
            Some(held) => {
                if held.is_due(now) {
                    slot.renew(now, || self.ask(audience, &slot));
                }
                Ok(held)
            }
            None => self.fetch(audience, &slot, now).await,
        }
    }

    /// A token that was asked for after this was called, whatever is held and however the last request failed. Everyone who
    /// wants one has it from then on; or the failure, as if they had asked. A directory that asked to be left alone for a while
    /// is left alone.
    pub(crate) async fn fresh(&self, audience: Audience) -> Result<Arc<Held>, VaultError> {
        let slot = self.slot(audience);
        if let Some(earlier) = slot.under_way() {
            drop(earlier.await);
        }
        slot.refetch(Instant::now(), || self.ask(audience, &slot)).await
    }

    /// Forgets a token that a vault did not take, unless another has taken its place already. Whether another is to be had: a
    /// vault that rejects every token does not make us ask for one after the other.
    pub(crate) fn discard(&self, audience: Audience, token: &Arc<Held>, doubt: Doubt) -> bool {
        self.slot(audience).discard(token, doubt, Instant::now())
    }

    /// Forgets the token that is held, if there is one and none was forgotten only a moment ago: the next one shows whether the
    /// directory still gives any. If it has no answer, this one serves on.
    pub(crate) fn forget(&self, audience: Audience) {
        let slot = self.slot(audience);
        let now = Instant::now();
        if let Some(held) = slot.usable(now) {
            slot.discard(&held, Doubt::Possible, now);
        }
    }

    fn slot(&self, audience: Audience) -> Arc<Slot> {
        self.0.slots.get_with(audience, Arc::default)
    }

    /// Joins the request that is under way, or starts one, unless one that ended meanwhile has brought an answer.
    fn fetch(&self, audience: Audience, slot: &Arc<Slot>, now: Instant) -> Flight {
        slot.fetch(now, || self.ask(audience, slot))
    }

    /// The request: it runs to its end even if nobody waits for it any more.
    fn ask(&self, audience: Audience, slot: &Arc<Slot>) -> impl Future<Output = Result<Arc<Held>, VaultError>> + use<> {
        let (tokens, slot) = (Arc::clone(&self.0), Arc::clone(slot));
        async move {
            match tokens.source.ask(audience).await {
                Ok(token) => Ok(slot.succeed(Held::new(token, tokens.max_age))),
                Err(error) => {
                    let (error, news) = slot.fail(error, &tokens.retries, Instant::now());
                    tell(audience, error.cause(), news);
                    Err(error)
                }
            }
        }
    }
}

/// Logged here, since a renewal in the background may fail long before anyone notices.
fn tell(audience: Audience, cause: VaultCause, news: News) {
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(directory = %audience.directory, ?cause, "no token")
        };
    }
    match loudness(cause, news) {
        Level::ERROR => event!(error),
        Level::WARN => event!(warn),
        Level::INFO => event!(info),
        _ => event!(debug),
    }
}

/// As loud as whose move it is, and the same again only at debug level.
fn loudness(cause: VaultCause, news: News) -> Level {
    match (news, cause.fault()) {
        (News::Same, _) => Level::DEBUG,
        (News::Other, Fault::Customer) => Level::INFO,
        (News::Other, Fault::Caller | Fault::Unavailable) => Level::WARN,
        (News::Other, Fault::Service) => Level::ERROR,
    }
}

#[cfg(test)]
mod tests;

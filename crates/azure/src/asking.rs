//! How anything is asked: with as many tries as are given, in the time that is given, and with a token where one is wanted.

use std::sync::Arc;

use azure_core::{
    credentials::TokenCredential,
    http::{ClientMethodOptions, ClientOptions, RetryOptions},
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use bytes::Bytes;
use keyferry_crypto::{
    id::{DirectoryId, VaultHost},
    tenant::Route,
    vault::{VaultCause, VaultError, is_waited_for},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    breaker::Breaker,
    credential::Audience,
    errand::{Errand, StandIn},
    exchange::{Answer, exchange},
    failure::{Asked, of_key_vault, of_sdk},
    request::Request,
    restraint::{Claim, Restraint, Toll},
    retry::{Next, Tries},
    token::{Doubt, Held},
    vault::AzureKeyVault,
};

/// A vault, the way to it, and the directory whose token it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    pub(crate) directory: DirectoryId,
    pub(crate) vault: VaultHost,
    pub(crate) route: Route,
}

/// What surrounds the tries of an operation.
pub(crate) trait Terms: Sync {
    /// Whether a try may begin. If not, nobody is asked for a token either.
    fn admit(&self) -> Result<(), Missed> {
        Ok(())
    }

    /// Whether a try that failed may be followed by another, at that time.
    fn may_try_again(&self, _: Instant) -> bool {
        true
    }

    /// Whether anybody is served by another try now.
    fn is_wanted(&self) -> bool {
        true
    }

    /// A token was rejected.
    fn forget(&self) {}
}

/// None in particular.
pub(crate) struct Free;

impl Terms for Free {}

/// Why nothing came of a try.
#[derive(Debug)]
pub(crate) enum Missed {
    /// It failed, and another may succeed.
    Failed(VaultError),
    /// It was not made, nor would another be.
    Kept(VaultError),
}

impl<E: Into<VaultError>> From<E> for Missed {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The terms on which a vault is asked.
struct VaultTerms<'a> {
    vault: &'a AzureKeyVault,
    way: &'a Way,
    claim: Claim,
    restraint: Arc<Restraint>,
    breaker: Arc<Breaker>,
}

impl VaultTerms<'_> {
    /// A canary is not refused by the vault's wish to be left alone, which may be long.
    fn heed_wish(&self) -> Result<(), VaultError> {
        match self.claim {
            Claim::Watch => Ok(()),
            Claim::Question | Claim::Request | Claim::Background | Claim::Bulk => {
                self.vault.throttles.admit(&self.way.vault, Instant::now())
            }
        }
    }
}

impl Terms for VaultTerms<'_> {
    fn admit(&self) -> Result<(), Missed> {
        self.heed_wish()?;
        let looked = self.vault.restraints.look(&self.breaker, self.claim);
        looked.map_err(Missed::Kept)
    }

    fn may_try_again(&self, then: Instant) -> bool {
        let restraints = &self.vault.restraints;
        restraints.may_try_again(&self.restraint, &self.breaker, self.claim, then)
    }

    /// Of what nobody waited for from the start, nobody has given up.
    fn is_wanted(&self) -> bool {
        match self.claim {
            Claim::Request | Claim::Bulk => is_waited_for(),
            Claim::Watch | Claim::Question | Claim::Background => true,
        }
    }

    /// With the token goes what the client has learnt of the vault's challenge.
    fn forget(&self) {
        self.vault.clients.invalidate(self.way);
    }
}

impl AzureKeyVault {
    /// Does one operation through the SDK. Its answer.
    #[tracing::instrument(level = "debug", skip_all, fields(vault = %way.vault, ?asked))]
    pub(crate) async fn ask<F: Future<Output = azure_core::Result<()>> + Send>(
        &self,
        asked: Asked,
        way: &Way,
        toll: Toll,
        operation: impl Fn(Arc<KeyClient>, ClientMethodOptions<'static>) -> F + Send + Sync,
    ) -> Result<Bytes, VaultError> {
        let attempt = |token| {
            let errand = Errand::new(token, way.route);
            let done = self.client(way).map(|client| operation(client, errand.options()));
            async move {
                done?.await.map_err(|error| of_sdk(asked, way.directory, &error))?;
                errand.answer().ok_or_else(|| VaultCause::AnswerInvalid.into())
            }
        };
        self.ask_vault(way, toll, attempt).await
    }

    /// Sends one request that the SDK has no operation for, with a token. Any answer that `judge` takes is one; of another,
    /// what a refusal of Key Vault's is.
    #[tracing::instrument(level = "debug", skip_all, fields(vault = %way.vault, ?asked))]
    pub(crate) async fn ask_plainly<T>(
        &self,
        asked: Asked,
        way: &Way,
        request: &Request,
        judge: impl Fn(&Answer) -> Option<T> + Sync,
    ) -> Result<T, VaultError> {
        let judge = &judge;
        let attempt = |token: Arc<Held>| async move {
            let client = self.http.client_for(way.vault.as_str(), way.route)?;
            let sent = request.to(&client, way.vault.as_str())?.bearer_auth(token.expose());
            let answer = exchange(sent).await?;
            judge(&answer)
                .ok_or_else(|| of_key_vault(asked, way.directory, answer.status, &answer.headers, &answer.body))
        };
        self.ask_vault(way, Toll::free(Claim::Question), attempt).await
    }

    /// Sends one request to a vault without a token. Its answer, whatever it is: judged by `judge`.
    #[tracing::instrument(level = "debug", skip_all, fields(%vault, asked = ?Asked::Probe))]
    pub(crate) async fn ask_stranger<T: Send>(
        &self,
        vault: &VaultHost,
        route: Route,
        request: &Request,
        judge: impl Fn(&Answer) -> Result<T, VaultError> + Send + Sync,
    ) -> Result<T, VaultError> {
        let judge = &judge;
        let attempt = || async move {
            self.throttles.admit(vault, Instant::now())?;
            let client = self.http.client_for(vault.as_str(), route)?;
            let answer = exchange(request.to(&client, vault.as_str())?).await?;
            judge(&answer).inspect_err(|error| self.throttles.note(vault, error, Instant::now()))
        };
        self.ask_openly(VaultCause::Timeout, attempt).await
    }

    /// Asks a vault that is not to be left alone, by a way that is not closed: if it is, nobody is asked for a token either.
    /// What is known of the vault decides whether it is, and learns from how it went.
    async fn ask_vault<T, F: Future<Output = Result<T, VaultError>> + Send>(
        &self,
        way: &Way,
        toll: Toll,
        attempt: impl Fn(Arc<Held>) -> F + Send + Sync,
    ) -> Result<T, VaultError> {
        if way.route == Route::Closed {
            return Err(VaultCause::PrivateEndpointClosed.into());
        }
        let deadline = Instant::now() + self.timeouts.total;
        let tries = match toll.claim {
            Claim::Watch => Tries::once(self.retries, deadline),
            Claim::Question | Claim::Request | Claim::Background | Claim::Bulk => Tries::new(self.retries, deadline),
        };
        let restraint = self.restraints.of(&way.vault);
        let terms = VaultTerms {
            vault: self,
            way,
            claim: toll.claim,
            breaker: restraint.breaker(way.route),
            restraint,
        };
        let attempt = |token| {
            let (attempted, terms) = (attempt(token), &terms);
            async move {
                let (restraints, restraint) = (&self.restraints, &terms.restraint);
                // What is known of the vault may have changed while the token was fetched, and while the turn was waited for.
                terms.admit()?;
                restraints.spend(&way.vault, restraint, toll, deadline).await?;
                terms.heed_wish()?;
                let entered = restraints.enter(&terms.breaker, toll.claim);
                let pass = entered.map_err(Missed::Kept)?;
                let asked = Instant::now();
                let Ok(outcome) = timeout_at(deadline, attempted).await else {
                    let late = VaultError::from(VaultCause::Timeout);
                    // Where others took the time, its silence says nothing of the vault.
                    if asked.elapsed() >= self.timeouts.of_a_vault() {
                        restraints.learn(&way.vault, restraint, pass, Some(&late));
                    }
                    return Err(Missed::Failed(late));
                };
                if let Err(error) = &outcome {
                    self.throttles.note(&way.vault, error, Instant::now());
                }
                restraints.learn(&way.vault, restraint, pass, outcome.as_ref().err());
                outcome.map_err(Missed::Failed)
            }
        };
        terms.restraint.begin();
        let audience = Audience::of(way.directory, &way.vault);
        let asked = self.ask_with_token(audience, tries, &terms, attempt).await;
        asked.map_err(|error| match terms.claim {
            Claim::Watch | Claim::Question => error,
            Claim::Request | Claim::Background | Claim::Bulk => terms.breaker.told_of(error, Instant::now()),
        })
    }

    /// Tries with a token, on those terms, until an attempt succeeds, fails for good, or the tries or the time are up.
    pub(crate) async fn ask_with_token<T, F: Future<Output = Result<T, Missed>> + Send>(
        &self,
        audience: Audience,
        mut tries: Tries,
        terms: &impl Terms,
        attempt: impl Fn(Arc<Held>) -> F + Send + Sync,
    ) -> Result<T, VaultError> {
        let deadline = tries.deadline();
        loop {
            let token = match terms.admit() {
                Ok(()) => self.token(audience, deadline).await.map_err(Missed::Failed),
                Err(missed) => Err(missed),
            };
            let (token, missed) = match token {
                Ok(token) => match timeout_at(deadline, attempt(Arc::clone(&token))).await {
                    Ok(Ok(done)) => return Ok(done),
                    Ok(Err(missed)) => (Some(token), missed),
                    Err(_) => (Some(token), VaultCause::Timeout.into()),
                },
                Err(missed) => (None, missed),
            };
            let error = match missed {
                Missed::Failed(error) => error,
                Missed::Kept(error) => return Err(error),
            };
            let was_tried = token.is_some();
            let doubt = if error.cause() == VaultCause::TokenNotVerifiable {
                Doubt::Possible
            } else {
                Doubt::Rejected
            };
            let is_replaced = || token.is_some_and(|token| self.tokens.discard(audience, &token, doubt));
            let now = Instant::now();
            let next = match tries.after(&error, now) {
                Next::AnotherToken if !is_replaced() => tries.with_same_token(&error, now),
                next => next,
            };
            match next {
                Next::Again(pause) if was_tried && !terms.may_try_again(now + pause) => return Err(error),
                Next::Again(pause) => {
                    again(&error, pause).await;
                    if !terms.is_wanted() {
                        return Err(error);
                    }
                }
                Next::AnotherToken => terms.forget(),
                Next::GiveUp => return Err(error),
            }
        }
    }

    /// Tries what wants no token. When the time is up, that is `late`.
    pub(crate) async fn ask_openly<T, F: Future<Output = Result<T, VaultError>> + Send>(
        &self,
        late: VaultCause,
        attempt: impl Fn() -> F + Send + Sync,
    ) -> Result<T, VaultError> {
        let deadline = Instant::now() + self.timeouts.total;
        let mut tries = Tries::new(self.retries, deadline);
        loop {
            let error = match timeout_at(deadline, attempt()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => error,
                Err(_) => late.into(),
            };
            match tries.after(&error, Instant::now()) {
                Next::Again(pause) => again(&error, pause).await,
                Next::AnotherToken | Next::GiveUp => return Err(error),
            }
        }
    }

    async fn token(&self, audience: Audience, deadline: Instant) -> Result<Arc<Held>, VaultError> {
        let token = timeout_at(deadline, self.tokens.get(audience)).await;
        token.unwrap_or_else(|_| Err(VaultCause::EntraUnavailable.into()))
    }

    fn client(&self, way: &Way) -> Result<Arc<KeyClient>, VaultError> {
        let made = self.clients.try_get_with_by_ref(way, || {
            let credential: Arc<dyn TokenCredential> = Arc::new(StandIn(Audience::of(way.directory, &way.vault)));
            let options = KeyClientOptions {
                client_options: ClientOptions {
                    retry: RetryOptions::none(),
                    transport: Some(self.transport.clone()),
                    ..ClientOptions::default()
                },
                verify_challenge_resource: Some(true),
                ..KeyClientOptions::default()
            };
            KeyClient::new(&format!("https://{}", way.vault), credential, Some(options)).map(Arc::new)
        });
        made.map_err(|_| VaultCause::RequestRejected.into())
    }
}

async fn again(error: &VaultError, pause: std::time::Duration) {
    tracing::debug!(cause = ?error.cause(), ?pause, "trying again");
    tokio::time::sleep(pause).await;
}

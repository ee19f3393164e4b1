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
    vault::{VaultCause, VaultError},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    credential::Audience,
    errand::{Errand, StandIn},
    exchange::{Answer, exchange},
    failure::{Asked, of_key_vault, of_sdk},
    request::Request,
    retry::{Next, Tries},
    token::Held,
    vault::AzureKeyVault,
};

/// A vault, the way to it, and the directory whose token it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    pub(crate) directory: DirectoryId,
    pub(crate) vault: VaultHost,
    pub(crate) route: Route,
}

impl AzureKeyVault {
    /// Does one operation through the SDK. Its answer.
    #[tracing::instrument(level = "debug", skip_all, fields(vault = %way.vault, ?asked))]
    pub(crate) async fn ask<F: Future<Output = azure_core::Result<()>> + Send>(
        &self,
        asked: Asked,
        way: &Way,
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
        self.ask_vault(way, attempt).await
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
        self.ask_vault(way, attempt).await
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
            self.note(vault, judge(&answer))
        };
        self.ask_openly(VaultCause::Timeout, attempt).await
    }

    /// Asks a vault that is not to be left alone, by a way that is not closed: if it is, nobody is asked for a token either.
    async fn ask_vault<T, F: Future<Output = Result<T, VaultError>> + Send>(
        &self,
        way: &Way,
        attempt: impl Fn(Arc<Held>) -> F + Send + Sync,
    ) -> Result<T, VaultError> {
        if way.route == Route::Closed {
            return Err(VaultCause::PrivateEndpointClosed.into());
        }
        let attempt = |token| {
            let attempted = attempt(token);
            async {
                let outcome = attempted.await;
                self.note(&way.vault, outcome)
            }
        };
        let admit = || self.throttles.admit(&way.vault, Instant::now());
        // With the token goes what the client has learnt of the vault's challenge.
        let forget = || self.clients.invalidate(way);
        let audience = Audience::of(way.directory, &way.vault);
        self.ask_with_token(audience, admit, attempt, forget).await
    }

    /// Tries with a token until an attempt succeeds, fails for good, or the tries or the time are up. Before each, `admit` is
    /// asked; `forget` hears of a token that was rejected.
    pub(crate) async fn ask_with_token<T, F: Future<Output = Result<T, VaultError>> + Send>(
        &self,
        audience: Audience,
        admit: impl Fn() -> Result<(), VaultError> + Send + Sync,
        attempt: impl Fn(Arc<Held>) -> F + Send + Sync,
        forget: impl Fn() + Send + Sync,
    ) -> Result<T, VaultError> {
        let deadline = Instant::now() + self.timeouts.total;
        let mut tries = Tries::new(self.retries, deadline);
        loop {
            let token = match admit() {
                Ok(()) => self.token(audience, deadline).await,
                Err(error) => Err(error),
            };
            let (token, error) = match token {
                Ok(token) => match timeout_at(deadline, attempt(Arc::clone(&token))).await {
                    Ok(Ok(done)) => return Ok(done),
                    Ok(Err(error)) => (Some(token), error),
                    Err(_) => (Some(token), VaultCause::Timeout.into()),
                },
                Err(error) => (None, error),
            };
            let is_replaced = || token.is_some_and(|token| self.tokens.discard(audience, &token));
            let now = Instant::now();
            let next = match tries.after(&error, now) {
                Next::AnotherToken if !is_replaced() => tries.with_same_token(&error, now),
                next => next,
            };
            match next {
                Next::Again(pause) => again(&error, pause).await,
                Next::AnotherToken => forget(),
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

    /// Remembers a vault's wish to be left alone.
    pub(crate) fn note<T>(&self, vault: &VaultHost, outcome: Result<T, VaultError>) -> Result<T, VaultError> {
        outcome.inspect_err(|error| self.throttles.note(vault, error, Instant::now()))
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

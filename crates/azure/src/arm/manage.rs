//! How the resource manager is asked: with the tries and the time of any other question, and a token of the directory that
//! the resource belongs to.

use std::sync::Arc;

use keyferry_crypto::{tenant::Route, vault::VaultError};
use tokio::time::Instant;

use super::{
    ArmError,
    error::{About, of_arm, of_failure},
};
use crate::{
    asking::Free,
    credential::{Audience, management_host},
    exchange::{Answer, exchange},
    request::Request,
    retry::Tries,
    token::Held,
    vault::AzureKeyVault,
};

impl AzureKeyVault {
    /// Sends one request to the resource manager. Any answer that `judge` takes is one.
    #[tracing::instrument(level = "debug", skip_all, fields(directory = %audience.directory))]
    pub(crate) async fn manage<T: Send>(
        &self,
        audience: Audience,
        about: About<'_>,
        request: &Request,
        judge: impl Fn(&Answer) -> Option<T> + Send + Sync,
    ) -> Result<T, ArmError> {
        let (host, judge) = (management_host(audience.cloud), &judge);
        // What may pass is tried again; the rest is an answer.
        let attempt = |token: Arc<Held>| async move {
            let client = self.http.client_for(host, Route::Public)?;
            let answer = exchange(request.to(&client, host)?.bearer_auth(token.expose())).await?;
            match judge(&answer) {
                Some(done) => Ok(Ok(done)),
                None => Ok(Err(of_arm(about, &answer)?)),
            }
        };
        let tries = Tries::new(self.retries, Instant::now() + self.timeouts.total);
        let answered: Result<Result<T, ArmError>, VaultError> =
            self.ask_with_token(audience, tries, &Free, attempt).await;
        answered.unwrap_or_else(|failed| Err(of_failure(failed)))
    }
}

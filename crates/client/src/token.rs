//! Where tokens come from.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::StatusCode;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::Url;
use zeroize::Zeroizing;

use crate::{error::Error, secret::Token};

/// Gives a token for each call.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// Always this one.
    Fixed(Token),
    /// From Entra, kept until shortly before it expires.
    ClientCredentials(Arc<ClientCredentials>),
}

/// The OAuth 2.0 client-credentials grant (RFC 6749 §4.4) with a client secret.
pub struct ClientCredentials {
    http: reqwest::Client,
    endpoint: Url,
    client_id: String,
    client_secret: Zeroizing<String>,
    scope: String,
    held: Mutex<Option<(Token, Instant)>>,
}

impl TokenSource {
    pub(crate) async fn token(&self) -> Result<Token, Error> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::ClientCredentials(credentials) => credentials.token().await,
        }
    }
}

impl From<String> for TokenSource {
    fn from(token: String) -> Self {
        Self::Fixed(token.into())
    }
}

impl ClientCredentials {
    /// Tokens for `scope` (`api://…/.default`) from a directory's token endpoint.
    #[must_use]
    pub fn new(http: reqwest::Client, endpoint: Url, client_id: String, client_secret: String, scope: String) -> Self {
        Self {
            http,
            endpoint,
            client_id,
            client_secret: client_secret.into(),
            scope,
            held: Mutex::new(None),
        }
    }

    /// A token with at least a minute to live. Callers who need a new one at once wait for the same request.
    pub async fn token(&self) -> Result<Token, Error> {
        let mut held = self.held.lock().await;
        if let Some((token, until)) = &*held
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let (token, lifetime) = self.fetch().await?;
        *held = Some((token.clone(), Instant::now() + lifetime.saturating_sub(MARGIN)));
        Ok(token)
    }

    async fn fetch(&self) -> Result<(Token, Duration), Error> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("scope", &self.scope),
        ];
        let answer = self.http.post(self.endpoint.clone()).form(&form).send().await;
        let answer = answer.map_err(unreachable)?;
        let status = answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            answer.error_for_status_ref().map_err(unreachable)?;
        }
        if !status.is_success() {
            let refusal: Refusal = answer.json().await.map_err(unreachable)?;
            let first_line = refusal.error_description.lines().next().unwrap_or_default().to_owned();
            return Err(Error::Token(first_line));
        }
        let Issued {
            access_token,
            expires_in,
        } = answer.json().await.map_err(unreachable)?;
        Ok((access_token, Duration::from_secs(expires_in)))
    }
}

fn unreachable(error: reqwest::Error) -> Error {
    Error::NoIdentityProvider(error.without_url())
}

#[derive(Deserialize)]
struct Issued {
    access_token: Token,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error_description: String,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCredentials({})", self.client_id)
    }
}

/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_mins(1);

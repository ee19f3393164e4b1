//! The signing keys of the directories whose tokens are accepted: fetched by OpenID discovery, refreshed in the
//! background, and at once (but not too often) when a token names a key that is not known.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use futures::future::join_all;
use jsonwebtoken::DecodingKey;
use keyferry_crypto::id::DirectoryId;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    config::AuthConfig,
    problem::{Kind, Problem, SHORT_WAIT},
};

/// The directories whose tokens are accepted.
pub(super) struct Directories {
    all: HashMap<DirectoryId, Directory>,
    refresh: Duration,
}

/// A directory and the keys it signs with.
pub(super) struct Directory {
    id: DirectoryId,
    issuer: String,
    authority: Url,
    http: reqwest::Client,
    keys: ArcSwapOption<Keys>,
    /// Whether the last asking, of whoever asked, brought no keys.
    failed: AtomicBool,
    /// When a token's unknown key last made us ask. Held while asking, so that one asks for all.
    asked: Mutex<Option<Instant>>,
}

type Keys = HashMap<String, Arc<DecodingKey>>;

/// Why keys were not fetched. For the log.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is longer than {MAX_DOCUMENT} bytes")]
    TooLong,
    #[error("the answer is not what was expected: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the discovery document names another issuer, or keys at another origin")]
    Foreign,
    #[error("there is no usable key")]
    NoKeys,
}

impl Directories {
    pub(super) fn new(config: &AuthConfig, http: &reqwest::Client) -> Self {
        let directory = |&id| {
            let authority = config.authority.clone();
            let issuer = format!("{authority}{id}/v2.0");
            (
                id,
                Directory {
                    id,
                    issuer,
                    authority,
                    http: http.clone(),
                    keys: ArcSwapOption::empty(),
                    failed: AtomicBool::new(false),
                    asked: Mutex::new(None),
                },
            )
        };
        Self {
            all: config.directories.iter().map(directory).collect(),
            refresh: config.keys_refresh,
        }
    }

    pub(super) fn get(&self, id: DirectoryId) -> Option<&Directory> {
        self.all.get(&id)
    }

    pub(super) fn are_ready(&self) -> bool {
        self.all.values().all(|directory| directory.keys.load().is_some())
    }

    pub(super) async fn run(&self, cancel: CancellationToken) {
        let all = join_all(self.all.values().map(|directory| directory.keep_fresh(self.refresh)));
        cancel.run_until_cancelled(all).await;
    }
}

impl Directory {
    pub(super) fn id(&self) -> DirectoryId {
        self.id
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key of that id.
    pub(super) async fn key(&self, kid: &str) -> Result<Arc<DecodingKey>, Problem> {
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        let wait = if self.failed.load(Relaxed) {
            FIRST_RETRY
        } else {
            ASK_AGAIN
        };
        if asked.is_none_or(|at| at.elapsed() >= wait) {
            *asked = Some(Instant::now());
            self.fetch_and_log().await;
            // Those who waited meanwhile are not to ask one after the other; nor is the next, if this one goes away.
            *asked = Some(Instant::now());
        }
        self.known(kid).ok_or_else(|| {
            // Without the keys of today nobody can say that a token is bad.
            if self.failed.load(Relaxed) || self.keys.load().is_none() {
                unavailable()
            } else {
                super::token::not_accepted()
            }
        })
    }

    fn known(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        self.keys.load().as_ref()?.get(kid).cloned()
    }

    /// Fetches now and then; sooner while it fails. The keys at hand stay in use meanwhile.
    async fn keep_fresh(&self, refresh: Duration) {
        let mut patience = FIRST_RETRY;
        loop {
            let wait = if self.fetch_and_log().await {
                patience = FIRST_RETRY;
                refresh
            } else {
                let wait = patience;
                patience = (patience * 2).min(LAST_RETRY);
                wait
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn fetch_and_log(&self) -> bool {
        match self.fetch().await {
            Ok(keys) => {
                tracing::debug!(directory = %self.id, keys = keys.len(), "fetched signing keys");
                self.keys.store(Some(Arc::new(keys)));
                self.failed.store(false, Relaxed);
                true
            }
            Err(error) => {
                tracing::warn!(directory = %self.id, %error, "cannot fetch signing keys");
                self.failed.store(true, Relaxed);
                false
            }
        }
    }

    async fn fetch(&self) -> Result<Keys, FetchError> {
        let discovery = format!("{}/.well-known/openid-configuration", self.issuer);
        let document: Discovery = self.get(&discovery).await?;
        if document.issuer != self.issuer || document.jwks_uri.origin() != self.authority.origin() {
            return Err(FetchError::Foreign);
        }
        let set: KeySet = self.get(document.jwks_uri.as_str()).await?;
        let keys: Keys = set.keys.into_iter().take(MAX_KEYS).filter_map(Jwk::decode).collect();
        if keys.is_empty() {
            Err(FetchError::NoKeys)
        } else {
            Ok(keys)
        }
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        let request = self.http.get(url).timeout(TIMEOUT);
        let mut response = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_DOCUMENT {
                return Err(FetchError::TooLong);
            }
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// OpenID Connect Discovery 1.0 §3, as far as it matters.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

/// RFC 7517 §5.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

/// RFC 7517 §4 and RFC 7518 §6.3.1, of keys of any type.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwk {
    /// An RSA key for signatures, of 2048 bits or more; anything else in a set is passed over.
    fn decode(self) -> Option<(String, Arc<DecodingKey>)> {
        let fits = self.kty == "RSA"
            && self.r#use.is_none_or(|r#use| r#use == "sig")
            && self.alg.is_none_or(|alg| alg == "RS256");
        let (kid, n, e) = (self.kid?, self.n?, self.e?);
        let long_enough = n.len() >= SHORTEST_MODULUS;
        let key = DecodingKey::from_rsa_components(&n, &e).ok()?;
        (fits && long_enough).then(|| (kid, Arc::new(key)))
    }
}

fn unavailable() -> Problem {
    Problem::new(Kind::IdentityProviderUnavailable).retry_after(SHORT_WAIT)
}

/// How long to wait before an unknown key makes us ask again, if we were answered.
const ASK_AGAIN: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// For each of the two requests.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_DOCUMENT: usize = 1 << 20;
const MAX_KEYS: usize = 100;
/// 2048 bits in base64url without padding.
const SHORTEST_MODULUS: usize = 342;

//! Whether a delivery is Event Grid's: by a secret in a header that was set with the subscription, or by a token of Event Grid's
//! own. Handshakes prove it as deliveries do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, request::Parts};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Events;
use crate::{
    app::App,
    caller::Callers,
    clock::Clock,
    config::{AuthConfig, ConfigError, EventGridConfig, EventsConfig, EventsProof},
    problem::{Kind, Problem},
};

/// What deliveries are proven by.
pub(super) enum Proof {
    /// One of the secrets, of which these are the digests, in that header.
    Secret { header: HeaderName, digests: Vec<[u8; 32]> },
    /// A token of that application's.
    Token { callers: Box<Callers>, application: Uuid },
}

/// A delivery that is Event Grid's. Holding one is the proof.
pub(super) struct Authentic {
    pub(super) events: Arc<Events>,
}

impl FromRequestParts<App> for Authentic {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let events = app.events().ok_or_else(|| Problem::new(Kind::RouteNotFound))?;
        events.proof.check(&parts.headers).await?;
        Ok(Self {
            events: Arc::clone(events),
        })
    }
}

impl Proof {
    pub(super) fn new(
        config: &EventsConfig,
        auth: &AuthConfig,
        http: &reqwest::Client,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        Ok(match config.proof()? {
            EventsProof::Secret(digests) => Self::Secret {
                header: config.header.clone(),
                digests,
            },
            EventsProof::Entra(grid) => Self::Token {
                callers: Box::new(Callers::new(&of(&grid, auth), http, clock)),
                application: grid.application,
            },
        })
    }

    pub(super) async fn run(&self) {
        match self {
            Self::Secret { .. } => std::future::pending().await,
            Self::Token { callers, .. } => callers.run(CancellationToken::new()).await,
        }
    }

    async fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let is_authentic = match self {
            Self::Secret { header, digests } => holds_one_of(headers, header, digests),
            Self::Token { callers, application } => callers.identify(headers).await?.application() == *application,
        };
        if is_authentic {
            Ok(())
        } else {
            Err(Problem::new(Kind::DeliveryNotAuthentic))
        }
    }
}

/// Compared by their digests, so that neither a secret's length nor how much of it was guessed shows in the time it takes.
fn holds_one_of(headers: &HeaderMap, header: &HeaderName, digests: &[[u8; 32]]) -> bool {
    let mut all = headers.get_all(header).iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return false;
    };
    let shown: [u8; 32] = Sha256::digest(only.as_bytes()).into();
    let none = Choice::from(0);
    digests
        .iter()
        .fold(none, |found, digest| found | digest.ct_eq(&shown))
        .into()
}

/// How Event Grid's tokens are verified: as callers' are, but of another directory, and for another audience.
fn of(grid: &EventGridConfig, auth: &AuthConfig) -> AuthConfig {
    AuthConfig {
        directories: vec![grid.directory],
        audiences: vec![grid.audience],
        callers: Vec::new(),
        tokens: TOKENS,
        ..auth.clone()
    }
}

/// Event Grid uses one at a time.
const TOKENS: u64 = 16;

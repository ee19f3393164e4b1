//! What one try at a vault takes along and brings back, past the SDK.
//!
//! The SDK would keep both where we cannot reach them. Its cache of tokens is shared by all calls of a client, and gives one
//! call another's; so it is given a stand-in, and the token is put in its place on the wire. And its pipeline copies an answer
//! twice into memory that is not wiped, which for an unwrap holds the data key; so it is given an empty one.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{ClientMethodOptions, Context},
};
use bytes::Bytes;
use keyferry_crypto::{tenant::Route, vault::VaultCause};
use time::Duration;

use crate::{clock, credential::Audience, failure::through_sdk, token::Held};

/// One try's token and way and, once there is one, its answer.
pub(crate) struct Errand {
    token: Arc<Held>,
    route: Route,
    answer: Mutex<Option<Bytes>>,
}

impl Errand {
    pub(crate) fn new(token: Arc<Held>, route: Route) -> Arc<Self> {
        Arc::new(Self {
            token,
            route,
            answer: Mutex::new(None),
        })
    }

    /// The SDK's options for an operation on this errand.
    pub(crate) fn options(self: &Arc<Self>) -> ClientMethodOptions<'static> {
        ClientMethodOptions {
            context: Context::new().with_value(Arc::clone(self)),
        }
    }

    /// The errand that an operation is on.
    pub(crate) fn of<'a>(context: &'a Context<'_>) -> Option<&'a Arc<Self>> {
        context.value()
    }

    /// The token to use.
    pub(crate) fn token(&self) -> &Held {
        &self.token
    }

    /// The way to take.
    pub(crate) fn route(&self) -> Route {
        self.route
    }

    /// Takes the answer in.
    pub(crate) fn bring(&self, answer: Bytes) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// The answer, if one was brought.
    pub(crate) fn answer(&self) -> Option<Bytes> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errand(…)")
    }
}

/// What the SDK takes for a credential: it judges a vault's challenge, and gives the stand-in for the token.
#[derive(Debug)]
pub(crate) struct StandIn(pub(crate) Audience);

#[async_trait]
impl TokenCredential for StandIn {
    /// The scope comes out of the vault's challenge. No token leaves for another one than belongs to the vault's host.
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        if scopes == [self.0.scope()] {
            Ok(AccessToken::new("a stand-in", clock::now() + LIFE))
        } else {
            Err(through_sdk(ErrorKind::Credential, VaultCause::AnswerInvalid.into()))
        }
    }
}

/// How long the SDK keeps the stand-in. A challenge makes it ask anew at once.
const LIFE: Duration = Duration::DAY;

#[cfg(test)]
mod tests {
    use keyferry_crypto::id::{Cloud, DirectoryId, VaultKind};
    use uuid::Uuid;

    use super::*;
    use crate::credential::Service;

    #[tokio::test]
    async fn no_token_leaves_for_another_audience_than_the_vaults_own() {
        let stand_in = StandIn(Audience {
            directory: DirectoryId(Uuid::from_u128(1)),
            cloud: Cloud::Public,
            service: Service::Vaults(VaultKind::KeyVault),
        });
        for other in [
            "https://management.azure.com/.default",
            "https://managedhsm.azure.net/.default",
            "https://vault.azure.cn/.default",
        ] {
            assert!(stand_in.get_token(&[other], None).await.is_err(), "{other}");
        }
        let own = stand_in.get_token(&["https://vault.azure.net/.default"], None).await;
        assert_eq!(own.unwrap().token.secret(), "a stand-in");
    }
}

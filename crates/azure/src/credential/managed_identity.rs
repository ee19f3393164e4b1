//! A managed identity's token, as assertion. It comes from the machine that we run on.
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use keyferry_crypto::vault::VaultError;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{
    config::{ClientId, ConfigError, Timeouts},
    failure::of_managed_identity,
    http::base,
};

/// What a federated credential of an application accepts as audience.
const EXCHANGE_SCOPE: &str = "api://AzureADTokenExchange/.default";

/// The pause after a token was forgotten because Entra refused it: the endpoint answers a few requests a second.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);

/// The identity. The SDK keeps its token until shortly before its end, and cannot be told to forget it; so what is forgotten
/// is the SDK's credential.
pub(super) struct ManagedIdentity {
    make: Box<dyn Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync>,
    current: Mutex<Current>,
}

struct Current {
    credential: Arc<dyn TokenCredential>,
    /// How many were forgotten before it.
    number: u64,
    renewed_at: Option<Instant>,
}

impl ManagedIdentity {
    /// The identity is asked over plain HTTP on a link-local address, so by a client of its own.
    pub(super) fn new(identity: Option<ClientId>, timeouts: Timeouts) -> Result<Self, ConfigError> {
        let client = Arc::new(base(timeouts).build().map_err(ConfigError::Client)?);
        Self::made_by(move || {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: identity.map(|id| UserAssignedId::ClientId(id.0.to_string())),
                client_options: ClientOptions {
                    retry: RetryOptions::none(),
                    transport: Some(Transport::new(Arc::clone(&client) as _)),
                    ..ClientOptions::default()
                },
            };
            Ok(ManagedIdentityCredential::new(Some(options))?)
        })
    }

    fn made_by(
        make: impl Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let current = Current {
            credential: make().map_err(|_| ConfigError::ManagedIdentity)?,
            number: 0,
            renewed_at: None,
        };
        Ok(Self {
            make: Box::new(make),
            current: Mutex::new(current),
        })
    }

    /// The identity's token.
    pub(super) async fn token(&self) -> Result<Zeroizing<String>, VaultError> {
        let credential = Arc::clone(&self.current().credential);
        let token = credential.get_token(&[EXCHANGE_SCOPE], None).await;
        let token = token.map_err(|error| of_managed_identity(&error))?;
        Ok(Zeroizing::new(token.token.secret().to_owned()))
    }

    /// How many tokens were forgotten so far.
    pub(super) fn forgotten(&self) -> u64 {
        self.current().number
    }

    /// Forgets a token that Entra refused, which is not newer than `forgotten` says, unless it is forgotten already or one
    /// was a moment ago. Whether another is to be had.
    pub(super) fn forget(&self, forgotten: u64, now: Instant) -> bool {
        let mut current = self.current();
        if current.number != forgotten {
            return true;
        }
        if current.renewed_at.is_some_and(|at| now < at + RENEWAL_PAUSE) {
            return false;
        }
        let Ok(credential) = (self.make)() else { return false };
        *current = Current {
            credential,
            number: forgotten + 1,
            renewed_at: Some(now),
        };
        true
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use azure_core::credentials::{AccessToken, TokenRequestOptions};

    use super::*;
    use crate::clock;

    /// A credential that gives one token for ever, as the SDK's does.
    #[derive(Debug)]
    struct Fixed(u64);

    #[async_trait]
    impl TokenCredential for Fixed {
        async fn get_token(
            &self,
            scopes: &[&str],
            _: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            assert_eq!(scopes, ["api://AzureADTokenExchange/.default"]);
            Ok(AccessToken::new(format!("token {}", self.0), clock::now()))
        }
    }

    fn identity() -> ManagedIdentity {
        let made = AtomicU64::new(0);
        ManagedIdentity::made_by(move || Ok(Arc::new(Fixed(made.fetch_add(1, Ordering::SeqCst))) as _)).unwrap()
    }

    #[tokio::test]
    async fn a_token_that_was_refused_is_not_shown_again() {
        let (identity, now) = (identity(), Instant::now());
        assert_eq!(*identity.token().await.unwrap(), "token 0");
        assert!(identity.forget(0, now));
        assert_eq!(*identity.token().await.unwrap(), "token 1");
        assert!(identity.forget(0, now), "another has taken its place already");
        assert_eq!(*identity.token().await.unwrap(), "token 1");
    }

    #[tokio::test]
    async fn however_often_tokens_are_refused_the_machine_is_not_asked_all_the_time() {
        let (identity, now) = (identity(), Instant::now());
        assert!(identity.forget(identity.forgotten(), now));
        assert!(!identity.forget(identity.forgotten(), now + RENEWAL_PAUSE / 2));
        assert_eq!(*identity.token().await.unwrap(), "token 1");
        assert!(identity.forget(identity.forgotten(), now + RENEWAL_PAUSE));
        assert_eq!(*identity.token().await.unwrap(), "token 2");
    }
}

//! Key Vault as `keyferry_crypto` sees it: wrap, unwrap, and what a key is.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_security_keyvault_keys::{
    KeyClient, KeyClientOptions,
    models::{KeyClientGetKeyOptions, KeyClientWrapKeyOptions, KeyOperationResult},
};
use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use keyferry_crypto::{
    id::{DirectoryId, KekId, KeyRef, KeyVersion, VaultHost},
    secret::DataKey,
    tenant::{TenantKeys, VersionPolicy},
    vault::{KeyVault, VaultCause, VaultError, WrappedDataKey},
};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::{
    config::{AzureConfig, ConfigError, Retries, Timeouts},
    credential::{Audience, Credentials},
    failure::{Asked, of_sdk},
    http::Http,
    key::KeyDescription,
    overrides::Overrides,
    retry::{Next, Tries},
    token::{DirectoryCredential, Tokens},
    wire::VaultWire,
};

/// Clients that are kept at most: one per vault and directory, some 30 KiB each with its connection.
const MAX_CLIENTS: u64 = 20_000;

/// Customers' vaults, reached as one application.
pub struct AzureKeyVault {
    http: Arc<Http>,
    transport: Transport,
    tokens: Tokens,
    clients: moka::sync::Cache<(DirectoryId, VaultHost), Arc<KeyClient>>,
    timeouts: Timeouts,
    retries: Retries,
}

impl AzureKeyVault {
    /// Reads the credential and the certificates that the configuration names. Calls no one.
    pub fn new(config: &AzureConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let overrides = Arc::new(Overrides::default());
        for (name, address) in &config.overrides {
            overrides.set(name, *address)?;
        }
        let http = Arc::new(Http::new(config, overrides)?);
        let credentials = Credentials::new(config, Arc::clone(&http))?;
        Ok(Self {
            transport: VaultWire::transport(&http),
            tokens: Tokens::new(Arc::new(credentials), config.token_max_age),
            clients: moka::sync::Cache::builder().max_capacity(MAX_CLIENTS).build(),
            timeouts: config.timeouts,
            retries: config.retries,
            http,
        })
    }

    /// The HTTPS client as it is now: the configured roots, overrides and timeouts, no redirects, no proxy. Its user follows
    /// later changes of [`AzureKeyVault::overrides`] with new connections only.
    pub fn http(&self) -> Result<reqwest::Client, ConfigError> {
        self.http.client().map_err(ConfigError::Client)
    }

    /// Where hosts really are. May be changed at any time.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        self.http.overrides()
    }

    /// Describes a key at a version, or at its latest.
    pub async fn describe(
        &self,
        directory: DirectoryId,
        key: &KeyRef,
        version: Option<&KeyVersion>,
    ) -> Result<KeyDescription, VaultError> {
        let asked = self.ask(Asked::Get, directory, &key.vault, |client| async move {
            let options = KeyClientGetKeyOptions {
                key_version: version.map(|version| version.as_str().to_owned()),
                ..KeyClientGetKeyOptions::default()
            };
            client.get_key(key.name.as_str(), Some(options)).await?.into_model()
        });
        KeyDescription::of(key, version, asked.await?)
    }

    /// Does one operation, with as many tries as it is given, in the time that it is given.
    #[tracing::instrument(level = "debug", skip_all, fields(%vault, ?asked))]
    async fn ask<T, F: Future<Output = azure_core::Result<T>> + Send>(
        &self,
        asked: Asked,
        directory: DirectoryId,
        vault: &VaultHost,
        operation: impl Fn(Arc<KeyClient>) -> F + Send + Sync,
    ) -> Result<T, VaultError> {
        let audience = Audience::of(directory, vault);
        let deadline = Instant::now() + self.timeouts.total;
        let mut tries = Tries::new(self.retries, deadline);
        loop {
            // The token is had before the SDK asks for it under a lock of its own, where callers would queue.
            let (token, outcome) = match timeout_at(deadline, self.tokens.get(audience)).await {
                Ok(Ok(token)) => {
                    let answer = timeout_at(deadline, operation(self.client(directory, vault)?)).await;
                    let outcome = answer.map_or_else(
                        |_| Err(VaultCause::Timeout.into()),
                        |answer| answer.map_err(|error| of_sdk(asked, directory, &error)),
                    );
                    (Some(token), outcome)
                }
                Ok(Err(error)) => (None, Err(error)),
                Err(_) => (None, Err(VaultCause::EntraUnavailable.into())),
            };
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match tries.after(&error, Instant::now()) {
                Next::Again(pause) => {
                    tracing::debug!(cause = ?error.cause(), ?pause, "trying again");
                    tokio::time::sleep(pause).await;
                }
                Next::AnotherToken => {
                    if let Some(token) = &token {
                        self.tokens.discard(audience, token);
                    }
                    self.clients.invalidate(&(directory, vault.clone()));
                }
                Next::GiveUp => return Err(error),
            }
        }
    }

    fn client(&self, directory: DirectoryId, vault: &VaultHost) -> Result<Arc<KeyClient>, VaultError> {
        let made = self.clients.try_get_with((directory, vault.clone()), || {
            let credential = DirectoryCredential {
                tokens: self.tokens.clone(),
                audience: Audience::of(directory, vault),
            };
            let options = KeyClientOptions {
                client_options: ClientOptions {
                    retry: RetryOptions::none(),
                    transport: Some(self.transport.clone()),
                    ..ClientOptions::default()
                },
                verify_challenge_resource: Some(true),
                ..KeyClientOptions::default()
            };
            KeyClient::new(&format!("https://{vault}"), Arc::new(credential), Some(options)).map(Arc::new)
        });
        made.map_err(|_| VaultCause::RequestRejected.into())
    }
}

impl std::fmt::Debug for AzureKeyVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AzureKeyVault")
    }
}

#[async_trait]
impl KeyVault for AzureKeyVault {
    async fn wrap(&self, tenant: &TenantKeys, data_key: &DataKey) -> Result<WrappedDataKey, VaultError> {
        let key = &tenant.current;
        let pinned = match &tenant.version {
            VersionPolicy::FollowLatest => None,
            VersionPolicy::Pinned(version) => Some(version),
        };
        let body = parameters(data_key.expose());
        let answer = self.ask(Asked::Wrap, tenant.directory, &key.vault, |client| {
            let (body, name) = (body.clone(), key.name.as_str());
            async move {
                let options = KeyClientWrapKeyOptions {
                    key_version: pinned.map(|version| version.as_str().to_owned()),
                    ..KeyClientWrapKeyOptions::default()
                };
                client.wrap_key(name, body.into(), Some(options)).await?.into_model()
            }
        });
        let (kek, bytes) = result(key, answer.await?)?;
        let is_asked_for = pinned.is_none_or(|version| *version == kek.version);
        if !is_asked_for || !matches!(bytes.len(), 256 | 384 | 512) {
            return Err(VaultCause::AnswerInvalid.into());
        }
        Ok(WrappedDataKey {
            kek,
            bytes: bytes.as_slice().into(),
        })
    }

    async fn unwrap(&self, tenant: &TenantKeys, wrapped: &WrappedDataKey) -> Result<DataKey, VaultError> {
        let KekId { key, version } = &wrapped.kek;
        let body = parameters(&wrapped.bytes);
        let answer = self.ask(Asked::Unwrap, tenant.directory, &key.vault, |client| {
            let (body, name) = (body.clone(), key.name.as_str());
            async move {
                let answer = client.unwrap_key(name, version.as_str(), body.into(), None).await?;
                answer.into_model()
            }
        });
        let (kek, mut bytes) = result(key, answer.await?)?;
        if kek.version != *version {
            return Err(VaultCause::AnswerInvalid.into());
        }
        // Something else than a data key was wrapped under the customer's key, by somebody who can wrap there.
        DataKey::from_unwrapped(std::mem::take(&mut *bytes)).ok_or_else(|| VaultCause::WrappedKeyInvalid.into())
    }
}

/// `{"alg":"RSA-OAEP-256","value":"…"}`, in memory that is wiped: the SDK's own model would leave the data key behind.
fn parameters(value: &[u8]) -> Bytes {
    let value = Zeroizing::new(URL_SAFE_NO_PAD.encode_to_string(value));
    let mut json = Zeroizing::new(Vec::with_capacity(value.len() + 64));
    json.extend_from_slice(br#"{"alg":"RSA-OAEP-256","value":""#);
    json.extend_from_slice(value.as_bytes());
    json.extend_from_slice(br#""}"#);
    Bytes::from_owner(json)
}

/// Which version of `key` answered, and its bytes.
fn result(key: &KeyRef, answer: KeyOperationResult) -> Result<(KekId, Zeroizing<Vec<u8>>), VaultError> {
    let bytes = Zeroizing::new(answer.result.unwrap_or_default());
    let kek = answer.kid.as_deref().and_then(|kid| kek_in(key, kid));
    let kek = kek.ok_or(VaultCause::AnswerInvalid)?;
    Ok((kek, bytes))
}

/// Reads the `kid` of an answer: it must be a version of the key that was asked. Key Vault ignores case in names and may
/// write them otherwise than we did; the tenant's own spelling is kept.
pub(crate) fn kek_in(key: &KeyRef, kid: &str) -> Option<KekId> {
    let (named, version) = kid.rsplit_once('/')?;
    let is_asked = named.eq_ignore_ascii_case(&key.to_string());
    let version = version.to_ascii_lowercase().parse().ok()?;
    is_asked.then(|| KekId {
        key: key.clone(),
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyRef {
        KeyRef {
            vault: "acme.vault.azure.net".parse().unwrap(),
            name: "kek".parse().unwrap(),
        }
    }

    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_kid_of_the_key_that_was_asked_is_read_whatever_its_case() {
        for kid in [
            "https://acme.vault.azure.net/keys/kek",
            "https://Acme.vault.azure.net/keys/KEK",
        ] {
            let kek = kek_in(&key(), &format!("{kid}/{VERSION}")).unwrap();
            assert_eq!(
                kek.to_string(),
                format!("https://acme.vault.azure.net/keys/kek/{VERSION}")
            );
        }
    }

    #[test]
    fn a_kid_of_anything_else_is_refused() {
        for kid in [
            format!("https://other.vault.azure.net/keys/kek/{VERSION}"),
            format!("https://acme.vault.azure.net/keys/other/{VERSION}"),
            format!("http://acme.vault.azure.net/keys/kek/{VERSION}"),
            "https://acme.vault.azure.net/keys/kek".into(),
            "https://acme.vault.azure.net/keys/kek/../secrets".into(),
            String::new(),
        ] {
            assert_eq!(kek_in(&key(), &kid), None, "{kid}");
        }
    }

    #[test]
    fn the_body_is_what_key_vault_reads() {
        let json: serde_json::Value = serde_json::from_slice(&parameters(&[0xfb; 3])).unwrap();
        assert_eq!(json, serde_json::json!({"alg": "RSA-OAEP-256", "value": "-_v7"}));
    }
}

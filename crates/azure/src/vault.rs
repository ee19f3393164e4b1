//! Key Vault as `keyferry_crypto` sees it: wrap, unwrap, and what a key is.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{http::Transport, json::from_json};
use azure_security_keyvault_keys::{
    KeyClient,
    models::{KeyClientGetKeyOptions, KeyClientUnwrapKeyOptions, KeyClientWrapKeyOptions},
};
use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use keyferry_crypto::{
    id::{DirectoryId, KekId, KeyRef, KeyVersion, VaultHost},
    secret::DataKey,
    tenant::{Route, TenantKeys, VersionPolicy},
    vault::{KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use zeroize::Zeroizing;

use crate::{
    answer::KeyAnswer,
    asking::Way,
    config::{AzureConfig, ConfigError, Retries, Timeouts},
    credential::{Audience, Credentials},
    failure::Asked,
    gauge::{Gauge, VaultStats},
    http::Http,
    key::KeyDescription,
    overrides::Overrides,
    restraint::{Claim, Restraints, Toll},
    throttle::Throttles,
    token::Tokens,
    wire::VaultWire,
};

/// Clients that are kept at most: one per vault, directory and route, some 30 KiB each with its connection.
const MAX_CLIENTS: u64 = 20_000;

/// Customers' vaults, reached as one application.
pub struct AzureKeyVault {
    pub(crate) http: Arc<Http>,
    pub(crate) transport: Transport,
    pub(crate) tokens: Tokens,
    /// What was learnt of a vault by one way is not believed on another.
    pub(crate) clients: moka::sync::Cache<Way, Arc<KeyClient>>,
    pub(crate) throttles: Throttles,
    pub(crate) restraints: Restraints,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: Retries,
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
            tokens: Tokens::new(Arc::new(credentials), config.token_max_age, config.retries),
            clients: moka::sync::Cache::builder().max_capacity(MAX_CLIENTS).build(),
            throttles: Throttles::new(),
            restraints: Restraints::new(config.limits),
            timeouts: config.timeouts,
            retries: config.retries,
            http,
        })
    }

    /// An HTTPS client of its own for other hosts than vaults: the configured roots, overrides and timeouts, no redirects, no
    /// proxy. Later changes of [`AzureKeyVault::overrides`] hold for its new connections only.
    pub fn http(&self) -> Result<reqwest::Client, ConfigError> {
        self.http.client().map_err(ConfigError::Client)
    }

    /// Where hosts really are. May be changed at any time.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        self.http.overrides()
    }

    /// Describes a key at a version, or at its latest, by way of `route`.
    pub async fn describe(
        &self,
        directory: DirectoryId,
        key: &KeyRef,
        version: Option<&KeyVersion>,
        route: Route,
    ) -> Result<KeyDescription, VaultError> {
        let way = Way {
            directory,
            vault: key.vault.clone(),
            route,
        };
        self.describe_by(&way, key, version, Claim::Question).await
    }

    /// Describes a key at a version, or at its latest, and remembers what calls with it cost.
    async fn describe_by(
        &self,
        way: &Way,
        key: &KeyRef,
        version: Option<&KeyVersion>,
        claim: Claim,
    ) -> Result<KeyDescription, VaultError> {
        let toll = Toll::free(claim);
        let answer = self.ask(Asked::Get, way, toll, |client, method_options| async move {
            let options = KeyClientGetKeyOptions {
                key_version: version.map(|version| version.as_str().to_owned()),
                method_options,
            };
            client.get_key(key.name.as_str(), Some(options)).await.map(drop)
        });
        let described = from_json(answer.await?).map_err(|_| VaultCause::AnswerInvalid)?;
        let description = KeyDescription::of(key, version, described)?;
        self.restraints.prices.learn_description(&description);
        Ok(description)
    }
}

/// What is asked on behalf of somebody who waits.
impl AzureKeyVault {
    /// [`KeyVault::wrap`], as urgent as a request.
    pub async fn wrap(&self, tenant: &TenantKeys, data_key: &DataKey) -> Result<WrappedDataKey, VaultError> {
        KeyVault::wrap(self, tenant, data_key, Urgency::Request).await
    }

    /// [`KeyVault::unwrap`], as urgent as a request.
    pub async fn unwrap(&self, tenant: &TenantKeys, wrapped: &WrappedDataKey) -> Result<DataKey, VaultError> {
        KeyVault::unwrap(self, tenant, wrapped, Urgency::Request).await
    }
}

/// How near calls to vaults may come to the vaults' limits.
impl AzureKeyVault {
    /// Says among how many replicas a vault's limits are divided, this one among them; 1 until it is said. More or fewer from
    /// the next call on.
    pub fn share_among(&self, replicas: u32) {
        self.restraints.share_among(replicas);
    }

    /// How much of a vault's limit this replica has used of late; nothing of a vault that it did not ask lately, unless that is
    /// because the vault does not answer.
    #[must_use]
    pub fn gauge(&self, vault: &VaultHost) -> Option<Gauge> {
        self.restraints.gauge(vault)
    }

    /// What the limits, breakers and retries of all vaults have done since the start.
    #[must_use]
    pub fn stats(&self) -> VaultStats {
        self.restraints.stats()
    }
}

impl std::fmt::Debug for AzureKeyVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AzureKeyVault")
    }
}

#[async_trait]
impl KeyVault for AzureKeyVault {
    async fn wrap(
        &self,
        tenant: &TenantKeys,
        data_key: &DataKey,
        urgency: Urgency,
    ) -> Result<WrappedDataKey, VaultError> {
        let key = &tenant.current;
        let pinned = pinned(tenant);
        let (way, body) = (way_to(&key.vault, tenant), parameters(data_key.expose()));
        let toll = Toll::of(urgency, self.restraints.prices.of_wrap(key));
        let answer = self.ask(Asked::Wrap, &way, toll, |client, method_options| {
            let (body, name) = (body.clone(), key.name.as_str());
            async move {
                let options = KeyClientWrapKeyOptions {
                    key_version: pinned.map(|version| version.as_str().to_owned()),
                    method_options,
                };
                client.wrap_key(name, body.into(), Some(options)).await.map(drop)
            }
        });
        let answer = answer.await?;
        let answer = KeyAnswer::read(&answer)?;
        let (kek, bytes) = (answer.kek(key)?, answer.bytes()?);
        let is_asked_for = pinned.is_none_or(|version| *version == kek.version);
        if !is_asked_for || !matches!(bytes.len(), 256 | 384 | 512) {
            return Err(VaultCause::AnswerInvalid.into());
        }
        self.restraints.prices.learn_size(key, bytes.len());
        Ok(WrappedDataKey {
            kek,
            bytes: bytes.as_slice().into(),
        })
    }

    async fn unwrap(
        &self,
        tenant: &TenantKeys,
        wrapped: &WrappedDataKey,
        urgency: Urgency,
    ) -> Result<DataKey, VaultError> {
        let KekId { key, version } = &wrapped.kek;
        let (way, body) = (way_to(&key.vault, tenant), parameters(&wrapped.bytes));
        let toll = Toll::of(urgency, self.restraints.prices.of_unwrap(key, wrapped.bytes.len()));
        let answer = self.ask(Asked::Unwrap, &way, toll, |client, method_options| {
            let (body, name) = (body.clone(), key.name.as_str());
            async move {
                let options = KeyClientUnwrapKeyOptions { method_options };
                let done = client.unwrap_key(name, version.as_str(), body.into(), Some(options));
                done.await.map(drop)
            }
        });
        let answer = answer.await?;
        let answer = KeyAnswer::read(&answer)?;
        if answer.kek(key)?.version != *version {
            return Err(VaultCause::AnswerInvalid.into());
        }
        // Something else than a data key was wrapped under the customer's key, by somebody who can wrap there.
        let bytes = std::mem::take(&mut *answer.bytes()?);
        DataKey::from_unwrapped(bytes).ok_or_else(|| VaultCause::WrappedKeyInvalid.into())
    }

    async fn newest(&self, tenant: &TenantKeys, urgency: Urgency) -> Result<KekId, VaultError> {
        let key = &tenant.current;
        let way = way_to(&key.vault, tenant);
        let described = self.describe_by(&way, key, pinned(tenant), urgency.into());
        Ok(described.await?.kek)
    }

    /// The tokens of the tenant's directory for the kinds of its vaults, at most one of each kind in 5 seconds; the SDK's clients
    /// for the ways to its vaults; and the connections to its private endpoint. Connections over the public network are shared with
    /// other tenants, and stay.
    fn forget(&self, tenant: &TenantKeys) {
        for key in tenant.former.iter().chain([&tenant.current]) {
            let way = way_to(&key.vault, tenant);
            self.tokens.forget(Audience::of(way.directory, &way.vault));
            self.clients.invalidate(&way);
            self.http.forget(way.vault.as_str(), way.route);
        }
    }
}

/// The version that the tenant's policy names, if it names one.
fn pinned(tenant: &TenantKeys) -> Option<&KeyVersion> {
    match &tenant.version {
        VersionPolicy::FollowLatest => None,
        VersionPolicy::Pinned(version) => Some(version),
    }
}

/// The tenant's way to one of its vaults. Its route is the one to the current key's vault, and concerns no other.
fn way_to(vault: &VaultHost, tenant: &TenantKeys) -> Way {
    let is_current = *vault == tenant.current.vault;
    Way {
        directory: tenant.directory,
        vault: vault.clone(),
        route: if is_current { tenant.route } else { Route::Public },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_key_vault_reads() {
        let json: serde_json::Value = serde_json::from_slice(&parameters(&[0xfb; 3])).unwrap();
        assert_eq!(json, serde_json::json!({"alg": "RSA-OAEP-256", "value": "-_v7"}));
    }
}

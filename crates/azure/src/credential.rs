//! How the application proves itself to customers' directories: one registration per cloud, one proof per token.

mod assertion;
mod managed_identity;

use std::{collections::HashMap, sync::Arc};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{AccessToken, Secret, TokenCredential},
    http::{ClientOptions, RetryOptions},
};
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
};
use keyferry_crypto::{
    id::{Cloud, DirectoryId, VaultHost, VaultKind},
    vault::{VaultCause, VaultError},
};
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::{assertion::Assertion, managed_identity::ManagedIdentity};
use crate::{
    config::{AzureConfig, ClientId, ClientSecret, ConfigError, CredentialConfig},
    failure::ours,
    http::{Http, read},
    wire::EntraWire,
};

/// Whom a token is from, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Audience {
    /// The customer's directory.
    pub(crate) directory: DirectoryId,
    /// The cloud that the directory and the service are in.
    pub(crate) cloud: Cloud,
    /// Each service takes tokens of its own.
    pub(crate) service: Service,
}

/// What a token is shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    /// Key Vaults or Managed HSMs.
    Vaults(VaultKind),
    /// The resource manager.
    Management,
}

impl Audience {
    pub(crate) fn of(directory: DirectoryId, vault: &VaultHost) -> Self {
        Self {
            directory,
            cloud: vault.cloud(),
            service: Service::Vaults(vault.kind()),
        }
    }

    /// The resource manager, on behalf of a directory that resources belong to.
    pub(crate) fn management(directory: DirectoryId, cloud: Cloud) -> Self {
        Self {
            directory,
            cloud,
            service: Service::Management,
        }
    }

    /// The scope to ask for.
    pub(crate) fn scope(self) -> String {
        format!("{}/.default", self.resource())
    }

    /// What the tokens are for. Of a cloud's vaults it is their suffix [B].
    pub(crate) fn resource(self) -> String {
        let host = match self.service {
            Service::Vaults(VaultKind::KeyVault) => self.cloud.vault_suffix(),
            Service::Vaults(VaultKind::ManagedHsm) => self.cloud.managed_hsm_suffix(),
            Service::Management => management_host(self.cloud),
        };
        format!("https://{host}")
    }
}

/// The host of a cloud's resource manager.
pub(crate) fn management_host(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "management.azure.com",
        Cloud::China => "management.chinacloudapi.cn",
        Cloud::UsGovernment => "management.usgovcloudapi.net",
    }
}

/// The host of a cloud's Entra.
pub(crate) fn login_host(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Public => "login.microsoftonline.com",
        Cloud::China => "login.chinacloudapi.cn",
        Cloud::UsGovernment => "login.microsoftonline.us",
    }
}

/// A cloud's Entra.
pub(crate) fn authority(cloud: Cloud) -> String {
    format!("https://{}", login_host(cloud))
}

/// The application's registrations, one per cloud.
#[derive(Debug)]
pub(crate) struct Credentials {
    http: Arc<Http>,
    registrations: HashMap<Cloud, Registration>,
}

#[derive(Debug)]
struct Registration {
    client_id: ClientId,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Secret(ClientSecret),
    SecretFile(std::path::PathBuf),
    Assertion(Assertion),
}

impl Credentials {
    /// Reads every file that is named once, so that a wrong path shows at the start.
    pub(crate) fn new(config: &AzureConfig, http: Arc<Http>) -> Result<Self, ConfigError> {
        let mut registrations = HashMap::new();
        let own = (config.cloud, config.client_id, &config.credential);
        let others = config.other_clouds.iter();
        let all = others.map(|other| (other.cloud, other.client_id, &other.credential));
        for (cloud, client_id, credential) in std::iter::once(own).chain(all) {
            let proof = Proof::new(credential, config)?;
            if registrations.insert(cloud, Registration { client_id, proof }).is_some() {
                return Err(ConfigError::CloudTwice);
            }
        }
        Ok(Self { http, registrations })
    }

    /// Asks Entra for a token; once more if it refuses an assertion that was kept, and another is to be had.
    pub(crate) async fn ask(&self, audience: Audience) -> Result<AccessToken, VaultError> {
        let registration = self.registrations.get(&audience.cloud);
        let registration = registration.ok_or(VaultCause::AppCredentialUnavailable)?;
        let Proof::Assertion(assertion) = &registration.proof else {
            return self.ask_once(registration, audience).await;
        };
        let forgotten = assertion.forgotten();
        match self.ask_once(registration, audience).await {
            Err(error)
                if error.cause() == VaultCause::AppAssertionInvalid && assertion.forget(forgotten, Instant::now()) =>
            {
                self.ask_once(registration, audience).await
            }
            outcome => outcome,
        }
    }

    /// The SDK's credential is made for this one token: its cache would give a rejected token again, and holds callers up
    /// while it refreshes.
    async fn ask_once(&self, registration: &Registration, audience: Audience) -> Result<AccessToken, VaultError> {
        let credential = registration.credential(audience, self.options(audience.cloud)).await?;
        let answer = credential.get_token(&[&audience.scope()], None).await;
        let token = answer.map_err(|error| ours(&error).unwrap_or_else(|| VaultCause::EntraUnavailable.into()))?;
        // The SDK reads a body that holds no token as an empty one.
        if token.token.secret().is_empty() {
            return Err(VaultCause::EntraUnavailable.into());
        }
        Ok(token)
    }

    fn options(&self, cloud: Cloud) -> ClientOptions {
        let mut custom = CustomConfiguration::default();
        custom.authority_host = authority(cloud);
        ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(EntraWire::transport(&self.http)),
            cloud: Some(Arc::new(custom.into())),
            ..ClientOptions::default()
        }
    }
}

impl Registration {
    async fn credential(
        &self,
        audience: Audience,
        client_options: ClientOptions,
    ) -> Result<Arc<dyn TokenCredential>, VaultError> {
        let (directory, client_id) = (audience.directory.0.to_string(), self.client_id.0.to_string());
        let secret = match &self.proof {
            Proof::Secret(secret) => secret.clone(),
            Proof::SecretFile(path) => secret_in(path).map_err(|_| VaultCause::AppCredentialUnavailable)?,
            Proof::Assertion(assertion) => {
                let endpoint = format!("{}/{directory}/oauth2/v2.0/token", authority(audience.cloud));
                let signed = assertion.sign(self.client_id, &endpoint).await?;
                let options = ClientAssertionCredentialOptions { client_options };
                let credential = ClientAssertionCredential::new(directory, client_id, signed, Some(options));
                return Ok(credential.map_err(|_| VaultCause::AppCredentialUnavailable)?);
            }
        };
        let options = ClientSecretCredentialOptions { client_options };
        let secret = Secret::new(secret.expose().to_owned());
        let credential = ClientSecretCredential::new(&directory, client_id, secret, Some(options));
        Ok(credential.map_err(|_| VaultCause::AppCredentialUnavailable)?)
    }
}

impl Proof {
    fn new(config: &CredentialConfig, azure: &AzureConfig) -> Result<Self, ConfigError> {
        Ok(match config {
            CredentialConfig::Secret(secret) => Self::Secret(secret.clone()),
            CredentialConfig::SecretFile(path) => {
                secret_in(path)?;
                Self::SecretFile(path.clone())
            }
            CredentialConfig::Certificate {
                certificate_file,
                key_file,
            } => Self::Assertion(Assertion::certificate(certificate_file, key_file)?),
            CredentialConfig::WorkloadIdentity { token_file } => Self::Assertion(Assertion::file(token_file)?),
            CredentialConfig::ManagedIdentity { identity } => {
                let identity = ManagedIdentity::new(*identity, azure.timeouts)?;
                Self::Assertion(Assertion::ManagedIdentity(identity))
            }
        })
    }
}

fn secret_in(path: &std::path::Path) -> Result<ClientSecret, ConfigError> {
    let bytes = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(ConfigError::Content(path.display().to_string(), "a client secret"));
    }
    Ok(ClientSecret::new(text.to_owned()))
}

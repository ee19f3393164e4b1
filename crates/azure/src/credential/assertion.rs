//! Client assertions: signed with a certificate's key, or an external issuer's token.
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials> and
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    http::{ClientMethodOptions, ClientOptions, RetryOptions, Transport},
};
use azure_identity::{ClientAssertion, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use keyferry_crypto::vault::{VaultCause, VaultError};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    clock,
    config::{ClientId, ConfigError, Timeouts},
    http::{base, read},
};

/// How long an assertion of ours is valid. Entra advises five to ten minutes.
const LIFETIME_SECONDS: i64 = 300;

/// What a federated credential of an application accepts as audience.
const EXCHANGE_SCOPE: &str = "api://AzureADTokenExchange/.default";

/// Where assertions come from.
pub(super) enum Assertion {
    Certificate { certificate: PathBuf, key: PathBuf },
    File(PathBuf),
    ManagedIdentity(Arc<dyn TokenCredential>),
}

/// An assertion, for one token.
pub(super) struct Signed(Zeroizing<String>);

impl Assertion {
    pub(super) fn certificate(certificate: &Path, key: &Path) -> Result<Self, ConfigError> {
        thumbprint(certificate)?;
        signing_key(key)?;
        Ok(Self::Certificate {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    pub(super) fn file(path: &Path) -> Result<Self, ConfigError> {
        token_in(path)?;
        Ok(Self::File(path.to_owned()))
    }

    /// The managed identity is asked over plain HTTP on a link-local address, so by a client of its own.
    pub(super) fn managed_identity(identity: Option<ClientId>, timeouts: Timeouts) -> Result<Self, ConfigError> {
        let client = base(timeouts).build().map_err(ConfigError::Client)?;
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: identity.map(|id| UserAssignedId::ClientId(id.0.to_string())),
            client_options: ClientOptions {
                retry: RetryOptions::none(),
                transport: Some(Transport::new(Arc::new(client))),
                ..ClientOptions::default()
            },
        };
        let credential = ManagedIdentityCredential::new(Some(options)).map_err(|_| ConfigError::ManagedIdentity)?;
        Ok(Self::ManagedIdentity(credential))
    }

    /// An assertion for the application, to be shown at `endpoint`.
    pub(super) async fn sign(&self, client_id: ClientId, endpoint: &str) -> Result<Signed, VaultError> {
        let unavailable = || VaultError::from(VaultCause::AppCredentialUnavailable);
        let text = match self {
            Self::Certificate { certificate, key } => {
                let thumbprint = thumbprint(certificate).map_err(|_| unavailable())?;
                let key = signing_key(key).map_err(|_| unavailable())?;
                Zeroizing::new(signed(client_id, endpoint, thumbprint, &key).map_err(|_| unavailable())?)
            }
            Self::File(path) => token_in(path).map_err(|_| unavailable())?,
            Self::ManagedIdentity(identity) => {
                let token = identity.get_token(&[EXCHANGE_SCOPE], None).await;
                Zeroizing::new(token.map_err(|_| unavailable())?.token.secret().to_owned())
            }
        };
        Ok(Signed(text))
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: ClientId,
    sub: ClientId,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

fn signed(
    client_id: ClientId,
    endpoint: &str,
    thumbprint: String,
    key: &EncodingKey,
) -> Result<String, jsonwebtoken::errors::Error> {
    let now = clock::now().unix_timestamp();
    let header = Header {
        x5t_s256: Some(thumbprint),
        ..Header::new(Algorithm::PS256)
    };
    let claims = Claims {
        aud: endpoint,
        iss: client_id,
        sub: client_id,
        jti: Uuid::new_v4(),
        iat: now,
        nbf: now,
        exp: now + LIFETIME_SECONDS,
    };
    encode(&header, &claims, key)
}

/// `x5t#S256` (RFC 7515 §4.1.8): how Entra finds the certificate.
fn thumbprint(certificate: &Path) -> Result<String, ConfigError> {
    let der = CertificateDer::from_pem_slice(&read(certificate)?)
        .map_err(|_| ConfigError::Content(certificate.display().to_string(), "a PEM certificate"))?;
    Ok(URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(&der)))
}

fn signing_key(path: &Path) -> Result<EncodingKey, ConfigError> {
    let pem = Zeroizing::new(read(path)?);
    EncodingKey::from_rsa_pem(&pem)
        .map_err(|_| ConfigError::Content(path.display().to_string(), "a PEM RSA private key"))
}

fn token_in(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let bytes = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if text.split('.').count() != 3 {
        return Err(ConfigError::Content(path.display().to_string(), "a JWT"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[async_trait]
impl ClientAssertion for Signed {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.to_string())
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed(…)")
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate { .. } => "Certificate",
            Self::File(_) => "File",
            Self::ManagedIdentity(_) => "ManagedIdentity",
        })
    }
}

//! Client assertions: signed with a certificate's key, or an external issuer's token.
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials> and
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>

use std::{
    fmt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use keyferry_crypto::vault::{VaultCause, VaultError};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::managed_identity::ManagedIdentity;
use crate::{
    clock,
    config::{ClientId, ConfigError},
    http::read,
};

/// How long an assertion of ours is valid. Entra advises five to ten minutes.
const LIFETIME_SECONDS: i64 = 300;

/// Where assertions come from.
pub(super) enum Assertion {
    Certificate { certificate: PathBuf, key: PathBuf },
    File(PathBuf),
    ManagedIdentity(ManagedIdentity),
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
            Self::ManagedIdentity(identity) => identity.token().await?,
        };
        Ok(Signed(text))
    }

    /// How many assertions that are kept were forgotten so far.
    pub(super) fn forgotten(&self) -> u64 {
        match self {
            Self::ManagedIdentity(identity) => identity.forgotten(),
            Self::Certificate { .. } | Self::File(_) => 0,
        }
    }

    /// Forgets one that Entra refused, if it is kept. Whether another is to be had at once; where every assertion is signed
    /// or read anew, the next one would be refused like this one.
    pub(super) fn forget(&self, forgotten: u64, now: Instant) -> bool {
        match self {
            Self::ManagedIdentity(identity) => identity.forget(forgotten, now),
            Self::Certificate { .. } | Self::File(_) => false,
        }
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

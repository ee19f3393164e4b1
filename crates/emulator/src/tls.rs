//! Our own certificate authority, and a leaf for whatever host a client names (SNI), made on demand.

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use time::Duration;

use crate::encoding::now;

/// A certificate authority, as kept between runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Authority {
    certificate_pem: String,
    key_pem: String,
}

impl Authority {
    /// Makes a new one, valid for ten years.
    pub(crate) fn generate() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(
            DnType::CommonName,
            "Keyferry emulator: never trust this outside of tests",
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params.not_before = now() - Duration::DAY;
        params.not_after = now() + Duration::days(3650);
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate_pem: params.self_signed(&key)?.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// The CA's certificate, for clients to trust.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }
}

/// Certificates by host name.
pub(crate) struct Certificates {
    issuer: Issuer<'static, KeyPair>,
    leaves: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    expired: Mutex<HashSet<String>>,
}

impl Certificates {
    pub(crate) fn new(authority: &Authority) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(&authority.certificate_pem, KeyPair::from_pem(&authority.key_pem)?)?;
        Ok(Self {
            issuer,
            leaves: Mutex::default(),
            expired: Mutex::default(),
        })
    }

    /// From now on presents an expired certificate for `host`, or again a valid one.
    pub(crate) fn set_expired(&self, host: &str, expired: bool) {
        let mut hosts = self.expired.lock().unwrap_or_else(PoisonError::into_inner);
        if expired {
            hosts.insert(host.to_owned());
        } else {
            hosts.remove(host);
        }
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    /// The server side of TLS: HTTP/2 and HTTP/1.1, as the client prefers.
    pub(crate) fn server_config(self: &Arc<Self>) -> io::Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn leaf(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(host) {
            return Some(Arc::clone(leaf));
        }
        let expired = self
            .expired
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(host);
        let leaf = Arc::new(self.issue(host, expired).ok()?);
        leaves.insert(host.to_owned(), Arc::clone(&leaf));
        Some(leaf)
    }

    fn issue(&self, host: &str, expired: bool) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, host);
        params.use_authority_key_identifier_extension = true;
        params.not_before = now() - Duration::days(90);
        params.not_after = if expired {
            now() - Duration::DAY
        } else {
            now() + Duration::days(365)
        };
        let key = KeyPair::generate()?;
        let certificate: CertificateDer<'static> = params.signed_by(&key, &self.issuer)?.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(CertifiedKey::new(
            vec![certificate],
            aws_lc_rs::sign::any_supported_type(&key)?,
        ))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf(hello.server_name()?)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

//! One HTTPS client for all customers: the configured roots, our own resolver, no redirects, no proxy, no second guesses.

use std::{fs, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use reqwest::{
    Certificate, Client, ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::{
    config::{AzureConfig, ConfigError, Timeouts},
    failure::NoSuchHost,
    overrides::Overrides,
};

/// The client, made anew when an override changes: connections to where a host was are not used again.
#[derive(Debug)]
pub(crate) struct Http {
    roots: Vec<Certificate>,
    timeouts: Timeouts,
    overrides: Arc<Overrides>,
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    changes: u64,
    client: Client,
}

impl Http {
    pub(crate) fn new(config: &AzureConfig, overrides: Arc<Overrides>) -> Result<Self, ConfigError> {
        let roots = roots(config)?;
        let current = Current::build(&roots, config.timeouts, &overrides).map_err(ConfigError::Client)?;
        Ok(Self {
            roots,
            timeouts: config.timeouts,
            overrides,
            current: ArcSwap::from_pointee(current),
        })
    }

    /// The client for the next request.
    pub(crate) fn client(&self) -> Result<Client, reqwest::Error> {
        let current = self.current.load();
        if current.changes == self.overrides.changes() {
            return Ok(current.client.clone());
        }
        let fresh = Current::build(&self.roots, self.timeouts, &self.overrides)?;
        let client = fresh.client.clone();
        self.current.store(Arc::new(fresh));
        Ok(client)
    }

    /// Where hosts really are.
    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
    }
}

impl Current {
    fn build(roots: &[Certificate], timeouts: Timeouts, overrides: &Arc<Overrides>) -> Result<Self, reqwest::Error> {
        // Read before the client is made: a change in between makes one client too many, never one too few.
        let changes = overrides.changes();
        let client = base(timeouts)
            .https_only(true)
            .tls_certs_merge(roots.iter().cloned())
            .dns_resolver(Resolver(Arc::clone(overrides)))
            // A peer that went away without a word is noticed on the shared connection, not once per request on it.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self { changes, client })
    }
}

/// What every client of ours is: a custom client inherits none of the SDK's own settings.
pub(crate) fn base(timeouts: Timeouts) -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .no_gzip()
        .no_deflate()
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.per_try)
}

fn roots(config: &AzureConfig) -> Result<Vec<Certificate>, ConfigError> {
    let mut roots = Vec::new();
    if let Some(path) = &config.extra_roots_file {
        roots.extend(certificates(&read(path)?, &path.display().to_string())?);
    }
    if let Some(pem) = &config.extra_roots_pem {
        roots.extend(certificates(pem.as_bytes(), "extra_roots_pem")?);
    }
    Ok(roots)
}

fn certificates(pem: &[u8], name: &str) -> Result<Vec<Certificate>, ConfigError> {
    let not_pem = || ConfigError::Content(name.to_owned(), "PEM certificates");
    let ders: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| not_pem())?;
    if ders.is_empty() {
        return Err(not_pem());
    }
    let certificates = ders.iter().map(|der| Certificate::from_der(der).map_err(|_| not_pem()));
    certificates.collect()
}

/// Reads a file that the configuration names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::File {
        path: path.to_owned(),
        source,
    })
}

/// Overrides, then the operating system's resolver. `getaddrinfo` is called for its error codes, which the standard
/// library's resolver hides: a name that does not exist is the customer's word, one that cannot be looked up now is nobody's.
struct Resolver(Arc<Overrides>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        if let Some(address) = self.0.find(name.as_str()) {
            let addresses: Addrs = Box::new(std::iter::once(address));
            return Box::pin(std::future::ready(Ok(addresses)));
        }
        Box::pin(async move {
            let looked_up = tokio::task::spawn_blocking(move || look_up(name.as_str()));
            looked_up.await?
        })
    }
}

fn look_up(host: &str) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| match error.kind() {
        LookupErrorKind::NoName => NoSuchHost.into(),
        _ => Box::<dyn std::error::Error + Send + Sync>::from(std::io::Error::from(error)),
    })?;
    let addresses: Vec<_> = found.filter_map(Result::ok).map(|found| found.sockaddr).collect();
    Ok(Box::new(addresses.into_iter()))
}

//! HTTPS for all customers: the configured roots, our own resolver, no redirects, no proxy, no second guesses.
//!
//! A client keeps connections by host name, whatever the address. So a host whose override changed is served by another
//! client, to which it has no connections yet, and all others keep theirs. There is one client for each number of changes
//! that a host can have seen: one or two, until a host's override changes again. And there is one for each private endpoint,
//! which knows no other address: what goes to a private endpoint never finds a connection that leads elsewhere, nor the other
//! way round.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    num::NonZero,
    path::Path,
    sync::Arc,
    time::Duration,
};

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use keyferry_crypto::{tenant::Route, vault::VaultCause};
use moka::{policy::EvictionPolicy, sync::Cache};
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

/// Clients that are kept at most. One that gave way is made anew for whoever still wants it.
const MAX_CLIENTS: u64 = 100;

/// Clients for private endpoints that are kept at most: as many as a virtual network can have endpoints. Some 100 KiB each.
const MAX_ENDPOINTS: u64 = 1_000;

/// The port of vaults, at a private endpoint too.
pub(crate) const HTTPS: NonZero<u16> = NonZero::new(443).unwrap();

/// The clients.
#[derive(Debug)]
pub(crate) struct Http {
    roots: Vec<Certificate>,
    timeouts: Timeouts,
    overrides: Arc<Overrides>,
    by_changes: Cache<u64, Arc<Client>>,
    /// By the vault's host and the endpoint's address.
    by_endpoint: Cache<(String, IpAddr), Arc<Client>>,
    endpoint_port: NonZero<u16>,
}

impl Http {
    pub(crate) fn new(config: &AzureConfig, overrides: Arc<Overrides>) -> Result<Self, ConfigError> {
        let http = Self {
            roots: roots(config)?,
            timeouts: config.timeouts,
            overrides,
            by_changes: Cache::builder()
                .max_capacity(MAX_CLIENTS)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            by_endpoint: Cache::builder()
                .max_capacity(MAX_ENDPOINTS)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            endpoint_port: config.private_endpoints.as_ref().map_or(HTTPS, |own| own.port),
        };
        // The one for hosts without an override, which shows at the start if none can be made.
        http.by_changes
            .insert(0, Arc::new(http.client().map_err(ConfigError::Client)?));
        Ok(http)
    }

    /// The client for the next request to `host`, which goes the given way or nowhere. However many want one that is not
    /// there, it is made once.
    pub(crate) fn client_for(&self, host: &str, route: Route) -> Result<Arc<Client>, VaultCause> {
        let made = match route {
            Route::Public => {
                let make = || self.client().map(Arc::new);
                self.by_changes.try_get_with(self.overrides.changes(host), make)
            }
            Route::Private(address) => {
                let make = || self.endpoint_client(host, address).map(Arc::new);
                self.by_endpoint.try_get_with((host.to_owned(), address), make)
            }
            Route::Closed => return Err(VaultCause::PrivateEndpointClosed),
        };
        made.map_err(|_| VaultCause::ConnectionFailed)
    }

    /// Drops the connections to a private endpoint. Those over the public network are in clients that serve many vaults, and end
    /// by themselves when they are idle.
    pub(crate) fn forget(&self, host: &str, route: Route) {
        if let Route::Private(address) = route {
            self.by_endpoint.invalidate(&(host.to_owned(), address));
        }
    }

    /// A new client. Its new connections follow the overrides.
    pub(crate) fn client(&self) -> Result<Client, reqwest::Error> {
        self.client_with(Resolver(Arc::clone(&self.overrides)))
    }

    /// A new client for a private endpoint. Overrides and DNS do not concern it.
    fn endpoint_client(&self, host: &str, address: IpAddr) -> Result<Client, reqwest::Error> {
        self.client_with(OneHost {
            host: host.to_owned(),
            address: SocketAddr::new(address, self.endpoint_port.get()),
        })
    }

    fn client_with(&self, resolver: impl Resolve + 'static) -> Result<Client, reqwest::Error> {
        base(self.timeouts)
            .https_only(true)
            .tls_certs_merge(self.roots.iter().cloned())
            .dns_resolver(resolver)
            // A peer that went away without a word is noticed on the shared connection, not once per request on it.
            .http2_keep_alive_interval(Duration::from_secs(10))
            .http2_keep_alive_timeout(Duration::from_secs(5))
            .build()
    }

    /// Where hosts really are.
    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
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
/// library's resolver hides: a name that does not exist is told from one that cannot be looked up now.
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

/// One host at one address, and nothing else anywhere.
struct OneHost {
    host: String,
    address: SocketAddr,
}

impl Resolve for OneHost {
    fn resolve(&self, name: Name) -> Resolving {
        let found: Result<Addrs, _> = if name.as_str() == self.host {
            Ok(Box::new(std::iter::once(self.address)))
        } else {
            Err(NoSuchHost.into())
        };
        Box::pin(std::future::ready(found))
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

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use uuid::Uuid;

    use super::*;
    use crate::{
        config::{ClientId, CredentialConfig},
        failure::of_transport,
    };

    fn http() -> Http {
        let credential = CredentialConfig::ManagedIdentity { identity: None };
        let config = AzureConfig::new(ClientId(Uuid::nil()), credential);
        Http::new(&config, Arc::default()).unwrap()
    }

    /// `.invalid` has no names (RFC 6761 §6.4). A machine without DNS cannot know: it says so, and so do we.
    #[tokio::test]
    async fn a_name_that_does_not_exist_is_known_for_that_through_resolver_and_client() {
        let host = "keyferry.invalid";
        let expected = match getaddrinfo(Some(host), None, None)
            .map(drop)
            .map_err(|error| error.kind())
        {
            Err(LookupErrorKind::NoName) => VaultCause::VaultNotFound,
            Err(_) => VaultCause::ConnectionFailed,
            Ok(()) => panic!("{host} is somewhere"),
        };
        let sent = http()
            .client_for(host, Route::Public)
            .unwrap()
            .get(format!("https://{host}/"))
            .send();
        assert_eq!(of_transport(&sent.await.unwrap_err()), expected);
    }

    #[test]
    fn a_host_whose_override_changed_gets_another_client_and_no_other_host_does() {
        let http = http();
        let client = |host| http.client_for(host, Route::Public).unwrap();
        let (acme, other) = (client("acme.vault.azure.net"), client("other.vault.azure.net"));
        for port in [1, 2] {
            let before = client("acme.vault.azure.net");
            let address = ([127, 0, 0, 1], port).into();
            http.overrides().set("acme.vault.azure.net", address).unwrap();
            assert!(!Arc::ptr_eq(&before, &client("acme.vault.azure.net")));
            assert!(Arc::ptr_eq(&other, &client("other.vault.azure.net")));
        }
        http.overrides().remove("acme.vault.azure.net");
        assert!(
            !Arc::ptr_eq(&acme, &client("acme.vault.azure.net")),
            "the first may have connections to where it was"
        );
    }

    #[test]
    fn a_client_is_made_once_however_many_want_it_at_once() {
        let (http, ready) = (http(), Barrier::new(4));
        http.overrides().set("azure.net", ([127, 0, 0, 1], 1).into()).unwrap();
        let clients: Vec<_> = std::thread::scope(|threads| {
            let want = |_| {
                threads.spawn(|| {
                    ready.wait();
                    http.client_for("acme.vault.azure.net", Route::Public).unwrap()
                })
            };
            let wanted: Vec<_> = (0..4).map(want).collect();
            wanted.into_iter().map(|client| client.join().unwrap()).collect()
        });
        assert!(clients.iter().all(|client| Arc::ptr_eq(client, &clients[0])));
    }

    #[test]
    fn each_private_endpoint_has_a_client_of_its_own_that_overrides_do_not_concern() {
        let (http, host) = (http(), "acme.vault.azure.net");
        let at = |host, last| http.client_for(host, Route::Private([10, 1, 0, last].into())).unwrap();
        let (public, first) = (http.client_for(host, Route::Public).unwrap(), at(host, 4));
        assert!(!Arc::ptr_eq(&public, &first));
        assert!(!Arc::ptr_eq(&first, &at(host, 5)), "another address");
        assert!(!Arc::ptr_eq(&first, &at("other.vault.azure.net", 4)), "another vault");
        http.overrides().set(host, ([127, 0, 0, 1], 1).into()).unwrap();
        assert!(Arc::ptr_eq(&first, &at(host, 4)));
    }

    #[test]
    fn a_private_endpoint_that_was_forgotten_is_connected_to_anew_and_no_other_is() {
        let (http, host) = (http(), "acme.vault.azure.net");
        let at = |last| Route::Private([10, 1, 0, last].into());
        let client = |route| http.client_for(host, route).unwrap();
        let (public, first, second) = (client(Route::Public), client(at(4)), client(at(5)));
        http.forget(host, at(4));
        http.forget(host, Route::Public);
        assert!(!Arc::ptr_eq(&first, &client(at(4))));
        assert!(Arc::ptr_eq(&second, &client(at(5))));
        assert!(Arc::ptr_eq(&public, &client(Route::Public)));
    }

    #[test]
    fn where_the_way_is_closed_there_is_no_client() {
        let refused = http().client_for("acme.vault.azure.net", Route::Closed);
        assert_eq!(refused.unwrap_err(), VaultCause::PrivateEndpointClosed);
    }

    #[tokio::test]
    async fn a_private_endpoints_client_knows_no_other_host() {
        let client = http().client_for("acme.vault.azure.net", Route::Private([127, 0, 0, 1].into()));
        let sent = client.unwrap().get("https://other.vault.azure.net/").send().await;
        assert_eq!(of_transport(&sent.unwrap_err()), VaultCause::VaultNotFound);
    }
}

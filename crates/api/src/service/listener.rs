//! A listening socket: plain HTTP or TLS, HTTP/1.1 and HTTP/2.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{
    Control, Handle, Server,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{net::TcpSocket, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{StartError, connection::ConnectionLimits};
use crate::config::{HttpConfig, TlsConfig};

/// A bound socket, not yet served.
pub(super) struct Listener {
    addr: SocketAddr,
    socket: tokio::net::TcpListener,
    tls: Option<(RustlsConfig, TlsConfig)>,
    header_timeout: Duration,
    idle_timeout: Duration,
}

impl Listener {
    /// Binds an address, with TLS if configured.
    pub(super) async fn bind(addr: SocketAddr, config: &HttpConfig) -> Result<Self, StartError> {
        let mut listener = Self::bind_plain(addr, config)?;
        if let Some(tls) = &config.tls {
            let loaded = load(tls).await.map_err(StartError::Tls)?;
            listener.tls = Some((RustlsConfig::from_config(loaded), tls.clone()));
        }
        Ok(listener)
    }

    /// Binds an address without TLS.
    pub(super) fn bind_plain(addr: SocketAddr, config: &HttpConfig) -> Result<Self, StartError> {
        let socket = listen(addr).map_err(|source| StartError::Listen { addr, source })?;
        let addr = socket
            .local_addr()
            .map_err(|source| StartError::Listen { addr, source })?;
        Ok(Self {
            addr,
            socket,
            tls: None,
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
        })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves `router` in a task of its own until `servers` is told to stop.
    ///
    /// A connection's first head must arrive within the header timeout. For a later one the library counts from the answer
    /// before it, so it may take the idle time more: a caller who sends slowly gains nothing over one who sends nothing.
    pub(super) fn serve(
        self,
        router: Router,
        limits: ConnectionLimits,
        servers: &Control,
        listeners: &mut JoinSet<&'static str>,
        background: &mut JoinSet<&'static str>,
        cancel: &CancellationToken,
    ) {
        let mut server = Server::<SocketAddr>::from_listener(self.socket)
            .handle(Handle::with_control(servers.clone()))
            .first_request_timeout(self.header_timeout)
            .accept_error_handler(|_, error| tracing::debug!(%error, "a connection was not accepted"));
        let http = server.http_builder();
        http.http1()
            .header_read_timeout(self.idle_timeout + self.header_timeout)
            .max_buf_size(MAX_HEAD);
        http.http2()
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADERS);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        match self.tls {
            None => {
                let acceptor = limits.on(NoDelayAcceptor::new());
                listeners.spawn(async move { ended(server.acceptor(acceptor).serve(service).await) });
            }
            Some((tls, files)) => {
                let acceptor = limits.on(RustlsAcceptor::new(tls.clone()).acceptor(NoDelayAcceptor::new()));
                listeners.spawn(async move { ended(server.acceptor(acceptor).serve(service).await) });
                let cancel = cancel.clone();
                background.spawn(async move {
                    cancel.run_until_cancelled(keep_current(&tls, &files)).await;
                    "the watch over the certificate"
                });
            }
        }
    }
}

fn ended(result: io::Result<()>) -> &'static str {
    if let Err(error) = result {
        tracing::error!(%error, "a listener failed");
    }
    "a listener"
}

fn listen(addr: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Reads the certificate again now and then, since certificates are renewed under a running service.
async fn keep_current(served: &RustlsConfig, files: &TlsConfig) {
    loop {
        tokio::time::sleep(RELOAD_EVERY).await;
        match load(files).await {
            Ok(current) => served.reload_from_config(current),
            Err(error) => tracing::warn!(%error, "the certificate cannot be read again; the one at hand stays in use"),
        }
    }
}

/// Reads a certificate and its key.
pub(super) async fn load(files: &TlsConfig) -> Result<Arc<ServerConfig>, String> {
    let (certificate, key) = (read(&files.certificate_file).await?, read(&files.key_file).await?);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| format!("{} is not PEM", files.certificate_file.display()))?;
    let key =
        PrivateKeyDer::from_pem_slice(&key).map_err(|_| format!("{} holds no key in PEM", files.key_file.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

async fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(zeroize::Zeroizing::new(bytes))
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// The longest head of an HTTP/1.1 request, in bytes; also the server's read buffer.
const MAX_HEAD: usize = 128 << 10;
/// The longest list of headers of an HTTP/2 request, in bytes.
const MAX_HEADERS: u32 = 64 << 10;
/// Concurrent requests on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
const RELOAD_EVERY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;

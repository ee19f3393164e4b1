//! A certificate is renewed under a running service.

use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// A certificate's files, as whatever renews it writes them.
struct Files(TempDir);

impl Files {
    fn paths(&self) -> TlsConfig {
        TlsConfig {
            certificate_file: self.0.path().join("certificate"),
            key_file: self.0.path().join("key"),
        }
    }

    /// Writes another certificate, and answers it.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.paths().certificate_file, made.cert.pem()).unwrap();
        std::fs::write(self.paths().key_file, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }
}

/// Whether who trusts that certificate alone can connect.
async fn is_served(served: &RustlsConfig, certificate: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
    let (here, there) = tokio::io::duplex(1 << 16);
    let connecting = TlsConnector::from(Arc::new(client)).connect("localhost".try_into().unwrap(), here);
    let accepting = TlsAcceptor::from(served.get_inner()).accept(there);
    let (connected, _) = tokio::join!(connecting, accepting);
    connected.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_never() {
    let files = Files(tempfile::tempdir().unwrap());
    let first = files.renew();
    let served = RustlsConfig::from_config(load(&files.paths()).await.unwrap());
    let (kept, paths) = (served.clone(), files.paths());
    let _keeping = tokio::spawn(async move { keep_current(&kept, &paths).await });
    assert!(is_served(&served, &first).await);

    let second = files.renew();
    // The clock is the test's: it stands still while a file is read, and nobody waits.
    tokio::time::sleep(RELOAD_EVERY * 2).await;
    assert!(is_served(&served, &second).await);
    assert!(!is_served(&served, &first).await);

    std::fs::write(files.paths().key_file, "garbage").unwrap();
    tokio::time::sleep(RELOAD_EVERY * 2).await;
    assert!(is_served(&served, &second).await);
}

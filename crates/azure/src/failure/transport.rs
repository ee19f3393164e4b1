//! Why there was no answer, told from the chain of errors beneath a failed exchange: reqwest's, hyper's, rustls', the
//! operating system's, our own resolver's.

use std::{error::Error, io};

use keyferry_crypto::vault::VaultCause;

use super::find;

/// The name is known not to exist. What the resolver answers only when it is certain.
#[derive(Debug, thiserror::Error)]
#[error("there is no such host")]
pub(crate) struct NoSuchHost;

/// The cause of a failed exchange.
pub(crate) fn of_transport(error: &(dyn Error + 'static)) -> VaultCause {
    match deepest(error) {
        Some(cause) => cause,
        None if find::<reqwest::Error>(error).is_some_and(reqwest::Error::is_timeout) => VaultCause::Timeout,
        None => VaultCause::ConnectionFailed,
    }
}

/// Looks at every link. An `io::Error` hides what it carries from `source()`, so it is opened: hyper and tokio-rustls hand
/// rustls' errors up inside of one.
fn deepest(error: &(dyn Error + 'static)) -> Option<VaultCause> {
    let own = if error.is::<NoSuchHost>() {
        Some(VaultCause::VaultNotFound)
    } else if let Some(error) = error.downcast_ref::<rustls::Error>() {
        of_tls(error)
    } else if let Some(error) = error.downcast_ref::<io::Error>() {
        of_io(error)
    } else {
        None
    };
    own.or_else(|| deepest(error.source()?))
}

fn of_io(error: &io::Error) -> Option<VaultCause> {
    if error.kind() == io::ErrorKind::TimedOut {
        return Some(VaultCause::Timeout);
    }
    let carried: &(dyn Error + Send + Sync + 'static) = error.get_ref()?;
    deepest(carried)
}

/// Other errors of TLS than the certificate's are a connection that failed.
fn of_tls(error: &rustls::Error) -> Option<VaultCause> {
    let certificate = matches!(
        error,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType
    );
    certificate.then_some(VaultCause::CertificateInvalid)
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer<E: Error + 'static>(#[source] E);

    fn cause(error: impl Error + 'static) -> VaultCause {
        of_transport(&Outer(Outer(error)))
    }

    #[test]
    fn a_bad_certificate_is_found_inside_io_errors() {
        let expired = || rustls::Error::InvalidCertificate(CertificateError::Expired);
        assert_eq!(cause(expired()), VaultCause::CertificateInvalid);
        assert_eq!(cause(io::Error::other(expired())), VaultCause::CertificateInvalid);
        let twice = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, expired()));
        assert_eq!(cause(twice), VaultCause::CertificateInvalid);
        let name = rustls::Error::InvalidCertificate(CertificateError::NotValidForName);
        assert_eq!(cause(io::Error::other(name)), VaultCause::CertificateInvalid);
    }

    #[test]
    fn other_tls_errors_are_a_connection_that_failed() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        assert_eq!(cause(io::Error::other(alert)), VaultCause::ConnectionFailed);
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_one_that_does_not_resolve_now() {
        assert_eq!(cause(NoSuchHost), VaultCause::VaultNotFound);
        assert_eq!(cause(io::Error::other(NoSuchHost)), VaultCause::VaultNotFound);
        assert_eq!(
            cause(io::Error::other("temporary failure")),
            VaultCause::ConnectionFailed
        );
    }

    #[test]
    fn connections_that_break_and_time_that_runs_out_are_told_apart() {
        for kind in [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::HostUnreachable,
        ] {
            assert_eq!(cause(io::Error::from(kind)), VaultCause::ConnectionFailed);
        }
        assert_eq!(cause(io::Error::from(io::ErrorKind::TimedOut)), VaultCause::Timeout);
    }
}

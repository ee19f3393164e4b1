//! What a vault does is logged when it changes, as loud as whose move it is; the same again only for who looks closely.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use keyferry_crypto::vault::VaultCause;
use tokio::time::advance;
use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, NoSubscriber},
};

use crate::fake::{MINUTE, SECOND, cause, made_up, open, replica, seal, start, tenant, tenant_with};

/// What is logged on this thread, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

/// Alive as long as the tests are. While a log's subscriber is the only one, the library decides once and for all whether an
/// event is wanted by asking the thread that meets it first, which may be another test's.
static ANOTHER_SUBSCRIBER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

impl Log {
    fn kept() -> (Self, DefaultGuard) {
        LazyLock::force(&ANOTHER_SUBSCRIBER);
        let log = Self::default();
        let lines = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || lines.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// How many lines there are of that level that have this text.
    fn count(&self, level: &str, text: &str) -> usize {
        let log = self.0.lock().unwrap();
        let lines = str::from_utf8(&log).unwrap().lines();
        let of_ours = lines.filter(|line| line.contains(" keyferry_crypto::"));
        of_ours
            .filter(|line| line.trim_start().starts_with(level) && line.contains(text))
            .count()
    }

    /// Lines that whoever runs the service sees unless it asks for more.
    fn loud(&self) -> usize {
        ["ERROR", "WARN", "INFO"]
            .into_iter()
            .map(|level| self.count(level, ""))
            .sum()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_once_as_loud_as_whose_move_it_is() {
    for (failure, level) in [
        (VaultCause::KeyDisabled, "INFO"),
        (VaultCause::ConsentMissing, "INFO"),
        (VaultCause::Timeout, "WARN"),
        (VaultCause::Throttled, "WARN"),
        (VaultCause::AppSecretExpired, "ERROR"),
        (VaultCause::TokenRejected, "ERROR"),
    ] {
        let (log, _guard) = Log::kept();
        let (vault, sealer) = start();
        vault.fails(failure);
        for _ in 0..20 {
            // Longer than a refusal is remembered: each is a call.
            advance(SECOND * 11).await;
            assert_eq!(cause(seal(&sealer, &tenant()).await), Some(failure));
        }
        assert_eq!(vault.wraps(), 20);
        let text = format!("cause={failure:?}");
        assert_eq!(log.count(level, &text), 1, "{failure:?}");
        assert_eq!(log.loud(), 1, "{failure:?}");
        assert!(log.count("DEBUG", &text) >= 19, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_cause_is_news_and_so_is_the_end_of_it() {
    let (log, _guard) = Log::kept();
    let (vault, sealer) = start();
    for (failure, loud) in [
        (Some(VaultCause::Timeout), 1),
        (Some(VaultCause::KeyDisabled), 2),
        (None, 3),
        (None, 3),
    ] {
        vault.fails(failure);
        advance(SECOND * 6).await;
        sealer.evict(tenant().tenant);
        assert_eq!(cause(seal(&sealer, &tenant()).await), failure);
        assert_eq!(log.loud(), loud, "{failure:?}");
    }
    assert_eq!(log.count("INFO", "serves again"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_comes_and_goes_is_told_once_a_minute() {
    let (log, _guard) = Log::kept();
    let (vault, sealer) = start();
    let uncached = tenant_with(|policy| policy.lease_max_messages = 1);
    for _ in 0..20 {
        for failure in [Some(VaultCause::Throttled), Some(VaultCause::VaultFailed), None] {
            vault.fails(failure);
            advance(SECOND).await;
            assert_eq!(cause(seal(&sealer, &uncached).await), failure);
        }
    }
    assert_eq!(vault.wraps(), 60, "in a minute");
    assert_eq!((log.count("WARN", ""), log.count("INFO", "serves again")), (2, 1));
    advance(MINUTE).await;
    vault.fails(VaultCause::Throttled);
    assert!(seal(&sealer, &uncached).await.is_err());
    assert_eq!(log.count("WARN", "Throttled"), 2);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_do_not_unwrap_are_no_trouble_with_the_vault() {
    let (log, _guard) = Log::kept();
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    vault.fails(VaultCause::WrappedKeyInvalid);
    let failed = open(&replica(&vault), &tenant(), &sealed).await;
    assert_eq!(cause(failed), Some(VaultCause::WrappedKeyInvalid));
    assert_eq!((log.loud(), log.count("DEBUG", "WrappedKeyInvalid")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_makes_up_versions_fills_no_log() {
    for failure in [
        None,
        Some(VaultCause::KeyNotFound),
        Some(VaultCause::RoleMissing),
        Some(VaultCause::FirewallDenied),
        Some(VaultCause::ConsentMissing),
        Some(VaultCause::Throttled),
        Some(VaultCause::AppSecretExpired),
    ] {
        let (log, _guard) = Log::kept();
        let (vault, sealer) = start();
        let sealed = seal(&replica(&vault), &tenant()).await.unwrap();
        vault.fails(failure);
        for number in 0..50 {
            advance(SECOND).await;
            assert!(open(&sealer, &tenant(), &made_up(&sealed, number)).await.is_err());
        }
        assert!(log.count("DEBUG", "did not do as asked") >= 49, "{failure:?}");
        assert_eq!(log.loud(), 1, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_tenants_trouble_is_its_own() {
    let (log, _guard) = Log::kept();
    let (vault, sealer) = start();
    vault.fails(VaultCause::Timeout);
    for number in [1, 2, 3, 1, 2, 3] {
        let mut tenant = tenant();
        tenant.tenant = keyferry_crypto::id::TenantId(uuid::Uuid::from_u128(number));
        assert!(seal(&sealer, &tenant).await.is_err());
    }
    assert_eq!(log.count("WARN", "Timeout"), 3);
}

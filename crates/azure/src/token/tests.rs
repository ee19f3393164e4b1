use std::sync::atomic::{AtomicU64, Ordering};

use azure_core::credentials::Secret;
use keyferry_crypto::id::{Cloud, DirectoryId, VaultKind};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use super::*;

/// A directory that counts, waits to be let, and fails when told to.
#[derive(Debug)]
struct Script {
    asked: AtomicU64,
    gate: Semaphore,
    arrived: Notify,
    life: Duration,
    fails_with: Mutex<Option<VaultCause>>,
}

#[async_trait]
impl Source for Script {
    async fn ask(&self, _: Audience) -> Result<AccessToken, VaultError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.arrived.notify_one();
        self.gate.acquire().await.unwrap().forget();
        if let Some(cause) = *self.fails_with.lock().unwrap() {
            return Err(cause.into());
        }
        Ok(AccessToken::new(
            Secret::new(format!("token {number}")),
            clock::now() + self.life,
        ))
    }
}

impl Script {
    fn new(life: Duration) -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicU64::new(0),
            gate: Semaphore::new(0),
            arrived: Notify::new(),
            life,
            fails_with: Mutex::new(None),
        })
    }

    fn fail(&self, cause: Option<VaultCause>) {
        *self.fails_with.lock().unwrap() = cause;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

const HOUR: Duration = Duration::from_hours(1);

fn audience() -> Audience {
    Audience {
        directory: DirectoryId(Uuid::from_u128(1)),
        cloud: Cloud::Public,
        kind: VaultKind::KeyVault,
    }
}

fn text(held: &Held) -> &str {
    held.token.token.secret()
}

/// Turns the clock and lets tasks that it woke run.
async fn pass(time: Duration) {
    tokio::time::advance(time).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_wait_one_token_is_asked_for() {
    let script = Script::new(HOUR);
    let tokens = Tokens::new(Arc::clone(&script) as _, HOUR);
    let waiting = futures::future::join_all((0..100).map(|_| tokens.get(audience())));
    script.gate.add_permits(100);
    let held = waiting.await;
    assert_eq!(script.asked(), 1);
    assert!(held.iter().all(|held| text(held.as_ref().unwrap()) == "token 1"));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_takes_nothing_from_the_others() {
    let script = Script::new(HOUR);
    let tokens = Tokens::new(Arc::clone(&script) as _, HOUR);
    let first = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.get(audience()).await.map(drop) }
    });
    script.arrived.notified().await;
    first.abort();
    script.gate.add_permits(100);
    assert_eq!(text(&tokens.get(audience()).await.unwrap()), "token 1");
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_behind_its_users_backs() {
    let script = Script::new(HOUR);
    let tokens = Tokens::new(Arc::clone(&script) as _, HOUR);
    script.gate.add_permits(1);
    tokens.get(audience()).await.unwrap();
    pass(HOUR / 100 * 92).await;
    // Entra is asked, and takes its time; the old token serves meanwhile.
    assert_eq!(text(&tokens.get(audience()).await.unwrap()), "token 1");
    script.arrived.notified().await;
    script.arrived.notified().await;
    assert_eq!(text(&tokens.get(audience()).await.unwrap()), "token 1");
    assert_eq!(script.asked(), 2);
    script.gate.add_permits(1);
    pass(Duration::ZERO).await;
    assert_eq!(text(&tokens.get(audience()).await.unwrap()), "token 2");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_given_up_at_its_maximum_age_however_long_it_lives() {
    let script = Script::new(HOUR * 24);
    let tokens = Tokens::new(Arc::clone(&script) as _, Duration::from_mins(10));
    script.gate.add_permits(1);
    tokens.get(audience()).await.unwrap();
    script.fail(Some(VaultCause::EntraUnavailable));
    script.gate.add_permits(100);
    pass(Duration::from_secs(599)).await;
    assert_eq!(text(&tokens.get(audience()).await.unwrap()), "token 1");
    pass(Duration::from_secs(1)).await;
    assert_eq!(
        tokens.get(audience()).await.unwrap_err().cause(),
        VaultCause::EntraUnavailable
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_entra_is_not_asked_for_news_by_every_caller() {
    let script = Script::new(HOUR);
    let tokens = Tokens::new(Arc::clone(&script) as _, HOUR);
    script.gate.add_permits(1000);
    tokens.get(audience()).await.unwrap();
    script.fail(Some(VaultCause::EntraUnavailable));
    pass(HOUR / 100 * 92).await;
    for _ in 0..100 {
        tokens.get(audience()).await.unwrap();
        pass(Duration::from_millis(1)).await;
    }
    assert_eq!(script.asked(), 2);
    pass(RENEWAL_PAUSE.1).await;
    tokens.get(audience()).await.unwrap();
    pass(Duration::ZERO).await;
    assert_eq!(script.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn withdrawn_consent_ends_the_old_token_too() {
    let script = Script::new(HOUR);
    let tokens = Tokens::new(Arc::clone(&script) as _, HOUR);
    script.gate.add_permits(1000);
    tokens.get(audience()).await.unwrap();
    script.fail(Some(VaultCause::ConsentMissing));
    pass(HOUR / 100 * 92).await;
    tokens.get(audience()).await.unwrap(); // starts the renewal
    pass(Duration::ZERO).await;
    assert_eq!(
        tokens.get(audience()).await.unwrap_err().cause(),
        VaultCause::ConsentMissing
    );
    script.fail(None);
    tokens.get(audience()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_not_given_again() {
    let script = Script::new(HOUR);
    let tokens = Tokens::new(Arc::clone(&script) as _, HOUR);
    script.gate.add_permits(1000);
    let first = tokens.get(audience()).await.unwrap();
    tokens.discard(audience(), &first);
    assert_eq!(text(&tokens.get(audience()).await.unwrap()), "token 2");
    // A second complaint about the first leaves the second alone.
    tokens.discard(audience(), &first);
    assert_eq!(text(&tokens.get(audience()).await.unwrap()), "token 2");
}

#[tokio::test]
async fn a_token_is_issued_for_the_vaults_own_audience_only() {
    let script = Script::new(HOUR);
    script.gate.add_permits(1000);
    let credential = DirectoryCredential {
        tokens: Tokens::new(Arc::clone(&script) as _, HOUR),
        audience: audience(),
    };
    let other = credential
        .get_token(&["https://management.azure.com/.default"], None)
        .await;
    assert!(other.is_err());
    assert_eq!(script.asked(), 0);
    assert!(
        credential
            .get_token(&["https://vault.azure.net/.default"], None)
            .await
            .is_ok()
    );
}

#[test]
fn a_token_does_not_show_in_a_debug_print() {
    let held = Held {
        token: AccessToken::new(Secret::new("planted"), clock::now()),
        renew_at: Instant::now(),
        until: Instant::now(),
    };
    assert!(!format!("{held:?}").contains("planted"));
}

#[test]
fn a_failure_is_told_once_as_loud_as_whose_move_it_is() {
    let slot = Slot::default();
    for (outcome, level) in [
        (Some(VaultCause::ConsentMissing), Level::INFO),
        (Some(VaultCause::ConsentMissing), Level::DEBUG),
        (Some(VaultCause::EntraUnavailable), Level::WARN),
        (Some(VaultCause::AppSecretExpired), Level::ERROR),
        (Some(VaultCause::AppSecretExpired), Level::DEBUG),
        (None, Level::DEBUG),
        (Some(VaultCause::AppSecretExpired), Level::ERROR),
    ] {
        assert_eq!(slot.note(outcome), level, "{outcome:?}");
    }
}

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use azure_core::credentials::Secret;
use futures::FutureExt;
use keyferry_crypto::{
    id::{Cloud, DirectoryId, VaultKind},
    vault::Evidence,
};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use super::*;
use crate::{clock, credential::Service, retry::MAX_RETRY_AFTER};

/// A directory that counts, waits to be let, and fails when told to.
#[derive(Debug)]
struct Script {
    asked: AtomicU64,
    gate: Semaphore,
    arrived: Notify,
    life: Duration,
    fails_with: Mutex<Option<VaultError>>,
}

#[async_trait]
impl Source for Script {
    async fn ask(&self, _: Audience) -> Result<AccessToken, VaultError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.arrived.notify_one();
        self.gate.acquire().await.unwrap().forget();
        if let Some(error) = &*self.fails_with.lock().unwrap() {
            return Err(error.clone());
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

    /// Lets everyone in.
    fn open(life: Duration) -> Arc<Self> {
        let script = Self::new(life);
        script.gate.add_permits(10_000);
        script
    }

    fn fail(&self, with: impl Into<VaultError>) {
        *self.fails_with.lock().unwrap() = Some(with.into());
    }

    fn recover(&self) {
        *self.fails_with.lock().unwrap() = None;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn tokens(self: &Arc<Self>, max_age: Duration) -> Tokens {
        Tokens::new(Arc::clone(self) as _, max_age, Retries::default())
    }
}

const HOUR: Duration = Duration::from_hours(1);

fn audience() -> Audience {
    Audience {
        directory: DirectoryId(Uuid::from_u128(1)),
        cloud: Cloud::Public,
        service: Service::Vaults(VaultKind::KeyVault),
    }
}

async fn token(tokens: &Tokens) -> String {
    tokens.get(audience()).await.unwrap().expose().to_owned()
}

async fn failure(tokens: &Tokens) -> VaultError {
    tokens.get(audience()).await.unwrap_err()
}

fn asking(cause: VaultCause, retry_after: Duration) -> VaultError {
    VaultError::new(cause, Some(retry_after), Evidence::default())
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
    let tokens = script.tokens(HOUR);
    let waiting = futures::future::join_all((0..100).map(|_| tokens.get(audience())));
    script.gate.add_permits(100);
    let held = waiting.await;
    assert_eq!(script.asked(), 1);
    assert!(held.iter().all(|held| held.as_ref().unwrap().expose() == "token 1"));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_takes_nothing_from_the_others() {
    let script = Script::new(HOUR);
    let tokens = script.tokens(HOUR);
    let first = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.get(audience()).await.map(drop) }
    });
    script.arrived.notified().await;
    first.abort();
    script.gate.add_permits(100);
    assert_eq!(token(&tokens).await, "token 1");
    assert_eq!(script.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_behind_its_users_backs() {
    let script = Script::new(HOUR);
    let tokens = script.tokens(HOUR);
    script.gate.add_permits(1);
    tokens.get(audience()).await.unwrap();
    pass(HOUR / 100 * 92).await;
    // Entra is asked, and takes its time; the old token serves meanwhile.
    assert_eq!(token(&tokens).await, "token 1");
    script.arrived.notified().await;
    script.arrived.notified().await;
    assert_eq!(token(&tokens).await, "token 1");
    assert_eq!(script.asked(), 2);
    script.gate.add_permits(1);
    pass(Duration::ZERO).await;
    assert_eq!(token(&tokens).await, "token 2");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_given_up_at_its_maximum_age_however_long_it_lives() {
    let script = Script::new(HOUR * 24);
    let tokens = script.tokens(Duration::from_mins(10));
    script.gate.add_permits(1);
    tokens.get(audience()).await.unwrap();
    script.fail(VaultCause::EntraUnavailable);
    script.gate.add_permits(100);
    pass(Duration::from_secs(599)).await;
    assert_eq!(token(&tokens).await, "token 1");
    pass(Duration::from_secs(1)).await;
    assert_eq!(failure(&tokens).await.cause(), VaultCause::EntraUnavailable);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_entra_is_not_asked_for_news_by_every_caller() {
    let script = Script::new(HOUR);
    let tokens = script.tokens(HOUR);
    script.gate.add_permits(1000);
    tokens.get(audience()).await.unwrap();
    script.fail(VaultCause::EntraUnavailable);
    pass(HOUR / 100 * 92).await;
    for _ in 0..100 {
        tokens.get(audience()).await.unwrap();
        pass(Duration::from_millis(1)).await;
    }
    assert_eq!(script.asked(), 2);
    pass(Duration::from_secs(30)).await;
    tokens.get(audience()).await.unwrap();
    pass(Duration::ZERO).await;
    assert_eq!(script.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_directorys_retry_after_holds_for_renewals_too() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    tokens.get(audience()).await.unwrap();
    script.fail(asking(VaultCause::EntraThrottled, Duration::from_mins(2)));
    pass(HOUR / 100 * 92).await;
    tokens.get(audience()).await.unwrap();
    pass(Duration::ZERO).await;
    for _ in 0..119 {
        pass(Duration::from_secs(1)).await;
        tokens.get(audience()).await.unwrap();
    }
    assert_eq!(script.asked(), 2);
    pass(Duration::from_secs(1)).await;
    tokens.get(audience()).await.unwrap();
    pass(Duration::ZERO).await;
    assert_eq!(script.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_learnt_in_the_background_ends_the_old_token_and_answers_the_next_calls() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    tokens.get(audience()).await.unwrap();
    script.fail(VaultCause::ConsentMissing);
    pass(HOUR / 100 * 92).await;
    tokens.get(audience()).await.unwrap(); // starts the renewal
    pass(Duration::ZERO).await;
    for _ in 0..100 {
        assert_eq!(failure(&tokens).await.cause(), VaultCause::ConsentMissing);
    }
    assert_eq!(script.asked(), 2);
    script.recover();
    pass(Duration::from_secs(5)).await;
    tokens.get(audience()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_gives_no_token_is_not_asked_with_every_call() {
    for cause in [VaultCause::AppSecretExpired, VaultCause::ConsentMissing] {
        let script = Script::open(HOUR);
        let tokens = script.tokens(HOUR);
        script.fail(cause);
        for _ in 0..100 {
            let failed = failure(&tokens).await;
            assert_eq!((failed.cause(), failed.retry_after()), (cause, None));
            pass(Duration::from_millis(9)).await;
        }
        assert_eq!(script.asked(), 1, "{cause:?}");
        pass(Duration::from_secs(5)).await;
        failure(&tokens).await;
        assert_eq!(script.asked(), 2, "{cause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_longer_an_outage_of_entra_lasts_the_less_it_is_asked() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    script.fail(VaultCause::EntraUnavailable);
    for (asked, longest) in (1..).zip([500, 1_000, 2_000, 4_000, 4_000]) {
        let wait = failure(&tokens).await.retry_after().unwrap();
        assert!((longest / 2..=longest).contains(&wait.as_millis()), "{wait:?}");
        pass(wait / 2).await;
        let left = failure(&tokens).await.retry_after().unwrap();
        assert_eq!(wait / 2 + left, wait);
        assert_eq!(script.asked(), asked);
        pass(left).await;
    }
    script.recover();
    tokens.get(audience()).await.unwrap();
    tokens.discard(audience(), &tokens.get(audience()).await.unwrap(), Doubt::Rejected);
    script.fail(VaultCause::EntraUnavailable);
    let wait = failure(&tokens).await.retry_after().unwrap();
    assert!(wait <= Duration::from_millis(500), "{wait:?}: it begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_directorys_retry_after_is_kept_and_not_for_ever() {
    for (asked, kept) in [
        (Duration::from_secs(30), Duration::from_secs(30)),
        (Duration::MAX, MAX_RETRY_AFTER),
    ] {
        let script = Script::open(HOUR);
        let tokens = script.tokens(HOUR);
        script.fail(asking(VaultCause::EntraThrottled, asked));
        assert_eq!(failure(&tokens).await.retry_after(), Some(kept));
        pass(kept.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(failure(&tokens).await.retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(script.asked(), 1);
        pass(Duration::from_secs(1)).await;
        failure(&tokens).await;
        assert_eq!(script.asked(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_found_no_token_just_before_one_came_does_not_ask_for_another() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    let slot = tokens.slot(audience());
    assert!(slot.usable(Instant::now()).is_none());
    tokens.get(audience()).await.unwrap();
    let held = tokens.fetch(audience(), &slot, Instant::now()).await.unwrap();
    assert_eq!((held.expose(), script.asked()), ("token 1", 1));
    // Nor does one that found it due for renewal just before it was renewed.
    pass(HOUR / 100 * 92).await;
    tokens.get(audience()).await.unwrap();
    pass(Duration::ZERO).await;
    slot.renew(Instant::now(), || tokens.ask(audience(), &slot));
    pass(Duration::ZERO).await;
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_not_given_again() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    let first = tokens.get(audience()).await.unwrap();
    assert!(tokens.discard(audience(), &first, Doubt::Rejected));
    assert!(
        tokens.discard(audience(), &first, Doubt::Rejected),
        "it is forgotten already"
    );
    assert_eq!(token(&tokens).await, "token 2");
    // A second complaint about the first leaves the second alone.
    assert!(tokens.discard(audience(), &first, Doubt::Rejected));
    assert_eq!(token(&tokens).await, "token 2");
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_rejects_every_token_costs_the_others_of_its_directory_little() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    for _ in 0..100 {
        let rejected = tokens.get(audience()).await.unwrap();
        tokens.discard(audience(), &rejected, Doubt::Rejected);
        pass(Duration::from_millis(49)).await;
    }
    assert_eq!(script.asked(), 2);
    let second = tokens.get(audience()).await.unwrap();
    assert!(
        !tokens.discard(audience(), &second, Doubt::Rejected),
        "no other is to be had just now"
    );
    pass(Duration::from_secs(5)).await;
    assert!(tokens.discard(audience(), &second, Doubt::Rejected));
    assert_eq!(token(&tokens).await, "token 3");
}

#[test]
fn a_failure_is_told_once_as_loud_as_whose_move_it_is() {
    let (slot, now) = (Slot::default(), Instant::now());
    for (cause, level) in [
        (VaultCause::ConsentMissing, Level::INFO),
        (VaultCause::ConsentMissing, Level::DEBUG),
        (VaultCause::EntraUnavailable, Level::WARN),
        (VaultCause::AppSecretExpired, Level::ERROR),
        (VaultCause::AppSecretExpired, Level::DEBUG),
    ] {
        let (_, news) = slot.fail(cause.into(), &Retries::default(), now);
        assert_eq!(loudness(cause, news), level, "{cause:?}");
    }
    slot.succeed(Held::new(AccessToken::new(Secret::new("token"), clock::now()), HOUR));
    let (_, news) = slot.fail(VaultCause::AppSecretExpired.into(), &Retries::default(), now);
    assert_eq!(loudness(VaultCause::AppSecretExpired, news), Level::ERROR);
}

#[tokio::test]
async fn a_fresh_token_is_asked_for_whatever_is_held_and_everyone_has_it_from_then_on() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    assert_eq!(token(&tokens).await, "token 1");
    assert_eq!(tokens.fresh(audience()).await.unwrap().expose(), "token 2");
    assert_eq!(token(&tokens).await, "token 2");
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_ends_a_failure_that_is_still_remembered() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    script.fail(VaultCause::ConsentMissing);
    assert_eq!(failure(&tokens).await.cause(), VaultCause::ConsentMissing);
    script.recover();
    assert_eq!(failure(&tokens).await.cause(), VaultCause::ConsentMissing, "remembered");
    tokens.fresh(audience()).await.unwrap();
    assert_eq!(token(&tokens).await, "token 2");
}

#[tokio::test(start_paused = true)]
async fn no_fresh_token_is_asked_of_a_directory_that_asked_to_be_left_alone() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    let minute = Duration::from_mins(1);
    *script.fails_with.lock().unwrap() = Some(VaultError::new(
        VaultCause::EntraThrottled,
        Some(minute),
        Evidence::default(),
    ));
    for _ in 0..10 {
        let failed = tokens.fresh(audience()).await.unwrap_err();
        assert_eq!(failed.cause(), VaultCause::EntraThrottled);
        assert!(failed.retry_after() > Some(minute / 2), "{failed:?}");
    }
    assert_eq!(script.asked(), 1);
    script.recover();
    tokio::time::advance(minute).await;
    tokens.fresh(audience()).await.unwrap();
}

#[tokio::test]
async fn a_refused_fresh_token_ends_the_one_that_is_held() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    token(&tokens).await;
    script.fail(VaultCause::ConsentMissing);
    let refused = tokens.fresh(audience()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::ConsentMissing);
    assert_eq!(failure(&tokens).await.cause(), VaultCause::ConsentMissing);
}

#[tokio::test]
async fn a_request_that_began_before_is_not_the_fresh_one() {
    let script = Script::new(HOUR);
    let tokens = script.tokens(HOUR);
    let early = tokio::spawn({
        let tokens = tokens.clone();
        async move { token(&tokens).await }
    });
    script.arrived.notified().await;
    let fresh = tokio::spawn({
        let tokens = tokens.clone();
        async move { tokens.fresh(audience()).await.unwrap().expose().to_owned() }
    });
    script.gate.add_permits(2);
    assert_eq!(early.await.unwrap(), "token 1");
    assert_eq!(fresh.await.unwrap(), "token 2");
}

#[tokio::test(start_paused = true)]
async fn while_a_token_is_valid_nobody_waits_for_an_entra_that_is_slow_and_nobody_hears_that_it_fails() {
    for cause in [VaultCause::EntraUnavailable, VaultCause::EntraThrottled] {
        let script = Script::new(HOUR);
        let tokens = script.tokens(HOUR);
        script.gate.add_permits(1);
        assert_eq!(token(&tokens).await, "token 1");
        script.fail(cause);
        pass(HOUR / 100 * 92).await;
        let at_once = || {
            let held = tokens.get(audience()).now_or_never();
            held.expect("nobody waits").unwrap().expose().to_owned()
        };
        // Entra hangs, then fails, and fails again.
        assert_eq!(at_once(), "token 1");
        pass(Duration::from_mins(1)).await;
        assert_eq!((at_once().as_str(), script.asked()), ("token 1", 2));
        script.gate.add_permits(100);
        for _ in 0..10 {
            pass(Duration::from_secs(10)).await;
            assert_eq!(at_once(), "token 1", "{cause:?}");
        }
        assert!(script.asked() <= 12, "{}", script.asked());
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_forgotten_shows_whether_there_still_is_one_to_be_had() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    token(&tokens).await;
    script.fail(VaultCause::ConsentMissing);
    tokens.forget(audience());
    assert_eq!(failure(&tokens).await.cause(), VaultCause::ConsentMissing);
    assert_eq!(failure(&tokens).await.cause(), VaultCause::ConsentMissing);
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn however_often_a_token_is_forgotten_another_is_asked_for_now_and_then() {
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    for _ in 0..100 {
        token(&tokens).await;
        tokens.forget(audience());
        pass(Duration::from_millis(49)).await;
    }
    assert_eq!(script.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_token_serves_on_where_the_directory_has_no_answer_and_a_rejected_one_does_not() {
    for (doubt, serves) in [(Doubt::Possible, true), (Doubt::Rejected, false)] {
        let script = Script::open(HOUR);
        let tokens = script.tokens(HOUR);
        let held = tokens.get(audience()).await.unwrap();
        script.fail(VaultCause::EntraUnavailable);
        assert!(tokens.discard(audience(), &held, doubt));
        failure(&tokens).await;
        let after = tokens.get(audience()).await;
        assert_eq!(after.is_ok_and(|after| Arc::ptr_eq(&after, &held)), serves, "{doubt:?}");
    }
    // Nor is it used for longer than it may be.
    let script = Script::open(HOUR);
    let tokens = script.tokens(HOUR);
    token(&tokens).await;
    script.fail(VaultCause::EntraUnavailable);
    tokens.forget(audience());
    failure(&tokens).await;
    assert_eq!(token(&tokens).await, "token 1");
    pass(HOUR).await;
    assert_eq!(failure(&tokens).await.cause(), VaultCause::EntraUnavailable);
}

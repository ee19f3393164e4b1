//! Our own retries: the SDK's lose the body, know no cap, and take up to 82 seconds.

use std::time::Duration;

use keyferry_crypto::vault::{VaultCause, VaultError};
use tokio::time::Instant;

use crate::{config::Retries, jitter::between};

/// The longest `Retry-After` that is remembered from one operation to the next.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// The tries of one operation.
#[derive(Debug)]
pub(crate) struct Tries {
    limits: Retries,
    deadline: Instant,
    made: u32,
    was_rejected: bool,
}

/// What to do after a failed try.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again, after a pause.
    Again(Duration),
    /// Try again at once, with another token.
    AnotherToken,
    /// Tell the caller.
    GiveUp,
}

impl Tries {
    pub(crate) fn new(limits: Retries, deadline: Instant) -> Self {
        Self {
            limits,
            deadline,
            made: 0,
            was_rejected: false,
        }
    }

    /// One try. A rejected token is replaced all the same.
    pub(crate) fn once(limits: Retries, deadline: Instant) -> Self {
        Self::new(Retries { attempts: 1, ..limits }, deadline)
    }

    /// When the operation ends, whatever has come of it.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Decides after a try that failed at `now`.
    pub(crate) fn after(&mut self, error: &VaultError, now: Instant) -> Next {
        self.made += 1;
        let is_about_token = matches!(
            error.cause(),
            VaultCause::TokenRejected | VaultCause::TokenNotVerifiable
        );
        if is_about_token && !self.was_rejected {
            self.was_rejected = true;
            return Next::AnotherToken;
        }
        self.with_same_token(error, now)
    }

    /// Decides after the same try, where no other token is to be had.
    pub(crate) fn with_same_token(&self, error: &VaultError, now: Instant) -> Next {
        if self.made >= self.limits.attempts || !may_pass(error.cause()) {
            return Next::GiveUp;
        }
        let own = pause(&self.limits, self.made);
        match error.retry_after() {
            Some(asked) if asked > self.limits.retry_after_cap => Next::GiveUp,
            // Whoever else was asked to wait was asked for the same time, and no time at all is no pause.
            Some(asked) => {
                let least = asked.max(own);
                let most = (least + own).min(self.limits.retry_after_cap).max(least);
                self.within_deadline(between(least, most), now)
            }
            None => self.within_deadline(own, now),
        }
    }

    /// A try that cannot begin before the deadline only delays the answer.
    fn within_deadline(&self, pause: Duration, now: Instant) -> Next {
        if now + pause < self.deadline {
            Next::Again(pause)
        } else {
            Next::GiveUp
        }
    }
}

/// The pause after so many tries (or failures in a row): doubled for each after the first, up to the cap.
pub(crate) fn pause(limits: &Retries, made: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(made.saturating_sub(1));
    let full = limits.base.saturating_mul(doubled).min(limits.cap);
    between(full / 2, full)
}

/// Whether the next try may well succeed.
pub(crate) fn may_pass(cause: VaultCause) -> bool {
    match cause {
        VaultCause::Throttled
        | VaultCause::VaultFailed
        | VaultCause::Timeout
        | VaultCause::ConnectionFailed
        | VaultCause::AnswerInvalid
        | VaultCause::TokenNotVerifiable
        | VaultCause::EntraThrottled
        | VaultCause::EntraUnavailable => true,
        VaultCause::KeyDisabled
        | VaultCause::KeyNotFound
        | VaultCause::KeyNotUsable
        | VaultCause::KeyOperationForbidden
        | VaultCause::RoleMissing
        | VaultCause::AccessPolicyMissing
        | VaultCause::FirewallDenied
        | VaultCause::PublicAccessDisabled
        | VaultCause::AccessDenied
        | VaultCause::ConsentMissing
        | VaultCause::PrincipalDisabled
        | VaultCause::ConditionalAccess
        | VaultCause::DirectoryNotFound
        | VaultCause::WrongDirectory
        | VaultCause::KeyVaultPrincipalMissing
        | VaultCause::PrivateEndpointClosed
        | VaultCause::VaultNotFound
        | VaultCause::WrappedKeyInvalid
        | VaultCause::CertificateInvalid
        | VaultCause::Busy
        | VaultCause::QuotaSpent
        | VaultCause::AppSecretInvalid
        | VaultCause::AppSecretExpired
        | VaultCause::AppAssertionInvalid
        | VaultCause::AppCredentialUnavailable
        | VaultCause::TokenRejected
        | VaultCause::RequestRejected => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use keyferry_crypto::vault::Evidence;

    use super::*;

    const LIMITS: Retries = Retries {
        attempts: 4,
        base: Duration::from_millis(100),
        cap: Duration::from_millis(150),
        retry_after_cap: Duration::from_secs(10),
    };

    fn tries(seconds: u64) -> (Tries, Instant) {
        let now = Instant::now();
        (Tries::new(LIMITS, now + Duration::from_secs(seconds)), now)
    }

    fn asking(seconds: u64) -> VaultError {
        VaultError::new(
            VaultCause::Throttled,
            Some(Duration::from_secs(seconds)),
            Evidence::default(),
        )
    }

    #[tokio::test]
    async fn pauses_double_up_to_their_cap_and_tries_end() {
        let (mut tries, now) = tries(60);
        let failed = VaultError::from(VaultCause::VaultFailed);
        for (least, most) in [(50, 100), (75, 150), (75, 150)] {
            let Next::Again(pause) = tries.after(&failed, now) else {
                panic!("gave up early")
            };
            assert!((least..=most).contains(&pause.as_millis()), "{pause:?}");
        }
        assert_eq!(tries.after(&failed, now), Next::GiveUp);
    }

    #[tokio::test]
    async fn a_retry_after_is_obeyed_up_to_the_cap() {
        let (mut tries, now) = tries(60);
        assert_eq!(tries.after(&asking(10), now), Next::Again(Duration::from_secs(10)));
        assert_eq!(tries.after(&asking(11), now), Next::GiveUp);
    }

    #[tokio::test]
    async fn whoever_is_asked_to_wait_comes_back_a_little_later_each_at_another_time() {
        let pauses: BTreeSet<_> = (0..50)
            .map(|_| {
                let (mut tries, now) = tries(60);
                let Next::Again(pause) = tries.after(&asking(5), now) else {
                    panic!("gave up")
                };
                pause
            })
            .collect();
        assert!(pauses.len() > 10, "{pauses:?}");
        let (earliest, latest) = (pauses.first().unwrap(), pauses.last().unwrap());
        assert!(
            (5_000..=5_100).contains(&earliest.as_millis()) && latest.as_millis() <= 5_100,
            "{pauses:?}"
        );
    }

    #[tokio::test]
    async fn who_is_asked_to_wait_for_no_time_waits_as_if_not_asked() {
        let (mut tries, now) = tries(60);
        for least in [50, 75, 75] {
            let Next::Again(pause) = tries.after(&asking(0), now) else {
                panic!("gave up early")
            };
            assert!(pause.as_millis() >= least, "{pause:?}");
        }
    }

    #[tokio::test]
    async fn no_pause_goes_past_the_deadline() {
        let (mut tries, now) = tries(5);
        assert_eq!(tries.after(&asking(6), now), Next::GiveUp);
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        let (mut tries, now) = tries(60);
        assert_eq!(tries.after(&VaultCause::KeyDisabled.into(), now), Next::GiveUp);
        assert_eq!(tries.after(&VaultCause::WrappedKeyInvalid.into(), now), Next::GiveUp);
        // Whoever may be in doubt of it confirms it by asking again.
        assert_eq!(tries.after(&VaultCause::RoleMissing.into(), now), Next::GiveUp);
    }

    #[tokio::test]
    async fn a_rejected_token_is_replaced_once() {
        for cause in [VaultCause::TokenRejected, VaultCause::TokenNotVerifiable] {
            assert_eq!(tries(60).0.after(&cause.into(), Instant::now()), Next::AnotherToken);
        }
        let (mut tries, now) = tries(60);
        assert_eq!(tries.after(&VaultCause::TokenRejected.into(), now), Next::AnotherToken);
        assert_eq!(tries.after(&VaultCause::TokenRejected.into(), now), Next::GiveUp);
    }

    #[tokio::test]
    async fn one_try_is_one_but_for_a_rejected_token() {
        let now = Instant::now();
        let once = || Tries::once(LIMITS, now + Duration::from_mins(1));
        for passing in [VaultCause::VaultFailed, VaultCause::Throttled, VaultCause::Timeout] {
            assert_eq!(once().after(&passing.into(), now), Next::GiveUp, "{passing:?}");
        }
        let mut tries = once();
        assert_eq!(tries.after(&VaultCause::TokenRejected.into(), now), Next::AnotherToken);
        assert_eq!(tries.after(&VaultCause::TokenNotVerifiable.into(), now), Next::GiveUp);
    }

    #[tokio::test]
    async fn where_no_other_token_is_to_be_had_a_rejection_is_final_unless_it_passes() {
        let (tries, now) = tries(60);
        assert_eq!(
            tries.with_same_token(&VaultCause::TokenRejected.into(), now),
            Next::GiveUp
        );
        assert!(matches!(
            tries.with_same_token(&VaultCause::TokenNotVerifiable.into(), now),
            Next::Again(_)
        ));
    }
}

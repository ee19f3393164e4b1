//! Our own retries: the SDK's lose the body, know no cap, and take up to 82 seconds.

use std::time::Duration;

use keyferry_crypto::vault::{VaultCause, VaultError};
use tokio::time::Instant;

use crate::{config::Retries, jitter::between};

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
        if self.made >= self.limits.attempts || !may_pass(error.cause()) {
            return Next::GiveUp;
        }
        let pause = match error.retry_after() {
            Some(asked) if asked > self.limits.retry_after_cap => return Next::GiveUp,
            Some(asked) => asked,
            None => self.own_pause(),
        };
        // A try that cannot begin before the deadline only delays the answer.
        if now + pause < self.deadline {
            Next::Again(pause)
        } else {
            Next::GiveUp
        }
    }

    fn own_pause(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.made.saturating_sub(1));
        let full = self.limits.base.saturating_mul(doubled).min(self.limits.cap);
        between(full / 2, full)
    }
}

/// Whether the next try may well succeed.
fn may_pass(cause: VaultCause) -> bool {
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
        | VaultCause::VaultNotFound
        | VaultCause::WrappedKeyInvalid
        | VaultCause::CertificateInvalid
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
    async fn no_pause_goes_past_the_deadline() {
        let (mut tries, now) = tries(5);
        assert_eq!(tries.after(&asking(6), now), Next::GiveUp);
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        let (mut tries, now) = tries(60);
        assert_eq!(tries.after(&VaultCause::KeyDisabled.into(), now), Next::GiveUp);
        assert_eq!(tries.after(&VaultCause::WrappedKeyInvalid.into(), now), Next::GiveUp);
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
}

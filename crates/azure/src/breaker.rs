//! Leaves a vault alone that does not answer: after some outages in a row it is asked no more, but for one call now and then
//! that finds out whether it is well.
//!
//! Of the crates that do this, `failsafe` 1.3 is the best kept with outages in a row and pauses that grow, but lets everyone
//! through once a pause is over, reads the system's clock (which no test can turn), and hears nothing of calls that were made
//! while it was open, as canaries are. `recloser` 1.4 counts shares of many calls; `tower-resilience-circuitbreaker` 0.14 wraps a
//! service, and knows neither growing pauses nor calls that go past it. None keeps what the last outage was, which is what
//! callers are told.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keyferry_crypto::vault::{VaultCause, VaultError};
use tokio::time::Instant;

use crate::{config::Limits, jitter::between};

/// One vault by one way.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug)]
enum State {
    /// Calls are made. So many in a row had no answer.
    Closed { in_vain: u32 },
    /// No call is made before that time, and then one at a time.
    Open {
        until: Instant,
        /// The pause that this one was drawn from: the next is twice as long.
        pause: Duration,
        /// Whether a call is under way to find out whether the vault is well.
        is_probed: bool,
        /// How the last call failed.
        last: VaultError,
    },
}

/// Leave to make one call. Whoever has it tells how the call went; if it was not made after all, another may be.
#[derive(Debug)]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    is_probe: bool,
}

/// What a call did to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Nothing.
    Not,
    /// It is open now, and was not.
    Open,
    /// It is closed now, and was not.
    Closed,
}

impl Breaker {
    /// Fails as the vault did, if a call that begins now would not be made.
    pub(crate) fn look(&self, now: Instant) -> Result<(), VaultError> {
        self.state().heed(now)
    }

    /// Leave to make a call now: any call while the vault is well, and one at a time where it is to be found out. Fails as the
    /// vault did otherwise.
    pub(crate) fn enter(self: &Arc<Self>, now: Instant) -> Result<Pass, VaultError> {
        let mut state = self.state();
        state.heed(now)?;
        let is_probe = match &mut *state {
            State::Closed { .. } => false,
            State::Open { is_probed, .. } => {
                *is_probed = true;
                true
            }
        };
        Ok(self.pass(is_probe))
    }

    /// Leave to make a call now whatever is known of the vault.
    pub(crate) fn enter_anyway(self: &Arc<Self>) -> Pass {
        self.pass(false)
    }

    /// A failure of the vault's as it is told to whoever met it. If it is left alone now, that is with when another call is made:
    /// sooner brings the same answer.
    pub(crate) fn told_of(&self, error: VaultError, now: Instant) -> VaultError {
        if error.retry_after().is_some() || word(error.cause()) != Word::Silent {
            return error;
        }
        match self.look(now) {
            Ok(()) => error,
            Err(kept) => VaultError::new(error.cause(), kept.retry_after(), error.evidence().clone()),
        }
    }

    /// Whether calls are kept from the vault. Not of a way that nobody has gone for long: it may be none any more.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        matches!(&*self.state(), State::Open { until, .. } if now < *until + ABANDONED)
    }

    fn pass(self: &Arc<Self>, is_probe: bool) -> Pass {
        Pass {
            breaker: Arc::clone(self),
            is_probe,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Tells how the call went, that ended at `now`.
    pub(crate) fn tell(mut self, failure: Option<&VaultError>, limits: &Limits, now: Instant) -> Turned {
        let word = failure.map_or(Word::Answered, |error| word(error.cause()));
        let is_probe = self.is_probe;
        // A probe that found out is none any more.
        self.is_probe &= word == Word::Nothing;
        match (word, failure) {
            (Word::Silent, Some(error)) => self.breaker.state().fail(error, is_probe, limits, now),
            (Word::Answered | Word::Silent, _) => self.breaker.state().succeed(),
            (Word::Nothing, _) => Turned::Not,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_probe
            && let State::Open { is_probed, .. } = &mut *self.breaker.state()
        {
            *is_probed = false;
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { in_vain: 0 }
    }
}

impl State {
    fn heed(&self, now: Instant) -> Result<(), VaultError> {
        match self {
            Self::Open {
                until, is_probed, last, ..
            } if now < *until || *is_probed => Err(told(last, until.saturating_duration_since(now))),
            Self::Open { .. } | Self::Closed { .. } => Ok(()),
        }
    }

    fn succeed(&mut self) -> Turned {
        match std::mem::take(self) {
            Self::Closed { .. } => Turned::Not,
            Self::Open { .. } => Turned::Closed,
        }
    }

    fn fail(&mut self, error: &VaultError, is_probe: bool, limits: &Limits, now: Instant) -> Turned {
        match self {
            Self::Closed { in_vain } => {
                *in_vain = in_vain.saturating_add(1);
                if *in_vain < limits.breaker_failures {
                    return Turned::Not;
                }
                *self = Self::open(error, limits.breaker_pause, limits, now);
                Turned::Open
            }
            // A canary finds out as much as a probe does, once it is time. What began before is no news.
            Self::Open { until, pause, .. } if is_probe || *until <= now => {
                let (next, was_probed) = (pause.saturating_mul(2), self.is_probed());
                *self = Self::open(error, next, limits, now);
                // Another's probe goes on.
                if let Self::Open { is_probed, .. } = self {
                    *is_probed = was_probed && !is_probe;
                }
                Turned::Not
            }
            Self::Open { last, .. } => {
                *last = error.clone();
                Turned::Not
            }
        }
    }

    fn open(error: &VaultError, pause: Duration, limits: &Limits, now: Instant) -> Self {
        let pause = pause.min(limits.breaker_longest);
        Self::Open {
            until: now + between(pause / 2, pause),
            pause,
            is_probed: false,
            last: error.clone(),
        }
    }

    fn is_probed(&self) -> bool {
        matches!(self, Self::Open { is_probed: true, .. })
    }
}

/// The last outage as it is told to those who are kept from the vault: with its own cause and evidence, and when another call
/// is made. While one is under way, that is as soon as it ends.
fn told(last: &VaultError, left: Duration) -> VaultError {
    let left = if left.is_zero() { PROBED } else { left };
    VaultError::new(last.cause(), Some(left), last.evidence().clone())
}

/// After so long without a call that would have found out, nothing is said of a vault. Even an idle tenant's is looked at more
/// often.
const ABANDONED: Duration = Duration::from_hours(1);

/// When to come back while a call is under way that finds out whether the vault is well.
const PROBED: Duration = Duration::from_secs(1);

/// What a call's end says of whether the vault answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It answers.
    Answered,
    /// It does not, or not as a vault does.
    Silent,
    /// Nothing: it was not asked, or looks after itself. A name that is not there and a wrong certificate cost the vault
    /// nothing, and are over as soon as they are put right.
    Nothing,
}

fn word(cause: VaultCause) -> Word {
    match cause {
        VaultCause::KeyDisabled
        | VaultCause::KeyNotFound
        | VaultCause::KeyNotUsable
        | VaultCause::KeyOperationForbidden
        | VaultCause::RoleMissing
        | VaultCause::AccessPolicyMissing
        | VaultCause::FirewallDenied
        | VaultCause::PublicAccessDisabled
        | VaultCause::AccessDenied
        | VaultCause::WrongDirectory
        | VaultCause::WrappedKeyInvalid
        | VaultCause::Throttled
        | VaultCause::TokenNotVerifiable
        | VaultCause::TokenRejected => Word::Answered,
        VaultCause::VaultFailed | VaultCause::Timeout | VaultCause::ConnectionFailed | VaultCause::AnswerInvalid => {
            Word::Silent
        }
        VaultCause::ConsentMissing
        | VaultCause::PrincipalDisabled
        | VaultCause::ConditionalAccess
        | VaultCause::DirectoryNotFound
        | VaultCause::KeyVaultPrincipalMissing
        | VaultCause::PrivateEndpointClosed
        | VaultCause::VaultNotFound
        | VaultCause::CertificateInvalid
        | VaultCause::EntraThrottled
        | VaultCause::EntraUnavailable
        | VaultCause::Busy
        | VaultCause::QuotaSpent
        | VaultCause::AppSecretInvalid
        | VaultCause::AppSecretExpired
        | VaultCause::AppAssertionInvalid
        | VaultCause::AppCredentialUnavailable
        | VaultCause::RequestRejected => Word::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use keyferry_crypto::vault::Evidence;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits::default()
    }

    fn outage() -> VaultError {
        let evidence = Evidence {
            status: Some(503),
            ..Evidence::default()
        };
        VaultError::new(VaultCause::VaultFailed, None, evidence)
    }

    fn fail(breaker: &Arc<Breaker>, now: Instant) -> Turned {
        breaker.enter(now).unwrap().tell(Some(&outage()), &limits(), now)
    }

    /// A breaker that has just opened, and when it will let one through.
    fn open(now: Instant) -> (Arc<Breaker>, Instant) {
        let breaker = Arc::new(Breaker::default());
        for _ in 1..5 {
            assert_eq!(fail(&breaker, now), Turned::Not);
        }
        assert_eq!(fail(&breaker, now), Turned::Open);
        let until = reopens(&breaker, now);
        (breaker, until)
    }

    fn reopens(breaker: &Breaker, now: Instant) -> Instant {
        now + breaker.look(now).unwrap_err().retry_after().unwrap()
    }

    #[tokio::test]
    async fn outages_in_a_row_open_it_and_callers_are_told_the_last_one_and_when_to_come_back() {
        let now = Instant::now();
        let (breaker, until) = open(now);
        assert!(now + SECOND / 2 <= until && until <= now + SECOND);
        let later = now + SECOND / 4;
        let refused = breaker.enter(later).unwrap_err();
        assert_eq!(refused.cause(), VaultCause::VaultFailed);
        assert_eq!(refused.evidence(), outage().evidence());
        assert_eq!(refused.retry_after(), Some(until - later));
        assert!(breaker.is_open(now));
        assert!(!breaker.is_open(until + Duration::from_hours(1)), "nobody goes there");
    }

    #[tokio::test]
    async fn who_met_the_outage_is_told_when_to_come_back_as_well() {
        let now = Instant::now();
        let well = Breaker::default().told_of(outage(), now);
        assert_eq!(well.retry_after(), None);
        let (breaker, until) = open(now);
        let told = breaker.told_of(outage(), now);
        assert_eq!(told.retry_after(), Some(until - now));
        assert_eq!(told.evidence(), outage().evidence());
        let refused = breaker.told_of(VaultCause::KeyDisabled.into(), now);
        assert_eq!(refused.retry_after(), None);
    }

    #[tokio::test]
    async fn whatever_is_an_answer_ends_the_row_and_what_is_none_of_the_vaults_changes_nothing() {
        let now = Instant::now();
        for cause in [VaultCause::KeyDisabled, VaultCause::Throttled, VaultCause::RoleMissing] {
            let breaker = Arc::new(Breaker::default());
            for _ in 0..4 {
                fail(&breaker, now);
            }
            breaker.enter(now).unwrap().tell(Some(&cause.into()), &limits(), now);
            assert_eq!(fail(&breaker, now), Turned::Not, "{cause:?}");
        }
        for cause in [
            VaultCause::EntraUnavailable,
            VaultCause::QuotaSpent,
            VaultCause::VaultNotFound,
        ] {
            let breaker = Arc::new(Breaker::default());
            for _ in 0..4 {
                fail(&breaker, now);
            }
            breaker.enter(now).unwrap().tell(Some(&cause.into()), &limits(), now);
            assert_eq!(fail(&breaker, now), Turned::Open, "{cause:?}");
        }
    }

    #[tokio::test]
    async fn once_the_pause_is_over_one_finds_out_for_all_and_its_success_lets_everyone_in() {
        let (breaker, until) = open(Instant::now());
        let probe = breaker.enter(until).unwrap();
        let refused = breaker.enter(until).expect_err("one at a time");
        assert_eq!(refused.retry_after(), Some(SECOND));
        assert_eq!(probe.tell(None, &limits(), until), Turned::Closed);
        assert!(!breaker.is_open(until));
        breaker.enter(until).unwrap();
        // It begins anew: the next outage is the first.
        assert_eq!(fail(&breaker, until), Turned::Not);
    }

    #[tokio::test]
    async fn each_pause_is_twice_as_long_up_to_the_longest() {
        let now = Instant::now();
        let (breaker, mut until) = open(now);
        for longest in [2, 4, 8, 16, 30, 30] {
            let ended = until;
            assert_eq!(fail(&breaker, ended), Turned::Not);
            until = reopens(&breaker, ended);
            let pause = until - ended;
            assert!(SECOND * longest / 2 <= pause && pause <= SECOND * longest, "{pause:?}");
        }
    }

    #[tokio::test]
    async fn a_probe_that_was_not_made_leaves_its_place_to_another() {
        let (breaker, until) = open(Instant::now());
        drop(breaker.enter(until).unwrap());
        let unasked = breaker.enter(until).unwrap();
        unasked.tell(Some(&VaultCause::QuotaSpent.into()), &limits(), until);
        breaker.enter(until).unwrap();
    }

    #[tokio::test]
    async fn a_canary_goes_through_and_what_it_finds_counts() {
        let now = Instant::now();
        let (breaker, until) = open(now);
        breaker.enter_anyway().tell(Some(&outage()), &limits(), now);
        assert_eq!(
            reopens(&breaker, now),
            until,
            "before its time it only finds what is known"
        );
        breaker.enter_anyway().tell(Some(&outage()), &limits(), until);
        let next = reopens(&breaker, until);
        assert!(until + SECOND <= next && next <= until + SECOND * 2, "it was the probe");
        assert_eq!(breaker.enter_anyway().tell(None, &limits(), until), Turned::Closed);
        breaker.enter(until).unwrap();
    }

    #[tokio::test]
    async fn a_canarys_failure_does_not_let_a_second_probe_in() {
        let (breaker, until) = open(Instant::now());
        let probe = breaker.enter(until).unwrap();
        breaker.enter_anyway().tell(Some(&outage()), &limits(), until);
        let late = until + SECOND * 10;
        assert!(breaker.enter(late).is_err());
        drop(probe);
        breaker.enter(late).unwrap();
    }
}

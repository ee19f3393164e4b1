//! A refusal that may pass is confirmed before it is believed.
//!
//! While a change spreads through a vault, one of its machines may refuse what another grants; and of a refusal that we do not
//! know, no better is known. One that lags behind, or a region that has just taken over, does not find a key that is there. So it
//! is heard again: the same call is made anew within the time that
//! [`SealerLimits::confirmation`](super::SealerLimits) gives. Meanwhile all that it would withdraw is in question, and nobody
//! uses it: who would waits for the verdict, no longer than that time and one call. If the vault does as asked, it is as if
//! nothing had been said. If it refuses again, and still does when the time is over, the customer has refused, from the first
//! time on. So too if it gives no answer, or nobody asks to the end: what was said stands until something else is.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Keyring, is_no_answer};
use crate::{
    question::{Question, Raised, Verdict},
    refusals::Version,
    standing::{Standing, Subject},
    tenant::TenantKeys,
    vault::{Urgency, VaultCause, VaultError},
};

/// A question that is being asked. Given up, it counts as refused: whoever asked may have gone away.
struct Asking<'a> {
    keyring: &'a Keyring,
    tenant: &'a TenantKeys,
    standing: &'a Arc<Standing>,
    question: Arc<Question>,
    in_question: Vec<Arc<Standing>>,
    refusal: VaultError,
    said: Instant,
    verdict: Verdict,
}

impl Keyring {
    /// Whether a failure is one that may pass. That the vault knows no version which it never unwrapped with for us is no refusal,
    /// and is not asked about again.
    pub(super) fn is_to_be_confirmed(&self, standing: &Standing, error: &VaultError) -> bool {
        let cause = error.cause();
        let is_made_up = cause == VaultCause::KeyNotFound && self.version_of(standing) == Version::Unknown;
        cause.is_doubtful() && !is_made_up && !self.confirmation.is_zero()
    }

    /// The standing under which to ask for `subject`, once it is known of what is in question now. Who comes back when
    /// another question is open already does not wait again.
    pub(super) async fn settled(&self, tenant: &TenantKeys, subject: Subject) -> Arc<Standing> {
        let standing = self.standings.of(tenant.tenant, subject);
        if !standing.is_in_question() {
            return standing;
        }
        self.verdicts(&standing).await;
        self.standings.of(tenant.tenant, standing.subject().clone())
    }

    /// Waits until it is known of all that a standing is in question for now.
    pub(super) async fn verdicts(&self, standing: &Standing) {
        if standing.is_in_question() {
            for question in standing.questions() {
                question.verdict().await;
            }
        }
    }

    /// The answer to a call that was refused just now, once it is confirmed; and learns from it. Who asks to confirm does so as for a
    /// canary; who has waited for another to, asks again as before.
    pub(super) async fn confirmed<T, C>(
        &self,
        tenant: &TenantKeys,
        standing: &Arc<Standing>,
        refusal: VaultError,
        urgency: Urgency,
        again: impl Fn(Urgency) -> C,
    ) -> Result<T, VaultError>
    where
        C: Future<Output = Result<T, VaultError>>,
    {
        let said = Instant::now();
        let deadline = said + self.confirmation;
        let mut refusal = refusal;
        loop {
            let question = match self.questions.raise(standing, refusal.cause()) {
                Raised::Ours(question) => question,
                Raised::Theirs(question) => {
                    if question.verdict().await == Verdict::Granted {
                        let began = Instant::now();
                        match again(urgency).await {
                            Err(error) if self.is_to_be_confirmed(standing, &error) => refusal = error,
                            answer => {
                                self.learn(tenant, standing, answer.as_ref().err(), began);
                                return answer;
                            }
                        }
                        if Instant::now() < deadline {
                            continue;
                        }
                    }
                    self.learn_failure(tenant, standing, &refusal, said);
                    return Err(refusal);
                }
            };
            return self
                .asking(tenant, standing, question, refusal, said)
                .until(deadline, again)
                .await;
        }
    }

    /// Between calls for which another of the vault's machines is hoped.
    pub(super) fn pauses(&self) -> [Duration; 3] {
        [1, 2, 4].map(|tenths| self.confirmation * tenths / 10)
    }

    fn asking<'a>(
        &'a self,
        tenant: &'a TenantKeys,
        standing: &'a Arc<Standing>,
        question: Arc<Question>,
        refusal: VaultError,
        said: Instant,
    ) -> Asking<'a> {
        let cause = refusal.cause();
        tracing::debug!(tenant = %tenant.tenant, ?cause, "what a refusal would take is in question");
        self.counters.questions.count();
        let meaning = cause.meaning(standing.subject().call);
        let in_question = meaning.map(|meaning| self.standings.question(standing, meaning, &question, said));
        Asking {
            keyring: self,
            tenant,
            standing,
            question,
            in_question: in_question.unwrap_or_default(),
            refusal,
            said,
            verdict: Verdict::Refused,
        }
    }
}

impl Asking<'_> {
    /// Makes the call again, with pauses, as long as it is refused and there is time.
    async fn until<T, C>(mut self, deadline: Instant, again: impl Fn(Urgency) -> C) -> Result<T, VaultError>
    where
        C: Future<Output = Result<T, VaultError>>,
    {
        for pause in self.keyring.pauses() {
            let began = Instant::now() + pause;
            if began > deadline {
                break;
            }
            sleep(pause).await;
            match again(Urgency::Watch).await {
                Err(error) if self.keyring.is_to_be_confirmed(self.standing, &error) => self.refusal = error,
                Err(error) if is_no_answer(&error) => {}
                answer => {
                    self.keyring
                        .learn(self.tenant, self.standing, answer.as_ref().err(), began);
                    self.grant(answer.is_ok());
                    return answer;
                }
            }
        }
        Err(self.refusal.clone())
    }

    /// The vault has said something else. If that was a failure of another kind, it has taken what it reaches; of the rest it
    /// is not known, and the next who uses it asks first.
    fn grant(&mut self, is_served: bool) {
        self.verdict = Verdict::Granted;
        if !is_served {
            for standing in &self.in_question {
                standing.doubt(self.said);
            }
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.verdict == Verdict::Refused {
            self.keyring
                .learn_failure(self.tenant, self.standing, &self.refusal, self.said);
            // What the last refusal does not reach, as the first one did, is asked about by the next who uses it.
            for standing in &self.in_question {
                standing.doubt(self.said);
            }
        }
        for standing in &self.in_question {
            standing.settle(&self.question);
        }
        self.keyring.questions.close(&self.question, self.verdict);
    }
}

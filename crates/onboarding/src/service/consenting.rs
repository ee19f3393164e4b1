//! Sends an administrator to Entra for consent, and takes what comes back.

use keyferry_crypto::id::TenantId;
use keyferry_registry::{
    RegistryError,
    onboarding::{Actor, Check, CheckName, CheckStatus, Onboarding, PendingConsent, Stage},
};
use url::Url;

use super::{OnboardingError, Onboardings, Which};
use crate::{
    checks,
    consent::{ConsentError, ConsentReturn, NONCE_LEN, Said, State},
    finding,
    instructions::consent_links,
};

impl Onboardings {
    /// Begins a consent: where to send the administrator's browser.
    pub async fn begin_consent(&self, tenant: TenantId) -> Result<Url, OnboardingError> {
        let mut nonce = [0; NONCE_LEN];
        // Without randomness nothing can be begun; the operating system lacks it only while it starts.
        getrandom::fill(&mut nonce).map_err(|_| OnboardingError::Stage("waiting for randomness"))?;
        let expires_at = self.now() + self.config.consent_lifetime;
        let state = State::new(tenant, nonce, expires_at);
        let begun = self
            .edit(Which::Of(tenant), None, |onboarding| {
                match onboarding.stage {
                    Stage::Open | Stage::Active { .. } => {}
                    Stage::Closing { .. } => return Err(OnboardingError::Stage("closing")),
                    Stage::Closed { .. } => return Err(OnboardingError::Stage("closed")),
                }
                onboarding.consent = Some(PendingConsent {
                    nonce_digest: state.digest(),
                    expires_at,
                });
                Ok(vec![self.event(Actor::Customer, "consent-begun", &[])])
            })
            .await?;
        self.consent_url(&begun, &state.encode(&self.key))
    }

    /// Takes what Entra brought back. The consent itself is proven by a token, in the checks, which are due at once. Answers the
    /// onboarding and the link back to its page.
    pub async fn end_consent(&self, came_back: ConsentReturn) -> Result<(Onboarding, Url), ConsentError> {
        let state = came_back.state.as_deref();
        let state = state.and_then(|state| State::decode(&self.key, state));
        let state = state.ok_or(ConsentError::Forged)?;
        let mut said = Said::No(None);
        let ended = self.edit(Which::Of(state.tenant()), None, |onboarding| {
            state.is_awaited(onboarding.consent, self.now())?;
            said = came_back.said(onboarding.answers.directory);
            // Whatever it says, it was used.
            onboarding.consent = None;
            let event = match &said {
                Said::No(code) => {
                    let code = code.as_deref().unwrap_or("none");
                    self.event(Actor::Customer, "consent-refused", &[("code", code)])
                }
                Said::Elsewhere => self.event(Actor::Customer, "consent-elsewhere", &[]),
                Said::Yes => {
                    self.await_principal(onboarding);
                    self.event(Actor::Customer, "consent-returned", &[])
                }
            };
            Ok(vec![event])
        });
        let ended = ended.await.map_err(|error| match error {
            Ended::Consent(error) => error,
            Ended::Unknown => ConsentError::Forged,
        })?;
        let back = self.link_url(&ended);
        match said {
            Said::No(code) => Err(ConsentError::Denied { code, back }),
            Said::Elsewhere => Err(ConsentError::OtherDirectory { back }),
            Said::Yes => Ok((ended, back)),
        }
    }

    /// Consent came back: from now on a missing principal is waited for. One that was seen is not doubted.
    fn await_principal(&self, onboarding: &mut Onboarding) {
        if finding::status(onboarding, CheckName::Consent) != CheckStatus::Passed {
            let before = onboarding.checks.get(&CheckName::Consent);
            let check = Check::after(before, checks::returned(self.now()), self.now());
            onboarding.checks.insert(CheckName::Consent, check);
        }
        self.make_due(onboarding);
    }

    /// Where consent is asked for: in the customer's cloud, or at the emulator that stands for it.
    fn consent_url(&self, onboarding: &Onboarding, state: &str) -> Result<Url, OnboardingError> {
        let client_id = self.application(onboarding.cloud);
        let client_id = client_id.ok_or(OnboardingError::CloudNotServed)?;
        let redirect = self.page("consent");
        let directory = onboarding.answers.directory;
        let links = consent_links(onboarding.cloud, client_id, directory, &redirect, state);
        let link = Url::parse(&links.v1).map_err(|_| OnboardingError::CloudNotServed)?;
        let Some(sign_in) = &self.config.sign_in_url else {
            return Ok(link);
        };
        let mut there = sign_in.clone();
        there.set_path(link.path());
        there.set_query(link.query());
        Ok(there)
    }
}

/// Why a consent's end was not kept.
enum Ended {
    Consent(ConsentError),
    Unknown,
}

impl From<ConsentError> for Ended {
    fn from(error: ConsentError) -> Self {
        Self::Consent(error)
    }
}

impl From<RegistryError> for Ended {
    fn from(error: RegistryError) -> Self {
        Self::Consent(error.into())
    }
}

impl From<OnboardingError> for Ended {
    /// To end a consent, an onboarding is only looked for.
    fn from(error: OnboardingError) -> Self {
        match error {
            OnboardingError::Registry(error) => error.into(),
            OnboardingError::Unknown
            | OnboardingError::Answers(_)
            | OnboardingError::Stage(_)
            | OnboardingError::CloudNotServed
            | OnboardingError::NoEndpoints
            | OnboardingError::Policy(_) => Self::Unknown,
        }
    }
}

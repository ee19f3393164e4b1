//! Makes, revokes and follows links to customers' pages.

use keyferry_registry::{
    onboarding::{Actor, Link, Onboarding, Stage},
    tenant::Slug,
};
use time::Duration;
use url::Url;

use super::{OnboardingError, Onboardings, Which};
use crate::link::{LinkError, LinkToken};

impl Onboardings {
    /// Makes a new link; those before it are void.
    pub async fn new_link(&self, slug: &Slug) -> Result<(Onboarding, Url), OnboardingError> {
        let lifetime = self.config.link_lifetime;
        let made = self.relink(slug, "link-made", |now| now + lifetime).await?;
        let url = self.link_url(&made);
        Ok((made, url))
    }

    /// Makes every link void.
    pub async fn revoke_link(&self, slug: &Slug) -> Result<Onboarding, OnboardingError> {
        self.relink(slug, "link-revoked", |now| now - Duration::SECOND).await
    }

    /// The onboarding whose page a link opens.
    pub async fn behind(&self, token: &LinkToken) -> Result<Onboarding, LinkError> {
        let claims = token.claims(&self.key).ok_or(LinkError::Forged)?;
        let onboarding = self.parts.store.onboarding_of(claims.tenant).await?;
        let onboarding = onboarding.ok_or(LinkError::Forged)?;
        if !claims.is(onboarding.link, self.now()) {
            return Err(LinkError::Expired);
        }
        match onboarding.stage {
            Stage::Open | Stage::Active { .. } => Ok(onboarding),
            Stage::Closing { .. } | Stage::Closed { .. } => Err(LinkError::Closed),
        }
    }

    /// The present link of an onboarding.
    pub(super) fn link_url(&self, onboarding: &Onboarding) -> Url {
        let token = LinkToken::of(&self.key, onboarding.tenant, onboarding.link);
        self.page(token.expose())
    }

    /// A page of ours below `/onboarding/`.
    pub(super) fn page(&self, name: &str) -> Url {
        let mut url = self.config.public_url.clone();
        url.set_path(&format!("/onboarding/{name}"));
        url
    }

    async fn relink(
        &self,
        slug: &Slug,
        kind: &'static str,
        until: impl Fn(time::OffsetDateTime) -> time::OffsetDateTime,
    ) -> Result<Onboarding, OnboardingError> {
        self.edit(Which::Named(slug), None, |onboarding| {
            if let Stage::Closing { .. } | Stage::Closed { .. } = onboarding.stage {
                return Err(OnboardingError::Stage("closing"));
            }
            onboarding.link = Link {
                serial: onboarding.link.serial.saturating_add(1),
                expires_at: until(self.now()),
            };
            // What an older link began would come back to the newest.
            onboarding.consent = None;
            let serial = onboarding.link.serial.to_string();
            Ok(vec![self.event(Actor::Operator, kind, &[("serial", &serial)])])
        })
        .await
    }
}

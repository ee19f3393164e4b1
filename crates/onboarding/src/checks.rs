//! The checks: what is asked of whom, and what the answers mean.
//!
//! One file a check. Each is told apart in two: what is asked, and what an answer means, which can be judged without asking.
//! What a check needs from those before it is handed to it; where that is missing, it is pending and says so.

mod consent;
mod directory;
mod key;
mod least_privilege;
pub(crate) mod private_endpoint;
mod protection;
mod read;
mod trouble;
mod vault;
mod verification;
mod wrap;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use keyferry_azure::KeyDescription;
use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef, VaultHost},
    tenant::{Route, TenantKeys, VersionPolicy},
    vault::VaultError,
};
use keyferry_registry::{
    Tenant,
    onboarding::{Canary, CheckName, CheckStatus, Observed, Onboarding, Stage},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(crate) use self::consent::returned;
use crate::{
    config::OnboardingConfig,
    finding::{Kind, With as _},
    service::Parts,
};

/// What the checks look at: of a customer under way its answers, of an active one what its tenant really uses.
pub(crate) struct Subject {
    pub(crate) cloud: Cloud,
    pub(crate) directory: Option<DirectoryId>,
    pub(crate) vault: Option<VaultHost>,
    pub(crate) key: Option<KeyRef>,
    pub(crate) version: VersionPolicy,
}

/// One look at a customer's set-up.
pub(crate) struct Looking<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) config: &'a OnboardingConfig,
    /// As it was before this look.
    pub(crate) onboarding: &'a Onboarding,
    pub(crate) subject: &'a Subject,
    pub(crate) now: OffsetDateTime,
    /// Whether somebody asked for it, so that nothing is taken from an earlier look.
    pub(crate) is_demanded: bool,
}

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) checks: BTreeMap<CheckName, Observed>,
    pub(crate) canary: Option<Canary>,
}

impl Subject {
    pub(crate) fn of(onboarding: &Onboarding, tenant: Option<&Tenant>) -> Self {
        match tenant {
            None => Self {
                cloud: onboarding.cloud,
                directory: onboarding.answers.directory,
                vault: onboarding.answers.vault.clone(),
                key: onboarding.answers.key_ref(),
                version: onboarding.answers.version.clone(),
            },
            Some(tenant) => Self {
                cloud: tenant.cloud,
                directory: Some(tenant.keys.directory),
                vault: Some(tenant.keys.current.vault.clone()),
                key: Some(tenant.keys.current.clone()),
                version: tenant.keys.version.clone(),
            },
        }
    }
}

impl Looking<'_> {
    /// Looks for the directory and for our principal in it: what everything else needs.
    pub(crate) async fn at_directory(&self, seen: &mut Seen) {
        let observed = guarded(directory::look(self).boxed(), Kind::EntraUnavailable).await;
        seen.checks.insert(CheckName::Directory, observed);
        let observed = guarded(consent::look(self, seen).boxed(), Kind::EntraUnavailable).await;
        seen.checks.insert(CheckName::Consent, observed);
    }

    /// Looks at the vault, on that way to it, and at all that is in it.
    pub(crate) async fn at_vault(&self, seen: &mut Seen, route: Route) {
        let described = self.describe(seen, route).await;
        let observed = guarded(vault::look(self, route, described.as_ref()).boxed(), Kind::VaultTimeout).await;
        seen.checks.insert(CheckName::Vault, observed);
        let rotation = self.rotation(described.as_ref(), route).await;
        let observed = guarded(
            key::look(self, seen, described.as_ref(), rotation.as_ref(), route).boxed(),
            Kind::VaultTimeout,
        )
        .await;
        seen.checks.insert(CheckName::Key, observed);
        let mut canary = None;
        let observed = guarded(
            wrap::look(self, seen, described.as_ref(), route, &mut canary).boxed(),
            Kind::VaultTimeout,
        )
        .await;
        seen.checks.insert(CheckName::Wrap, observed);
        seen.canary = canary;
        seen.checks
            .insert(CheckName::Read, read::found(self, seen, rotation.as_ref()));
        if !(seen.passed(CheckName::Wrap) && self.is_recent(CheckName::LeastPrivilege)) {
            let observed = guarded(least_privilege::look(self, seen, route).boxed(), Kind::VaultTimeout).await;
            seen.checks.insert(CheckName::LeastPrivilege, observed);
        }
        let observed = guarded(
            protection::look(self, seen, described.as_ref()).boxed(),
            Kind::VaultTimeout,
        )
        .await;
        seen.checks.insert(CheckName::Protection, observed);
    }

    /// Tries the whole on the way that the tenant has or will have.
    pub(crate) async fn at_whole(&self, seen: &mut Seen, route: Route) {
        let observed = guarded(verification::look(self, seen, route).boxed(), Kind::VaultTimeout).await;
        seen.checks.insert(CheckName::Verification, observed);
    }

    /// The keys as the tenant has or will have them.
    fn keys(&self, route: Route) -> Option<TenantKeys> {
        Some(TenantKeys {
            tenant: self.onboarding.tenant,
            directory: self.subject.directory?,
            current: self.subject.key.clone()?,
            version: self.subject.version.clone(),
            former: Vec::new(),
            policy: self.onboarding.policy,
            route,
        })
    }

    /// The key at the version that wraps, if there is somebody to ask as and something to ask for.
    async fn describe(&self, seen: &Seen, route: Route) -> Option<Result<KeyDescription, VaultError>> {
        if !seen.passed(CheckName::Consent) {
            return None;
        }
        let version = match &self.subject.version {
            VersionPolicy::FollowLatest => None,
            VersionPolicy::Pinned(version) => Some(version),
        };
        let (directory, key) = (self.subject.directory?, self.subject.key.as_ref()?);
        Some(self.parts.azure.describe(directory, key, version, route).await)
    }

    async fn rotation(
        &self,
        described: Option<&Result<KeyDescription, VaultError>>,
        route: Route,
    ) -> Option<Result<keyferry_azure::probe::RotationPolicy, VaultError>> {
        described?.as_ref().ok()?;
        let (directory, key) = (self.subject.directory?, self.subject.key.as_ref()?);
        Some(self.parts.azure.rotation_policy(directory, key, route).await)
    }

    /// A value that a check has carried along since it was last in order.
    fn carried(&self, check: CheckName, name: &str) -> Option<&str> {
        let made = self.onboarding.checks.get(&check)?;
        made.observed.finding.values.get(name).map(String::as_str)
    }

    /// A time that a check has carried along.
    fn carried_time(&self, check: CheckName, name: &str) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(self.carried(check, name)?, &Rfc3339).ok()
    }

    /// `yet` within the patience that began when `check` first found this, and `too_long` after it. Nothing spreads any more
    /// where all was in order once.
    fn patient(&self, check: CheckName, yet: Kind, too_long: Kind, patience: Duration) -> Observed {
        if matches!(self.onboarding.stage, Stage::Active { .. }) {
            return too_long.observed();
        }
        let since = self.carried_time(check, WAITING_SINCE).unwrap_or(self.now);
        let kind = if self.now < since + patience { yet } else { too_long };
        kind.observed().with(WAITING_SINCE, rfc3339(since))
    }

    /// Whether an earlier look was in order, is not old, and nobody asks for a fresh one: some looks leave many lines in the
    /// customer's log.
    fn is_recent(&self, check: CheckName) -> bool {
        self.onboarding.checks.get(&check).is_some_and(|made| {
            let passed = made.observed.status == CheckStatus::Passed;
            passed && self.now < made.checked_at + KEPT_FOR && !self.is_demanded
        })
    }
}

impl Seen {
    /// Whether a check of this look passed.
    pub(crate) fn passed(&self, check: CheckName) -> bool {
        self.checks
            .get(&check)
            .is_some_and(|observed| observed.status == CheckStatus::Passed)
    }

    /// Our principal's object id, if it was seen.
    fn object_id(&self) -> &str {
        let consent = self.checks.get(&CheckName::Consent);
        let id = consent.and_then(|observed| observed.finding.values.get("object_id"));
        id.map_or("unknown", String::as_str)
    }
}

/// A check that ends: in time, and whatever happens in it.
async fn guarded(check: BoxFuture<'_, Observed>, too_late: Kind) -> Observed {
    let guarded = tokio::time::timeout(CHECK_LIMIT, AssertUnwindSafe(check).catch_unwind());
    match guarded.await {
        Ok(Ok(observed)) => observed,
        Ok(Err(_)) => {
            tracing::error!("a check panicked");
            Kind::OurCheckBroke.observed()
        }
        Err(_) => too_late.observed(),
    }
}

/// As times are kept among a finding's values: to the second.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

const WAITING_SINCE: &str = "waiting_since";
/// How long one check may take. The calls in it have bounds of their own; this is for all of them together.
const CHECK_LIMIT: Duration = Duration::from_secs(45);
/// How long a look that leaves many lines in a customer's log is not repeated by schedule.
const KEPT_FOR: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_that_panics_is_a_finding_of_its_own() {
        #[expect(clippy::panic, reason = "that is what is tried")]
        let broken = async { panic!("on purpose") };
        let observed = guarded(broken.boxed(), Kind::VaultTimeout).await;
        assert_eq!(Kind::of(&observed.finding), Some(Kind::OurCheckBroke));
    }
}

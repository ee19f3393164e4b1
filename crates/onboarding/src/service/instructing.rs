//! What the instructions for one customer are written from.

use keyferry_registry::onboarding::{CheckName, EndpointPolicy, EndpointState, Onboarding};

use super::Onboardings;
use crate::{
    finding::{self, Kind},
    instructions::{Access, Application, Choices, Endpoint, Facts, PrivateEndpoint, VaultChoice},
};

impl Onboardings {
    /// What the instructions are written from.
    #[must_use]
    pub fn facts(&self, onboarding: &Onboarding) -> Facts {
        let answers = &onboarding.answers;
        let version = match &answers.version {
            keyferry_crypto::tenant::VersionPolicy::FollowLatest => None,
            keyferry_crypto::tenant::VersionPolicy::Pinned(version) => Some(version.clone()),
        };
        Facts {
            cloud: onboarding.cloud,
            application: Application {
                client_id: self.application(onboarding.cloud).unwrap_or_default(),
                display_name: self.config.platform_name.clone(),
            },
            directory: answers.directory,
            vault: answers.vault.clone(),
            resource: answers.resource.clone(),
            region: value(onboarding, CheckName::Protection, "location").and_then(|region| region.parse().ok()),
            key: answers.key.clone(),
            version,
            endpoint: self.endpoint(onboarding),
        }
    }

    /// Which instructions suit what was found: roles or policies, which roles, a vault that exists or one to be made.
    #[must_use]
    pub fn choices(&self, onboarding: &Onboarding) -> Choices {
        let answers = &onboarding.answers;
        Choices {
            vault: if answers.vault.is_some() || answers.resource.is_some() {
                VaultChoice::Existing
            } else {
                VaultChoice::New
            },
            access: if has_policies(onboarding) {
                Access::Policy
            } else {
                Access::default()
            },
            ..Choices::default()
        }
    }

    fn endpoint(&self, onboarding: &Onboarding) -> Option<Endpoint> {
        let required = match onboarding.endpoint_policy {
            EndpointPolicy::Off => return None,
            EndpointPolicy::Optional => false,
            EndpointPolicy::Required => true,
        };
        let made = onboarding.endpoint.as_ref().filter(|made| match made.state {
            EndpointState::Pending | EndpointState::Approved => true,
            EndpointState::Requested
            | EndpointState::Rejected
            | EndpointState::Disconnected
            | EndpointState::Failed
            | EndpointState::Leaving => false,
        });
        let offered = self.parts.endpoints.as_ref();
        let ours = offered
            .zip(made)
            .and_then(|(offered, made)| read(&offered.resource_id(&made.name)));
        Some(Endpoint { required, ours })
    }
}

/// Whether the vault was seen to have access policies: the resource manager said so, or the vault refused us by them.
fn has_policies(onboarding: &Onboarding) -> bool {
    if let Some(access) = value(onboarding, CheckName::Protection, "access") {
        return access == "policies";
    }
    let by_wrap = finding::kind(onboarding, CheckName::Wrap);
    let by_read = finding::kind(onboarding, CheckName::Read);
    matches!(by_wrap, Some(Kind::PolicyMissing | Kind::PolicyMissingYet)) || by_read == Some(Kind::ReadByPolicy)
}

fn value<'a>(onboarding: &'a Onboarding, check: CheckName, name: &str) -> Option<&'a str> {
    let made = onboarding.checks.get(&check)?;
    made.observed.finding.values.get(name).map(String::as_str)
}

/// Reads the resource id of an endpoint of ours.
fn read(id: &str) -> Option<PrivateEndpoint> {
    let segments: Vec<_> = id.split('/').collect();
    let ["", _, subscription, _, group, _, _, _, name] = segments[..] else {
        return None;
    };
    Some(PrivateEndpoint {
        subscription: subscription.parse().ok()?,
        resource_group: group.parse().ok()?,
        name: name.parse().ok()?,
    })
}

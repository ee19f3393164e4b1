//! How does the private endpoint stand, and does traffic take it?

use std::net::IpAddr;

use keyferry_azure::{
    PrivateEndpoints,
    arm::{ArmCause, ArmError, Provisioning},
};
use keyferry_crypto::{tenant::Route, vault::Evidence};
use keyferry_registry::onboarding::{CheckName, Endpoint, EndpointPolicy, EndpointState, Observed};

use super::{Looking, rfc3339, trouble};
use crate::{
    endpoint::{MESSAGE_LEN, after, generation, offered, requested, wanted},
    finding::{Kind, With as _},
};

/// What was found, and the endpoint after it.
pub(crate) struct Followed {
    pub(crate) observed: Observed,
    pub(crate) endpoint: Option<Endpoint>,
}

/// Asks for what is planned, follows what was asked for, and proves what is approved.
pub(crate) async fn follow(looking: &Looking<'_>) -> Followed {
    let onboarding = looking.onboarding;
    let offered = offered(looking.parts, looking.subject);
    match (&onboarding.endpoint, offered) {
        (None, _) => Followed {
            observed: without(looking, offered.is_some()).observed(),
            endpoint: None,
        },
        (Some(endpoint), None) => Followed {
            observed: named(Kind::OurEndpointsMissing, endpoint),
            endpoint: Some(endpoint.clone()),
        },
        (Some(endpoint), Some(offered)) => {
            // The resource manager is left alone for as long as it asked.
            if let Some(waiting) = told_to_wait(looking) {
                return Followed {
                    observed: waiting,
                    endpoint: Some(endpoint.clone()),
                };
            }
            let followed = if endpoint.state == EndpointState::Leaving {
                removed(looking, offered, endpoint).await
            } else {
                asked(looking, offered, endpoint).await
            };
            followed.unwrap_or_else(|error| Followed {
                observed: refused(looking, endpoint, &error),
                endpoint: Some(endpoint.clone()),
            })
        }
    }
}

/// Where there is no endpoint: why not.
fn without(looking: &Looking<'_>, is_offered: bool) -> Kind {
    let onboarding = looking.onboarding;
    let is_told = wanted(onboarding, looking.subject, is_offered).is_some();
    match (onboarding.endpoint_policy, is_offered, is_told) {
        (EndpointPolicy::Off, ..) => Kind::EndpointOff,
        (EndpointPolicy::Optional, false, _) => Kind::EndpointNotOffered,
        (EndpointPolicy::Required, false, _) => Kind::OurEndpointsMissing,
        (EndpointPolicy::Optional, true, false) => Kind::EndpointInvited,
        (EndpointPolicy::Required, true, false) => Kind::EndpointNeedsResource,
        (EndpointPolicy::Optional | EndpointPolicy::Required, true, true) => Kind::EndpointNotYet,
    }
}

fn told_to_wait(looking: &Looking<'_>) -> Option<Observed> {
    let until = looking.carried_time(CheckName::PrivateEndpoint, RETRY_AT)?;
    let made = looking.onboarding.checks.get(&CheckName::PrivateEndpoint)?;
    (looking.now < until).then(|| made.observed.clone())
}

/// Removes an endpoint, and has the next one begin once it is gone.
async fn removed(looking: &Looking<'_>, offered: &PrivateEndpoints, endpoint: &Endpoint) -> Result<Followed, ArmError> {
    let onboarding = looking.onboarding;
    if let Some(status) = offered.get(&endpoint.name).await? {
        if status.provisioning != Provisioning::Deleting {
            offered.delete(&endpoint.name).await?;
        }
        return Ok(Followed {
            observed: named(Kind::EndpointRemoving, endpoint).told_by(&status.evidence),
            endpoint: Some(endpoint.clone()),
        });
    }
    if may_still_come(looking, endpoint) {
        return Ok(Followed {
            observed: named(Kind::EndpointRemoving, endpoint).with(UNSEEN, true),
            endpoint: Some(endpoint.clone()),
        });
    }
    let next = generation(onboarding.tenant, &endpoint.name).saturating_add(1);
    let target = wanted(onboarding, looking.subject, true);
    let endpoint = target.map(|target| requested(onboarding.tenant, next, target, looking.now));
    let observed = match &endpoint {
        Some(endpoint) => named(Kind::EndpointRequested, endpoint),
        None => without(looking, true).observed(),
    };
    Ok(Followed { observed, endpoint })
}

/// Whether an endpoint that is not there may yet come: somebody may have asked for it just before it was to be removed, and whoever
/// takes it for gone then leaves it behind. One that was seen, and is not there any more, is gone.
fn may_still_come(looking: &Looking<'_>, endpoint: &Endpoint) -> bool {
    let before = looking.onboarding.checks.get(&CheckName::PrivateEndpoint);
    let was_seen = before.is_some_and(|check| {
        let finding = &check.observed.finding;
        finding.slug != Kind::EndpointRequested.slug() && !finding.values.contains_key(UNSEEN)
    });
    !was_seen && looking.now < endpoint.since + SETTLED
}

/// Asks how an endpoint stands; asks for it first if it was not made yet.
async fn asked(looking: &Looking<'_>, offered: &PrivateEndpoints, endpoint: &Endpoint) -> Result<Followed, ArmError> {
    let message = message(&looking.config.platform_name, looking.onboarding.display_name.as_str());
    let status = match offered.get(&endpoint.name).await? {
        // To ask for one that is there would have it made over again.
        None if endpoint.state == EndpointState::Requested => {
            Some(offered.create(&endpoint.name, &endpoint.target, &message).await?)
        }
        found => found,
    };
    let mut after = after(endpoint, status.as_ref(), looking.now);
    let evidence = status.map(|status| status.evidence).unwrap_or_default();
    let kind = match after.state {
        EndpointState::Requested => Kind::EndpointRequested,
        EndpointState::Pending => Kind::EndpointPending,
        EndpointState::Rejected => Kind::EndpointRejected,
        EndpointState::Disconnected => Kind::EndpointDisconnected,
        EndpointState::Failed => Kind::EndpointFailed,
        EndpointState::Leaving => Kind::EndpointRemoving,
        EndpointState::Approved => match after.address {
            None => Kind::EndpointApproved,
            Some(address) => {
                let proof = proof(looking, offered, &after, address).await;
                return Ok(match proof {
                    Ok(evidence) => {
                        after.is_proven = true;
                        let observed = named(Kind::EndpointProven, &after).told_by(&evidence);
                        Followed {
                            observed,
                            endpoint: Some(after),
                        }
                    }
                    // Once proven it stays in use: a vault that fails to say so is no reason to leave the private way.
                    Err(observed) => Followed {
                        observed,
                        endpoint: Some(after),
                    },
                });
            }
        },
    };
    let observed = named(kind, &after)
        .with("endpoint_id", offered.resource_id(&after.name))
        .with("message", message)
        .told_by(&evidence);
    Ok(Followed {
        observed,
        endpoint: Some(after),
    })
}

/// Proves that traffic takes the endpoint: by the vault's own word about a request that was sent to its address.
async fn proof(
    looking: &Looking<'_>,
    offered: &PrivateEndpoints,
    endpoint: &Endpoint,
    address: IpAddr,
) -> Result<Evidence, Observed> {
    let unproven = || named(Kind::EndpointUnproven, endpoint);
    let vault = looking.subject.vault.as_ref().ok_or_else(unproven)?;
    let seen = looking.parts.azure.network(vault, Route::Private(address)).await;
    let seen = seen.map_err(|error| unproven().told_by(error.evidence()))?;
    let ours = offered.resource_id(&endpoint.name);
    let is_ours = seen
        .endpoint
        .as_ref()
        .is_none_or(|named| named.eq_ignore_ascii_case(&ours));
    if seen.is_private_link && is_ours {
        Ok(seen.evidence)
    } else {
        Err(unproven().told_by(&seen.evidence))
    }
}

fn named(kind: Kind, endpoint: &Endpoint) -> Observed {
    let mut observed = kind.observed().with("endpoint", &endpoint.name);
    if let Some(address) = endpoint.address {
        observed = observed.with("address", address);
    }
    if let Some(description) = &endpoint.description {
        observed = observed.with("description", description);
    }
    observed
}

/// What an error of the resource manager means.
fn refused(looking: &Looking<'_>, endpoint: &Endpoint, error: &ArmError) -> Observed {
    let kind = match &error.cause {
        ArmCause::Token(error) => return trouble::found(looking, error),
        ArmCause::Forbidden => Kind::OurEndpointsForbidden,
        ArmCause::TargetNotFound => Kind::EndpointTargetUnknown,
        // The token was of our own directory, for our own subscription.
        ArmCause::OtherDirectory | ArmCause::Misconfigured => Kind::OurEndpointsMisconfigured,
        ArmCause::TooManyEndpoints => Kind::EndpointTooMany,
        ArmCause::Throttled => Kind::ManagerThrottled,
        ArmCause::Unavailable => Kind::ManagerUnavailable,
        ArmCause::Rejected => Kind::OurEndpointsRefused,
    };
    let observed = named(kind, endpoint).told_by(&error.evidence);
    match error.retry_after {
        Some(pause) => observed.with(RETRY_AT, rfc3339(looking.now + pause.min(LONGEST_WAIT))),
        None => observed,
    }
}

/// What the customer sees beside the connection: at most 140 characters.
fn message(platform: &str, customer: &str) -> String {
    let whole = format!("{platform}: access to the key of {customer}");
    whole.chars().filter(|c| !c.is_control()).take(MESSAGE_LEN).collect()
}

const RETRY_AT: &str = "retry_at";
const UNSEEN: &str = "unseen";
/// How long a request for an endpoint may be under way: longer than any call to the resource manager lasts as it comes.
const SETTLED: std::time::Duration = std::time::Duration::from_mins(1);
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_hours(1);

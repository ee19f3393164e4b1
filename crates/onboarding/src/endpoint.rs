//! Which private endpoint there shall be, and what becomes of it. Nobody is asked here.
//!
//! An endpoint is kept as requested before it is asked for, under a name that is made of the tenant's id and of how often it
//! was made anew: whoever dies in between leaves none behind, and whoever asks again makes no second one.

use keyferry_azure::{
    PrivateEndpoints,
    arm::{Connection, EndpointStatus, Provisioning},
};
use keyferry_crypto::id::{TenantId, VaultResource};
use keyferry_registry::onboarding::{
    CheckName, CheckStatus, Endpoint, EndpointPolicy, EndpointState, Onboarding, Stage,
};
use time::OffsetDateTime;

use crate::{checks::Subject, finding, service::Parts};

/// What the resource manager takes for a message, and what is shown of one, in characters.
pub(crate) const MESSAGE_LEN: usize = 140;
const PREFIX: &str = "keyferry-";

/// Our endpoints, if there are some in that cloud.
pub(crate) fn offered<'a>(parts: &'a Parts, subject: &Subject) -> Option<&'a PrivateEndpoints> {
    parts
        .endpoints
        .as_ref()
        .filter(|endpoints| endpoints.cloud() == subject.cloud)
}

/// The endpoint that shall be, before anybody is asked: one to begin with, the one that is, or that one on its way out. Where none
/// are offered, the one that is stays as it is: a replica that is configured otherwise takes no customer's endpoint away.
pub(crate) fn planned(
    onboarding: &Onboarding,
    subject: &Subject,
    is_offered: bool,
    now: OffsetDateTime,
) -> Option<Endpoint> {
    let target = wanted(onboarding, subject, is_offered);
    match (&onboarding.endpoint, target) {
        (None, Some(target)) if may_begin(onboarding) => Some(requested(onboarding.tenant, 1, target, now)),
        (None, _) => None,
        (Some(endpoint), _) if !is_offered => Some(endpoint.clone()),
        (Some(endpoint), target) if endpoint.state == EndpointState::Leaving || target == Some(&endpoint.target) => {
            Some(endpoint.clone())
        }
        (Some(endpoint), _) => Some(leaving(endpoint, now)),
    }
}

/// That endpoint, to be removed; another takes its place if one is still wanted.
pub(crate) fn leaving(endpoint: &Endpoint, now: OffsetDateTime) -> Endpoint {
    Endpoint {
        state: EndpointState::Leaving,
        since: now,
        ..endpoint.clone()
    }
}

/// Which vault there shall be an endpoint to.
pub(crate) fn wanted<'a>(onboarding: &'a Onboarding, subject: &Subject, is_offered: bool) -> Option<&'a VaultResource> {
    let is_wanted = match onboarding.stage {
        Stage::Open | Stage::Active { .. } => onboarding.endpoint_policy != EndpointPolicy::Off && is_offered,
        Stage::Closing { .. } | Stage::Closed { .. } => false,
    };
    let vault = subject.vault.as_ref().filter(|_| is_wanted)?;
    let resource = onboarding.answers.resource.as_ref();
    resource.filter(|resource| resource.is_at(vault))
}

/// Whether enough is proven of the customer that something is made for it in our subscription.
fn may_begin(onboarding: &Onboarding) -> bool {
    [CheckName::Directory, CheckName::Consent]
        .into_iter()
        .all(|check| finding::status(onboarding, check) == CheckStatus::Passed)
}

pub(crate) fn requested(tenant: TenantId, generation: u32, target: &VaultResource, now: OffsetDateTime) -> Endpoint {
    Endpoint {
        name: format!("{PREFIX}{tenant}-{generation}"),
        target: target.clone(),
        state: EndpointState::Requested,
        description: None,
        address: None,
        is_proven: false,
        since: now,
    }
}

/// How often the endpoint of that name was made anew, from 1.
pub(crate) fn generation(tenant: TenantId, name: &str) -> u32 {
    let number = name.strip_prefix(&format!("{PREFIX}{tenant}-"));
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// The endpoint after the resource manager said how it stands.
pub(crate) fn after(endpoint: &Endpoint, status: Option<&EndpointStatus>, now: OffsetDateTime) -> Endpoint {
    let mut after = endpoint.clone();
    after.state = match status {
        // It is gone from our side. What the customer decided stays decided.
        None => match endpoint.state {
            EndpointState::Rejected | EndpointState::Disconnected => endpoint.state,
            EndpointState::Requested
            | EndpointState::Pending
            | EndpointState::Approved
            | EndpointState::Failed
            | EndpointState::Leaving => EndpointState::Failed,
        },
        Some(status) => match (status.provisioning, status.connection) {
            (_, Connection::Rejected) => EndpointState::Rejected,
            (_, Connection::Disconnected) => EndpointState::Disconnected,
            // What was approved and is there goes on being used until it is gone: a change of ours that failed closes no way.
            (_, Connection::Approved) if endpoint.state == EndpointState::Approved => EndpointState::Approved,
            (Provisioning::Failed | Provisioning::Deleting, _) => EndpointState::Failed,
            (_, Connection::Approved) => EndpointState::Approved,
            (Provisioning::Updating, Connection::Pending) => EndpointState::Requested,
            (Provisioning::Succeeded, Connection::Pending) => EndpointState::Pending,
        },
    };
    if let Some(status) = status {
        after.description = status.description.as_deref().map(shown);
        // An answer that leaves the address out takes none away. At another address nothing is proven yet.
        let is_kept = status.address.is_none() && after.state == EndpointState::Approved;
        if !is_kept && status.address != after.address {
            after.is_proven = false;
            after.address = status.address;
        }
    }
    if after.state != endpoint.state {
        after.since = now;
    }
    after
}

/// What somebody on the customer's side wrote, as far as it is shown.
fn shown(description: &str) -> String {
    description
        .chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE_LEN)
        .collect()
}

#[cfg(test)]
mod tests {
    use keyferry_crypto::vault::Evidence;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-07-01 12:00 UTC);
    const ACME: TenantId = TenantId(Uuid::from_u128(7));

    fn target() -> VaultResource {
        let id = "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.KeyVault/vaults/acme";
        id.parse().unwrap()
    }

    fn status(provisioning: Provisioning, connection: Connection, address: &str) -> EndpointStatus {
        EndpointStatus {
            provisioning,
            connection,
            description: Some("no\nway".into()),
            address: address.parse().ok(),
            target: target(),
            evidence: Evidence::default(),
        }
    }

    #[test]
    fn a_name_tells_how_often_it_was_made_anew() {
        for made in [1, 2, 40] {
            let endpoint = requested(ACME, made, &target(), NOW);
            assert_eq!(generation(ACME, &endpoint.name), made);
            assert!(endpoint.name.len() <= 64);
        }
        assert_eq!(generation(ACME, "somebody-elses-9"), 1);
    }

    #[test]
    fn what_the_customer_decided_outweighs_how_the_making_goes() {
        use {Connection as C, EndpointState as S, Provisioning as P};
        let before = requested(ACME, 1, &target(), NOW);
        for (provisioning, connection, state) in [
            (P::Updating, C::Pending, S::Requested),
            (P::Succeeded, C::Pending, S::Pending),
            (P::Succeeded, C::Approved, S::Approved),
            (P::Updating, C::Approved, S::Approved),
            (P::Failed, C::Pending, S::Failed),
            (P::Deleting, C::Approved, S::Failed),
            (P::Failed, C::Rejected, S::Rejected),
            (P::Succeeded, C::Disconnected, S::Disconnected),
        ] {
            let status = status(provisioning, connection, "10.0.0.4");
            assert_eq!(
                after(&before, Some(&status), NOW).state,
                state,
                "{provisioning:?} {connection:?}"
            );
        }
    }

    #[test]
    fn one_that_is_gone_from_our_side_failed_unless_it_was_refused() {
        let with = |state| Endpoint {
            state,
            ..requested(ACME, 1, &target(), NOW)
        };
        let gone = |state| after(&with(state), None, NOW).state;
        assert_eq!(gone(EndpointState::Approved), EndpointState::Failed);
        assert_eq!(gone(EndpointState::Rejected), EndpointState::Rejected);
        assert_eq!(gone(EndpointState::Disconnected), EndpointState::Disconnected);
    }

    #[test]
    fn at_another_address_nothing_is_proven() {
        let mut endpoint = requested(ACME, 1, &target(), NOW);
        (endpoint.address, endpoint.is_proven) = ("10.0.0.4".parse().ok(), true);
        let told = |address| {
            let status = status(Provisioning::Succeeded, Connection::Approved, address);
            after(&endpoint, Some(&status), NOW)
        };
        assert!(told("10.0.0.4").is_proven);
        assert!(!told("10.0.0.5").is_proven);
    }

    #[test]
    fn one_odd_answer_takes_nothing_from_an_endpoint_in_use() {
        let in_use = Endpoint {
            state: EndpointState::Approved,
            address: "10.0.0.4".parse().ok(),
            is_proven: true,
            ..requested(ACME, 1, &target(), NOW)
        };
        for (provisioning, address) in [
            (Provisioning::Succeeded, ""),
            (Provisioning::Updating, ""),
            (Provisioning::Failed, "10.0.0.4"),
            (Provisioning::Deleting, "10.0.0.4"),
        ] {
            let status = EndpointStatus {
                description: None,
                ..status(provisioning, Connection::Approved, address)
            };
            assert_eq!(
                after(&in_use, Some(&status), NOW),
                in_use,
                "{provisioning:?} {address:?}"
            );
        }
    }

    #[test]
    fn what_somebody_wrote_is_shown_without_control_characters() {
        let status = status(Provisioning::Succeeded, Connection::Rejected, "");
        let endpoint = after(&requested(ACME, 1, &target(), NOW), Some(&status), NOW);
        assert_eq!(endpoint.description.as_deref(), Some("noway"));
    }
}

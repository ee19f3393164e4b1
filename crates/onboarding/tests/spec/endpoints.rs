//! The private endpoint: made once, followed, used when approved, and never left for the public network in silence.

use keyferry_crypto::{id::TenantId, tenant::Route};
use keyferry_emulator::{Decision, Fault, Network, Operation, Order};
use keyferry_onboarding::{
    Change, OnboardingError, Typed,
    finding::{Audience, Kind},
};
use keyferry_registry::onboarding::{Actor, CheckName, EndpointPolicy, EndpointState, Onboarding, Stage};
use uuid::Uuid;

use crate::world::{VAULT, World, found, now};

const MANAGER: &str = "management.azure.com";

fn decide(world: &World, onboarding: &Onboarding, decision: Decision) {
    world.order(Order::DecideConnection {
        host: VAULT.into(),
        connection: onboarding.endpoint.as_ref().unwrap().name.clone(),
        decision,
        description: "not by us".into(),
    });
}

/// An onboarding whose endpoint awaits approval.
async fn pending(world: &World, policy: EndpointPolicy) -> Onboarding {
    let (opened, _) = world.open(policy).await;
    world
        .verify_until(opened.tenant, |onboarding| {
            found(onboarding, CheckName::PrivateEndpoint) == Kind::EndpointPending
        })
        .await
}

async fn route(world: &World) -> Route {
    let tenant = world.registry.find(&"acme".parse().unwrap()).await.unwrap();
    tenant.unwrap().keys.route
}

#[tokio::test]
async fn a_required_endpoint_is_made_once_approved_proven_and_used() {
    let mut world = World::ready().await;
    world.network(Network::Closed);
    let onboarding = pending(&world, EndpointPolicy::Required).await;
    assert_eq!(found(&onboarding, CheckName::Vault), Kind::VaultAwaitsEndpoint);
    let told = world
        .onboardings
        .told(&onboarding, CheckName::PrivateEndpoint, Audience::Customer);
    let id = &onboarding.endpoint.as_ref().unwrap().name;
    assert!(told.text.contains(id.as_str()) && told.commands.unwrap().contains(id.as_str()));
    world.restart();
    world.verify(onboarding.tenant).await;
    assert_eq!(
        world.emulator.count(MANAGER, Operation::PutPrivateEndpoint),
        1,
        "asked for once"
    );
    decide(&world, &onboarding, Decision::Approve);
    let active = world
        .verify_until(onboarding.tenant, |onboarding| {
            matches!(onboarding.stage, Stage::Active { .. })
        })
        .await;
    assert_eq!(found(&active, CheckName::PrivateEndpoint), Kind::EndpointProven);
    let address = active.endpoint.unwrap().address.unwrap();
    assert_eq!(route(&world).await, Route::Private(address));
}

#[tokio::test]
async fn a_rejected_one_is_told_and_made_anew_under_another_name_when_asked() {
    let world = World::ready().await;
    let first = pending(&world, EndpointPolicy::Required).await;
    decide(&world, &first, Decision::Reject);
    let rejected = world.verify(first.tenant).await;
    assert_eq!(found(&rejected, CheckName::PrivateEndpoint), Kind::EndpointRejected);
    let told = world
        .onboardings
        .told(&rejected, CheckName::PrivateEndpoint, Audience::Customer);
    assert!(told.text.contains("not by us"), "{told:?}");
    world
        .onboardings
        .retry_endpoint(first.tenant, Actor::Operator)
        .await
        .unwrap();
    let again = world
        .verify_until(first.tenant, |onboarding| {
            found(onboarding, CheckName::PrivateEndpoint) == Kind::EndpointPending
        })
        .await;
    assert_ne!(again.endpoint.unwrap().name, first.endpoint.unwrap().name);
}

#[tokio::test]
async fn one_that_is_removed_closes_the_way_and_opens_no_public_one() {
    for (policy, allows, left) in [
        (EndpointPolicy::Required, true, Route::Closed),
        (EndpointPolicy::Optional, false, Route::Closed),
        (EndpointPolicy::Optional, true, Route::Public),
    ] {
        let world = World::ready().await;
        let onboarding = pending(&world, policy).await;
        let change = Change {
            allows_public_path: Some(allows),
            ..Change::default()
        };
        world.onboardings.change(&onboarding.slug, None, change).await.unwrap();
        decide(&world, &onboarding, Decision::Approve);
        world
            .verify_until(onboarding.tenant, |onboarding| {
                found(onboarding, CheckName::PrivateEndpoint) == Kind::EndpointProven
            })
            .await;
        assert!(matches!(route(&world).await, Route::Private(_)), "{policy:?}");
        decide(&world, &onboarding, Decision::Remove);
        let after = world.verify(onboarding.tenant).await;
        assert_eq!(found(&after, CheckName::PrivateEndpoint), Kind::EndpointDisconnected);
        assert!(matches!(after.stage, Stage::Active { .. }));
        assert_eq!(route(&world).await, left, "{policy:?} {allows}");
        if left == Route::Closed {
            assert_eq!(found(&after, CheckName::Vault), Kind::EndpointShut);
        }
    }
}

/// A customer whose endpoint is in use.
async fn in_use(world: &World) -> Onboarding {
    let onboarding = pending(world, EndpointPolicy::Required).await;
    decide(world, &onboarding, Decision::Approve);
    world
        .verify_until(onboarding.tenant, |onboarding| {
            matches!(onboarding.stage, Stage::Active { .. })
        })
        .await
}

#[tokio::test]
async fn an_endpoint_whose_vault_is_asked_in_vain_is_looked_at_at_once_and_leaves_no_trace_of_it() {
    let world = World::ready().await;
    let active = in_use(&world).await;
    let history = async || world.onboardings.history(&active, None, 1_000).await.unwrap();
    let before = history().await;
    assert!(active.schedule.due_at.unwrap() > now());
    assert!(world.onboardings.look_soon(active.tenant).await.unwrap());
    let found = world.onboardings.find(&active.slug).await.unwrap().unwrap();
    assert!(found.schedule.due_at.unwrap() <= now());
    assert_eq!(history().await, before);
    assert!(!world.onboardings.look_soon(active.tenant).await.unwrap(), "it is due");
}

#[tokio::test]
async fn where_there_is_no_endpoint_there_is_none_to_be_looked_at() {
    let world = World::ready().await;
    let (open, _) = world.open(EndpointPolicy::Off).await;
    assert!(!world.onboardings.look_soon(open.tenant).await.unwrap());
    assert!(!world.onboardings.look_soon(TenantId(Uuid::from_u128(9))).await.unwrap());
}

#[tokio::test]
async fn a_replica_that_makes_no_endpoints_leaves_those_that_are_there_alone() {
    let world = World::ready().await;
    let active = in_use(&world).await;
    let other = world.replica_without_endpoints();
    let seen = other.verify(active.tenant).await.unwrap();
    assert_eq!(found(&seen, CheckName::PrivateEndpoint), Kind::OurEndpointsMissing);
    assert_eq!(seen.endpoint, active.endpoint);
    assert!(matches!(route(&world).await, Route::Private(_)));
    let again = world.verify(active.tenant).await;
    assert_eq!(found(&again, CheckName::PrivateEndpoint), Kind::EndpointProven);
}

#[tokio::test]
async fn once_it_is_in_use_the_page_takes_nothing_from_under_it() {
    let world = World::ready().await;
    let active = in_use(&world).await;
    let elsewhere =
        format!("{}", active.answers.resource.as_ref().unwrap()).replace("resourceGroups/", "resourceGroups/x");
    for resource in [String::new(), elsewhere] {
        let typed = Typed {
            resource: Some(resource.clone()),
            ..Typed::default()
        };
        let refused = world.onboardings.answer(active.tenant, typed).await;
        assert!(matches!(refused, Err(OnboardingError::Stage("active"))), "{resource}");
    }
    assert!(matches!(route(&world).await, Route::Private(_)));
}

#[tokio::test]
async fn an_optional_one_that_is_pending_holds_nothing_up() {
    let world = World::ready().await;
    let onboarding = pending(&world, EndpointPolicy::Optional).await;
    assert!(matches!(onboarding.stage, Stage::Active { .. }));
    assert_eq!(route(&world).await, Route::Public);
}

#[tokio::test]
async fn giving_up_removes_the_endpoint_before_the_end() {
    let world = World::ready().await;
    let onboarding = pending(&world, EndpointPolicy::Required).await;
    world.onboardings.close(&onboarding.slug, None).await.unwrap();
    let closed = world
        .verify_until(onboarding.tenant, |onboarding| {
            matches!(onboarding.stage, Stage::Closed { .. })
        })
        .await;
    assert_eq!(closed.endpoint, None);
    assert!(world.emulator.count(MANAGER, Operation::DeletePrivateEndpoint) > 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_endpoint() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Required).await;
    world.fault(MANAGER, Some(Operation::PutPrivateEndpoint), Fault::Truncate);
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::PrivateEndpoint), Kind::ManagerUnavailable);
    let kept = onboarding.endpoint.unwrap();
    assert_eq!(kept.state, EndpointState::Requested);
    world.order(Order::ClearFaults);
    let onboarding = world
        .verify_until(opened.tenant, |onboarding| {
            found(onboarding, CheckName::PrivateEndpoint) == Kind::EndpointPending
        })
        .await;
    assert_eq!(onboarding.endpoint.unwrap().name, kept.name);
}

#[tokio::test]
async fn a_manager_that_asks_for_time_is_given_it() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Required).await;
    let fault = Fault::Throttle { retry_after: Some(600) };
    world.fault(MANAGER, Some(Operation::PutPrivateEndpoint), fault);
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::PrivateEndpoint), Kind::ManagerThrottled);
    let asked = world.emulator.count(MANAGER, Operation::PutPrivateEndpoint);
    world.verify(opened.tenant).await;
    assert_eq!(world.emulator.count(MANAGER, Operation::PutPrivateEndpoint), asked);
    crate::world::later(std::time::Duration::from_secs(601));
    world.verify(opened.tenant).await;
    assert!(world.emulator.count(MANAGER, Operation::PutPrivateEndpoint) > asked);
}

//! The way to a tenant's vault: what an onboarding makes of its private endpoint, and what a tenant refuses meanwhile.

use keyferry_crypto::{
    id::{Cloud, KeyRef},
    tenant::{Route, VersionPolicy},
};
use keyferry_registry::{
    ChangeError, Tenant, TenantStatus,
    onboarding::{EndpointPolicy, EndpointState, Onboarding},
};

use crate::{
    customers::{complete, onboarding},
    stores::{at, clock},
    world::{key, tenant},
};

const PRIVATE: Route = Route::Private(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 4, 5)));

/// An onboarding whose endpoint stands so, if it has one.
fn standing(policy: EndpointPolicy, state: Option<EndpointState>) -> Onboarding {
    let mut acme = complete("acme");
    acme.endpoint_policy = policy;
    acme.allows_public_path = false;
    match state {
        Some(state) => acme.endpoint.as_mut().expect("there").state = state,
        None => acme.endpoint = None,
    }
    acme
}

fn states() -> impl Iterator<Item = Option<EndpointState>> {
    EndpointState::ALL.into_iter().map(Some).chain([None])
}

#[test]
fn an_endpoint_that_must_be_is_never_gone_around() {
    for state in states() {
        for before in [Route::Public, PRIVATE, Route::Closed] {
            let mut acme = standing(EndpointPolicy::Required, state);
            for allows in [false, true] {
                acme.allows_public_path = allows;
                let expected = match state {
                    Some(EndpointState::Approved) => PRIVATE,
                    _ => Route::Closed,
                };
                assert_eq!(acme.route(before), expected, "{state:?} after {before:?}");
            }
        }
    }
}

#[test]
fn an_endpoint_that_may_be_is_used_once_it_is_proven() {
    let mut acme = standing(EndpointPolicy::Optional, Some(EndpointState::Approved));
    assert_eq!(acme.route(Route::Public), PRIVATE);
    acme.endpoint.as_mut().expect("there").is_proven = false;
    assert_eq!(acme.route(Route::Public), Route::Public);
    let pending = standing(EndpointPolicy::Optional, Some(EndpointState::Pending));
    assert_eq!(pending.route(Route::Public), Route::Public);
    let none = standing(EndpointPolicy::Optional, None);
    assert_eq!(none.route(Route::Public), Route::Public);
}

#[test]
fn what_a_customer_takes_away_is_not_gone_around_unless_policy_says_so() {
    for state in [EndpointState::Rejected, EndpointState::Disconnected] {
        for before in [Route::Public, PRIVATE, Route::Closed] {
            let mut acme = standing(EndpointPolicy::Optional, Some(state));
            assert_eq!(acme.route(before), Route::Closed, "{state:?} after {before:?}");
            acme.allows_public_path = true;
            assert_eq!(acme.route(before), Route::Public, "{state:?} after {before:?}");
        }
    }
}

/// Another endpoint is asked for, and the customer has not approved it yet.
#[test]
fn nor_is_it_while_another_is_made() {
    for state in [
        Some(EndpointState::Requested),
        Some(EndpointState::Pending),
        Some(EndpointState::Failed),
        Some(EndpointState::Leaving),
        None,
    ] {
        for before in [PRIVATE, Route::Closed] {
            let acme = standing(EndpointPolicy::Optional, state);
            assert_eq!(acme.route(before), Route::Closed, "{state:?} after {before:?}");
        }
    }
}

/// Public by permission, and the permission is taken back while another endpoint is made.
#[test]
fn nor_where_the_public_network_was_allowed_only_for_a_while() {
    for state in [Some(EndpointState::Requested), Some(EndpointState::Pending), None] {
        let mut acme = standing(EndpointPolicy::Optional, state);
        acme.was_private = true;
        acme.allows_public_path = true;
        assert_eq!(acme.route(Route::Public), Route::Public, "{state:?}");
        acme.allows_public_path = false;
        assert_eq!(acme.route(Route::Public), Route::Closed, "{state:?}");
    }
}

#[test]
fn without_endpoints_the_way_is_public() {
    for state in states() {
        let acme = standing(EndpointPolicy::Off, state);
        assert_eq!(acme.route(Route::Closed), Route::Public);
    }
}

#[test]
fn an_onboarding_ends_in_its_tenant() {
    let acme = complete("acme");
    let tenant = Tenant::onboarded(&acme, at(9)).expect("complete");
    assert_eq!((&tenant.slug, &tenant.display_name), (&acme.slug, &acme.display_name));
    assert_eq!((tenant.cloud, tenant.status), (acme.cloud, TenantStatus::Active));
    assert_eq!((tenant.created_at, tenant.updated_at), (at(9), at(9)));
    let keys = tenant.keys;
    assert_eq!(
        (keys.tenant, Some(keys.directory)),
        (acme.tenant, acme.answers.directory)
    );
    assert_eq!((keys.current, keys.version), (key("kek"), acme.answers.version.clone()));
    assert_eq!((keys.policy, keys.route), (acme.policy, PRIVATE));
    assert!(keys.former.is_empty());
}

#[test]
fn an_onboarding_that_is_not_complete_ends_in_none() {
    let incomplete = |change: fn(&mut Onboarding)| {
        let mut acme = complete("acme");
        change(&mut acme);
        Tenant::onboarded(&acme, clock()).expect_err("incomplete")
    };
    assert_eq!(
        incomplete(|acme| acme.answers.directory = None),
        ChangeError::Incomplete
    );
    assert_eq!(incomplete(|acme| acme.answers.vault = None), ChangeError::Incomplete);
    assert_eq!(incomplete(|acme| acme.answers.key = None), ChangeError::Incomplete);
    assert_eq!(incomplete(|acme| acme.cloud = Cloud::China), ChangeError::OtherCloud);
    assert_eq!(
        incomplete(|acme| acme.policy.lease_max_messages = 0),
        ChangeError::LeaseMessages
    );
    assert!(Tenant::onboarded(&onboarding("bare"), clock()).is_err());
}

#[test]
fn another_vault_is_refused_while_there_is_no_public_way() {
    let elsewhere = KeyRef {
        vault: "other.vault.azure.net".parse().expect("a host"),
        name: key("kek").name,
    };
    for route in [PRIVATE, Route::Closed] {
        let mut acme = tenant("acme");
        acme.change_route(route);
        let before = acme.clone();
        let refused = acme.change_key(elsewhere.clone(), VersionPolicy::FollowLatest);
        assert_eq!(refused, Err(ChangeError::OtherVault));
        assert_eq!(acme, before);
        acme.change_key(key("next"), VersionPolicy::FollowLatest)
            .expect("another key of the same vault");
        acme.change_route(Route::Public);
        acme.change_key(elsewhere.clone(), VersionPolicy::FollowLatest)
            .expect("changed");
    }
}

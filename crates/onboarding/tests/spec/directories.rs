//! Whoever holds a link may type any directory: another's waits for an operator's word.

use keyferry_onboarding::{
    Change, NewOnboarding, Typed,
    finding::{Audience, Kind, told},
};
use keyferry_registry::onboarding::{CheckName, CheckStatus, EndpointPolicy, Onboarding, Stage};

use crate::world::{World, answers, found, new};

/// A second customer's onboarding, of which nothing is told yet.
async fn second(world: &World) -> Onboarding {
    let second = NewOnboarding {
        slug: "second".parse().unwrap(),
        ..new(EndpointPolicy::Off, Typed::default())
    };
    world.onboardings.open(second, None).await.unwrap().0.onboarding
}

/// Its holder types all that is the first one's.
async fn types_all(world: &World, onboarding: &Onboarding) -> Onboarding {
    world.onboardings.answer(onboarding.tenant, answers()).await.unwrap();
    world.verify(onboarding.tenant).await
}

fn confirming() -> Change {
    Change {
        confirms_directory: true,
        ..Change::default()
    }
}

#[tokio::test]
async fn a_tenants_directory_opens_nothing_to_whoever_types_it() {
    let world = World::ready().await;
    let (first, _) = world.open(EndpointPolicy::Off).await;
    let first = world.verify(first.tenant).await;
    assert!(matches!(first.stage, Stage::Active { .. }));

    let held = types_all(&world, &second(&world).await).await;
    assert_eq!(held.stage, Stage::Open);
    assert_eq!(found(&held, CheckName::Directory), Kind::DirectoryHeld);
    for check in [
        CheckName::Consent,
        CheckName::Key,
        CheckName::Wrap,
        CheckName::LeastPrivilege,
    ] {
        assert_eq!(held.checks[&check].observed.status, CheckStatus::Pending, "{check:?}");
        assert!(held.checks[&check].observed.evidence.is_none());
    }
    let said = told(&held, CheckName::Directory, Audience::Customer).text;
    assert!(!said.contains("acme") && !said.contains("tenant"), "{said}");

    let slug = "second".parse().unwrap();
    world.onboardings.change(&slug, None, confirming()).await.unwrap();
    let confirmed = world.verify(held.tenant).await;
    assert!(
        matches!(confirmed.stage, Stage::Active { .. }),
        "{:?}",
        confirmed.checks
    );
}

#[tokio::test]
async fn of_two_under_way_both_wait_until_one_is_confirmed() {
    let world = World::ready().await;
    let (first, _) = world.open_with(EndpointPolicy::Off, Typed::default()).await;
    let second = second(&world).await;
    world.onboardings.answer(second.tenant, answers()).await.unwrap();
    let first = types_all(&world, &first).await;
    let second = world.verify(second.tenant).await;
    for held in [&first, &second] {
        assert_eq!(found(held, CheckName::Directory), Kind::DirectoryHeld, "{}", held.slug);
    }
    world.onboardings.change(&first.slug, None, confirming()).await.unwrap();
    assert!(matches!(world.verify(first.tenant).await.stage, Stage::Active { .. }));
    assert_eq!(
        found(&world.verify(second.tenant).await, CheckName::Directory),
        Kind::DirectoryHeld
    );
}

#[tokio::test]
async fn a_directory_that_the_customer_changes_is_confirmed_no_more() {
    let world = World::ready().await;
    let (first, _) = world.open(EndpointPolicy::Off).await;
    assert_eq!(
        first.confirmed_directory, first.answers.directory,
        "an operator answered it"
    );
    let other = Typed {
        directory: Some("0d000000-0000-4000-8000-00000000000d".to_owned()),
        ..Typed::default()
    };
    let changed = world.onboardings.answer(first.tenant, other).await.unwrap();
    assert_eq!(changed.confirmed_directory, None);
    let back = world.onboardings.answer(first.tenant, answers()).await.unwrap();
    assert_eq!(back.confirmed_directory, None);
}

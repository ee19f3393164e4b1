//! Consent comes back by a browser: it is believed only as far as a token proves it, and taken once.

use std::time::Duration;

use keyferry_onboarding::{
    consent::{ConsentError, ConsentReturn},
    finding::Kind,
};
use keyferry_registry::onboarding::{CheckName, EndpointPolicy, Onboarding};
use url::Url;
use uuid::Uuid;

use crate::world::{DIRECTORY, World, found, later};

fn state(link: &Url) -> String {
    let state = link.query_pairs().find(|(name, _)| name == "state");
    state.unwrap().1.into_owned()
}

fn yes(state: String) -> ConsentReturn {
    ConsentReturn {
        state: Some(state),
        tenant: Some(DIRECTORY.to_string()),
        admin_consent: Some("True".into()),
        ..ConsentReturn::default()
    }
}

async fn begun(world: &World) -> (Onboarding, String) {
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let link = world.onboardings.begin_consent(opened.tenant).await.unwrap();
    assert_eq!(link.host_str(), Some("login.microsoftonline.com"));
    let redirect = link.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
    assert_eq!(redirect, "https://keys.example.com/onboarding/consent");
    (opened, state(&link))
}

#[tokio::test]
async fn consent_that_came_back_is_waited_for_and_proven_by_a_token() {
    let world = World::new().await;
    let (opened, state) = begun(&world).await;
    let (_, back) = world.onboardings.end_consent(yes(state)).await.unwrap();
    assert!(back.as_str().starts_with("https://keys.example.com/onboarding/"));
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Consent), Kind::ConsentSpreading);
    later(Duration::from_mins(59));
    assert_eq!(
        found(&world.verify(opened.tenant).await, CheckName::Consent),
        Kind::ConsentSpreading
    );
    later(Duration::from_mins(2));
    assert_eq!(
        found(&world.verify(opened.tenant).await, CheckName::Consent),
        Kind::ConsentMissing
    );
    world.consent();
    assert_eq!(
        found(&world.verify(opened.tenant).await, CheckName::Consent),
        Kind::ConsentGiven
    );
}

#[tokio::test]
async fn an_answer_is_taken_once() {
    let world = World::new().await;
    let (_, state) = begun(&world).await;
    world.onboardings.end_consent(yes(state.clone())).await.unwrap();
    let again = world.onboardings.end_consent(yes(state)).await;
    assert!(matches!(again, Err(ConsentError::Used)));
}

#[tokio::test]
async fn a_newer_consent_voids_the_one_before() {
    let world = World::new().await;
    let (opened, first) = begun(&world).await;
    let link = world.onboardings.begin_consent(opened.tenant).await.unwrap();
    assert!(matches!(
        world.onboardings.end_consent(yes(first)).await,
        Err(ConsentError::Used)
    ));
    assert!(world.onboardings.end_consent(yes(state(&link))).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_took_too_long_is_refused() {
    let world = World::new().await;
    let (_, state) = begun(&world).await;
    later(Duration::from_hours(1));
    assert!(matches!(
        world.onboardings.end_consent(yes(state)).await,
        Err(ConsentError::Expired)
    ));
}

#[tokio::test]
async fn an_answer_that_nobody_awaits_is_forged() {
    let world = World::new().await;
    let (_, link) = world.open(EndpointPolicy::Off).await;
    let of_link = link.path_segments().unwrap().next_back().unwrap().to_owned();
    for state in [None, Some(String::new()), Some("A".repeat(96)), Some(of_link)] {
        let came_back = ConsentReturn {
            state,
            ..yes(String::new())
        };
        let refused = world.onboardings.end_consent(came_back).await;
        assert!(matches!(refused, Err(ConsentError::Forged)));
    }
}

#[tokio::test]
async fn an_error_is_an_error_though_consent_is_said_to_be_given() {
    let world = World::new().await;
    let (opened, state) = begun(&world).await;
    let came_back = ConsentReturn {
        error: Some("consent_required".into()),
        error_code: Some("AADSTS65004".into()),
        ..yes(state.clone())
    };
    let refused = world.onboardings.end_consent(came_back).await;
    assert!(matches!(refused, Err(ConsentError::Denied { code: Some(code), .. }) if code == "AADSTS65004"));
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Consent), Kind::ConsentMissing);
    assert!(matches!(
        world.onboardings.end_consent(yes(state)).await,
        Err(ConsentError::Used)
    ));
}

#[tokio::test]
async fn a_swapped_directory_is_not_taken() {
    let world = World::new().await;
    let (opened, state) = begun(&world).await;
    let came_back = ConsentReturn {
        tenant: Some(Uuid::from_u128(0x666).to_string()),
        ..yes(state)
    };
    let refused = world.onboardings.end_consent(came_back).await;
    assert!(matches!(refused, Err(ConsentError::OtherDirectory { .. })));
    let kept = world.onboardings.find(&opened.slug).await.unwrap().unwrap();
    assert_eq!(kept.answers, opened.answers);
}

#[tokio::test]
async fn where_an_emulator_stands_for_entra_consent_is_asked_for_there() {
    let world = World::new().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let there = world.signing_in_at("http://127.0.0.1:4711/");
    let link = there.begin_consent(opened.tenant).await.unwrap();
    let expected = format!("http://127.0.0.1:4711/{DIRECTORY}/adminconsent");
    assert!(link.as_str().starts_with(&expected), "{link}");
    assert!(there.end_consent(yes(state(&link))).await.is_ok());
}

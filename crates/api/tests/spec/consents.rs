//! What Entra sends an administrator back with.

use http::Method;
use serde_json::Value;
use url::Url;

use crate::{
    browser::Browser,
    reply::Reply,
    world::{APPLICATION, PUBLIC_URL, World},
};

const DIRECTORY: &str = "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11";
const ANOTHER: &str = "7c0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a33";

/// Begins a consent, and answers the state that Entra would bring back.
async fn begin(browser: &Browser) -> String {
    let sent = Reply::to(browser.sends("/consent", &[])).await;
    let sign_in: Url = sent.leads_to().parse().unwrap();
    let value = |name: &str| {
        let mut pairs = sign_in.query_pairs();
        pairs.find(|(of, _)| of == name).unwrap().1.into_owned()
    };
    assert_eq!(value("client_id"), APPLICATION.to_string());
    assert_eq!(value("redirect_uri"), format!("{PUBLIC_URL}/onboarding/consent"));
    value("state")
}

async fn comes_back(browser: &Browser, query: &[(&str, &str)]) -> Reply {
    Reply::to(browser.asks_for("/onboarding/consent").query(query)).await
}

async fn tells_its_directory(browser: &Browser) {
    Reply::to(browser.sends("/answers", &[("directory", DIRECTORY)]))
        .await
        .leads_to();
}

async fn shown(world: &World) -> Value {
    Reply::to(world.onboarding(Method::GET, "/globex-to-be"))
        .await
        .with(200)
}

#[tokio::test]
async fn a_consent_that_comes_back_leads_to_the_page_once() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    tells_its_directory(&browser).await;
    let state = begin(&browser).await;
    let query = [("admin_consent", "True"), ("tenant", DIRECTORY), ("state", &state)];
    let back = comes_back(&browser, &query).await;
    assert_eq!(back.leads_to(), format!("{PUBLIC_URL}{}#authorize", browser.page));
    comes_back(&browser, &query).await.page(400);
    // That it came back proves nothing.
    let checks = shown(&world).await["checks"].clone();
    let consent = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == "consent");
    assert_ne!(consent.unwrap()["status"], "passed");
}

#[tokio::test]
async fn a_refusal_is_read_before_whatever_else_is_said_and_shows_the_way_back() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let state = begin(&browser).await;
    let query = [
        ("admin_consent", "True"),
        ("tenant", DIRECTORY),
        ("error", "access_denied"),
        ("error_description", "AADSTS65004: <b>User declined</b> to consent"),
        ("state", &state),
    ];
    let reply = comes_back(&browser, &query).await;
    let html = reply.page(200);
    assert!(
        html.contains("was not authorized") && html.contains("<code>AADSTS65004</code>"),
        "{html}"
    );
    assert!(!html.contains("User declined"), "{html}");
    assert!(
        html.contains(&format!("href=\"{PUBLIC_URL}{}\"", browser.page)),
        "{html}"
    );
    comes_back(&browser, &query).await.page(400);
}

#[tokio::test]
async fn a_consent_in_another_directory_is_not_taken() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    tells_its_directory(&browser).await;
    let state = begin(&browser).await;
    let query = [("admin_consent", "True"), ("tenant", ANOTHER), ("state", &state)];
    let reply = comes_back(&browser, &query).await;
    let html = reply.page(200);
    assert!(html.contains("another directory") && !html.contains(ANOTHER), "{html}");
    assert_eq!(shown(&world).await["answers"]["directory_id"], DIRECTORY);
}

#[tokio::test]
async fn only_the_newest_state_counts_and_a_link_is_none() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let first = begin(&browser).await;
    let second = begin(&browser).await;
    for state in [&*first, browser.token(), ""] {
        let reply = comes_back(&browser, &[("admin_consent", "True"), ("state", state)]).await;
        assert!(!reply.page(400).contains(browser.token()));
    }
    let sent = comes_back(
        &browser,
        &[("admin_consent", "True"), ("tenant", DIRECTORY), ("state", &second)],
    )
    .await;
    sent.leads_to();
    assert!(
        shown(&world).await["answers"].get("directory_id").is_none(),
        "what comes back answers nothing"
    );
}

#[tokio::test]
async fn a_consent_that_an_older_link_began_shows_nobody_a_newer_link() {
    let world = World::new().await;
    let before = Browser::of(&world, "globex-to-be").await;
    let state = begin(&before).await;
    let made = Reply::to(world.onboarding(Method::POST, "/globex-to-be/link")).await;
    let newer = Browser::with(&world, &made.with(200));
    for query in [
        vec![("error", "access_denied"), ("state", &*state)],
        vec![("admin_consent", "True"), ("tenant", DIRECTORY), ("state", &*state)],
    ] {
        let reply = comes_back(&before, &query).await;
        assert!(!reply.text().contains(newer.token()), "{query:?}");
        assert!(!reply.header("location").contains(newer.token()), "{query:?}");
        reply.page(400);
    }
    newer.sees().await;
}

//! Links that are no good, and where a link never shows.

use http::Method;
use serde_json::json;

use crate::{browser::Browser, logs::Log, reply::Reply, world::World};

/// All that a link opens.
const BELOW: [(&str, &str); 10] = [
    ("GET", ""),
    ("GET", "/events"),
    ("GET", "/answers"),
    ("GET", "/instructions/az"),
    ("GET", "/instructions/bicep"),
    ("POST", "/answers"),
    ("POST", "/parse"),
    ("POST", "/verify"),
    ("POST", "/consent"),
    ("POST", "/private-endpoint"),
];

async fn all(browser: &Browser) -> Vec<Reply> {
    let mut replies = Vec::new();
    for (method, path) in BELOW {
        let request = match method {
            "GET" => browser.asks(path),
            _ => browser.sends(path, &[("directory", "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11")]),
        };
        replies.push(Reply::to(request).await);
    }
    replies
}

#[tokio::test]
async fn a_link_that_is_none_opens_nothing_and_tells_nothing() {
    let world = World::new().await;
    let good = Browser::of(&world, "globex-to-be").await;
    let token = good.token().to_owned();
    let mut changed = token.clone().into_bytes();
    changed[30] = if changed[30] == b'A' { b'B' } else { b'A' };
    let mut pages = Vec::new();
    for forged in [
        String::from_utf8(changed).unwrap(),
        token[..token.len() - 1].to_owned(),
        "acme".to_owned(),
    ] {
        let mut browser = Browser::of(&world, &format!("other-{}", pages.len())).await;
        browser.page = format!("/onboarding/{forged}");
        for reply in all(&browser).await {
            assert!(!reply.page(404).contains("A customer to be"));
            pages.push(reply.body);
        }
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "all look alike");
}

#[tokio::test]
async fn a_link_that_gave_way_or_was_revoked_or_is_not_needed_any_more_opens_nothing() {
    let world = World::new().await;
    let first = Browser::of(&world, "globex-to-be").await;
    let path = "/globex-to-be";
    let made = Reply::to(world.onboarding(Method::POST, &format!("{path}/link")))
        .await
        .with(200);
    let second = Browser::with(&world, &made);
    for reply in all(&first).await {
        assert!(!reply.page(410).contains("A customer to be"));
    }
    second.sees().await;
    let revoked = Reply::to(world.onboarding(Method::DELETE, &format!("{path}/link"))).await;
    assert_eq!(revoked.with(200)["link"]["is_revoked"], true);
    for reply in all(&second).await {
        reply.page(410);
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_and_keeps_nobody_with_a_link_out() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let mut statuses = Vec::new();
    for number in 0..32 {
        let guess = Reply::to(world.call(Method::GET, &format!("/onboarding/guess-{number}"))).await;
        guess.page(guess.status);
        statuses.push(guess.status);
    }
    assert_eq!((statuses[0], statuses[31]), (404, 429));
    browser.sees().await;
}

#[tokio::test]
async fn a_link_is_shown_by_what_made_it_and_by_nothing_else() {
    let world = World::new().await;
    let made = world.opens("globex-to-be").await;
    let token = Browser::with(&world, &made).token().to_owned();
    for path in [
        "/globex-to-be",
        "",
        "/globex-to-be/history",
        "/globex-to-be/instructions/consent",
    ] {
        let shown = Reply::to(world.onboarding(Method::GET, path)).await;
        assert_eq!(shown.status, 200);
        assert!(!shown.text().contains(&token), "{path}");
        assert!(!shown.text().contains("link_url"), "{path}");
    }
    let changed = world
        .onboarding(Method::PATCH, "/globex-to-be")
        .header("if-match", "*")
        .json(&json!({"display_name": "Another"}));
    assert!(!Reply::to(changed).await.text().contains("link_url"));
}

#[tokio::test]
async fn a_link_is_in_no_log_line_and_no_span_at_any_level() {
    let (log, _guard) = Log::kept_at(tracing::Level::TRACE);
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    for (_, path) in BELOW {
        // A stream has no end to wait for.
        if path != "/events" {
            Reply::to(browser.asks(path)).await;
            Reply::to(browser.sends(path, &[("directory", "x")])).await;
        }
    }
    drop(browser.asks("/events").send().await.unwrap());
    let mut forged = Browser::of(&world, "initech-to-be").await;
    let token = forged.token().to_owned();
    forged.page = format!("{}x", forged.page);
    all(&forged).await;
    let state = Reply::to(browser.asks_for("/onboarding/consent?state=planted-state&error=planted-error")).await;
    state.page(400);
    let ours: Vec<_> = log
        .lines()
        .into_iter()
        .filter(|line| !line["target"].as_str().is_some_and(is_the_clients))
        .collect();
    assert!(!ours.is_empty());
    for line in ours {
        let line = line.to_string();
        for secret in [browser.token(), &token, "planted-state", "planted-error"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

/// Whether a log line is of the test's own client, which runs in the same process.
fn is_the_clients(target: &str) -> bool {
    target.starts_with("reqwest") || target.starts_with("hyper_util::client")
}

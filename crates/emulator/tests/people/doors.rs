//! The portal is for a person at this machine: no other site, no other machine and no other name gets anything done.

use keyferry_emulator::{Emulator, EmulatorConfig};

use crate::world::{APPLICATION, DIRECTORY, HOST, World};

/// Each button that there is, with the page that it is on.
const BUTTONS: [(&str, &str); 4] = [
    ("directory", "create-vault"),
    ("directory", "withdraw-a1a1a1a1-0000-4000-8000-000000000001"),
    ("vault", "delete-key-k"),
    ("vault", "close-network"),
];

fn path(page: &str) -> String {
    match page {
        "directory" => format!("/directories/{DIRECTORY}"),
        _ => format!("/vaults/{HOST}"),
    }
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused_and_changes_nothing() {
    let (world, _) = World::with_vault().await;
    let browser = &world.browser;
    for (page, button) in BUTTONS {
        let before = browser.load(&path(page)).await;
        let (target, fields) = before.form(button, &[]);
        let guessed: Vec<_> = fields
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    if name == "token" {
                        "guess".to_owned()
                    } else {
                        value.clone()
                    },
                )
            })
            .collect();
        let none: Vec<_> = fields.iter().filter(|(name, _)| name != "token").cloned().collect();
        for request in [
            browser.post(&target, &fields).header("origin", "https://evil.example"),
            browser.post(&target, &fields).header("origin", "null"),
            browser.post(&target, &fields).header("origin", "http://127.0.0.1:1"),
            browser.post(&target, &fields).header("sec-fetch-site", "cross-site"),
            browser.post(&target, &fields).header("sec-fetch-site", "same-site"),
            browser.post(&target, &guessed),
            browser.post(&target, &none),
        ] {
            assert_eq!(request.send().await.unwrap().status(), 403, "{button}");
        }
        assert_eq!(browser.load(&path(page)).await.text, before.text, "{button}");
        assert_eq!(
            browser.get(&target).send().await.unwrap().status(),
            405,
            "{button}: a link acts"
        );
    }
}

#[tokio::test]
async fn the_token_of_one_run_is_no_good_in_the_next() {
    let (first, _) = World::with_vault().await;
    let (second, _) = World::with_vault().await;
    let (target, fields) = first.browser.load(&path("vault")).await.form("delete-key-k", &[]);
    let answer = second.browser.post(&target, &fields).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn a_name_that_was_made_to_lead_here_is_told_nothing() {
    let (world, _) = World::with_vault().await;
    let (target, fields) = world.browser.load(&path("vault")).await.form("delete-key-k", &[]);
    for host in [
        "evil.example",
        "login.microsoftonline.com",
        "localhost.evil.example",
        "192.168.0.1",
    ] {
        for path in ["/", "/organizations/adminconsent", "/assets/people.css"] {
            let answer = world.browser.get(path).header("host", host).send().await.unwrap();
            assert_eq!(answer.status(), 421, "{host}");
        }
        let same_origin = format!("http://{host}");
        let post = world.browser.post(&target, &fields).header("host", host);
        let answer = post.header("origin", same_origin).send().await.unwrap();
        assert_eq!(answer.status(), 421, "{host}");
    }
    assert!(
        world
            .browser
            .get("/")
            .header("host", "localhost")
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
}

#[tokio::test]
async fn the_portal_is_opened_on_loopback_alone_and_only_if_it_is_asked_for() {
    let config = EmulatorConfig {
        portal: Some(([0, 0, 0, 0], 0).into()),
        ..EmulatorConfig::default()
    };
    let refused = Emulator::start(config).await.unwrap_err();
    assert!(refused.to_string().contains("must be of loopback"));
    let emulator = Emulator::start(EmulatorConfig::default()).await.unwrap();
    assert_eq!(emulator.portal_addr(), None);
}

#[tokio::test]
async fn every_page_asks_nothing_of_anybody_else_and_is_not_kept() {
    let (world, _) = World::with_vault().await;
    let consent = format!("/{DIRECTORY}/adminconsent?client_id={APPLICATION}");
    for path in ["/", &path("directory"), &path("vault"), "/none", &consent] {
        let page = world.browser.load(path).await;
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{path}");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"),
            "{path}"
        );
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff", "{path}");
        for foreign in ["<script", "style=\"", "src=\"", "href=\"http", "action=\"http"] {
            assert!(!page.has(foreign), "{path} has {foreign}");
        }
        assert!(
            page.has("<title>") && page.has("<html lang=\"en\">") && page.has("<h1>"),
            "{path}"
        );
    }
    let style = world.browser.get("/assets/people.css").send().await.unwrap();
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn a_link_cannot_have_the_portal_say_anything() {
    let (world, _) = World::with_vault().await;
    for said in [
        "Send%20your%20key%20to%20evil.example",
        "00000000-0000-4000-8000-000000000000",
    ] {
        let page = world.browser.load(&format!("{}?said={said}", path("vault"))).await;
        assert!(!page.has("id=\"notice\"") && !page.has("evil"), "{said}");
    }
}

//! The consent page asks, does what was decided, and sends nobody to an address that is not registered.

use std::collections::HashMap;

use keyferry_emulator::{Application, Order};
use url::Url;
use uuid::Uuid;

use crate::{
    browser::{Browser, location},
    world::{APPLICATION, DIRECTORY, LOGIN, REDIRECT, World},
};

const FORMS: [&str; 2] = ["adminconsent", "v2.0/adminconsent"];
const SCOPE: &str = "https://vault.azure.net/.default";
/// Nothing of it may be lost on the way.
const STATE: &str = "a b+c&d=e%2F#ü";

/// What an application asks for, in either form.
struct Ask {
    tenant: String,
    form: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl Ask {
    fn of(tenant: impl Into<String>, form: &'static str) -> Self {
        let mut parameters = vec![
            ("client_id", APPLICATION.to_string()),
            ("redirect_uri", REDIRECT.to_owned()),
            ("state", STATE.to_owned()),
        ];
        if form == FORMS[1] {
            parameters.push(("scope", SCOPE.to_owned()));
        }
        Self {
            tenant: tenant.into(),
            form,
            parameters,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.parameters.retain(|(given, _)| *given != name);
        self.parameters.push((name, value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(given, _)| *given != name);
        self
    }

    fn path(&self) -> String {
        let mut url = Url::parse(LOGIN).unwrap();
        url.set_path(&format!("/{}/{}", self.tenant, self.form));
        url.query_pairs_mut().extend_pairs(&self.parameters);
        url.as_str().strip_prefix(LOGIN).unwrap().to_owned()
    }
}

/// The two doors that the page is behind: Entra's own host, and the portal's.
fn doors(world: &World) -> [Browser; 2] {
    let portal = format!("http://{}", world.emulator.portal_addr().unwrap());
    [
        Browser::new(LOGIN, Some(world.azure.clone())),
        Browser::new(&portal, None),
    ]
}

/// Where the browser was sent, if it is the registered address, and with what.
fn sent_back(location: &str) -> HashMap<String, String> {
    let url = Url::parse(location).unwrap();
    assert_eq!(url.as_str().split('?').next(), REDIRECT.split('?').next());
    let mut pairs: HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(
        pairs.remove("from").as_deref(),
        Some("entra"),
        "the address had a query of its own"
    );
    assert_eq!(pairs.remove("state").as_deref(), Some(STATE));
    pairs
}

fn pairs(expected: &[(&str, &str)]) -> HashMap<String, String> {
    expected
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[tokio::test]
async fn whoever_accepts_lets_the_application_in_and_is_sent_back_with_the_directory() {
    for form in FORMS {
        for door in 0..2 {
            let world = World::start().await;
            let browser = &doors(&world)[door];
            assert_eq!(world.token().await, Err(7_000_229));
            let page = browser.load(&Ask::of(DIRECTORY, form).path()).await;
            assert_eq!(page.status, 200);
            assert!(page.has("Keyferry") && page.has(&APPLICATION.to_string()) && page.has(&DIRECTORY.to_string()));
            assert_eq!(world.token().await, Err(7_000_229), "to look is not to consent");
            let answer = browser.press(&page, "accept", &[]).await;
            assert_eq!(answer.status(), 302);
            let tenant = DIRECTORY.to_string();
            let mut expected = pairs(&[("admin_consent", "True"), ("tenant", &tenant)]);
            if form == FORMS[1] {
                assert!(page.has(SCOPE));
                expected.insert("scope".into(), SCOPE.into());
            }
            assert_eq!(sent_back(&location(&answer)), expected);
            assert!(world.token().await.is_ok());
        }
    }
}

#[tokio::test]
async fn whoever_cancels_lets_nobody_in_and_the_application_is_told_in_its_forms_own_words() {
    for (form, words) in [
        (
            FORMS[0],
            &[
                ("error", "permission_denied"),
                ("error_description", "The admin canceled the request"),
            ][..],
        ),
        (FORMS[1], &[("admin_consent", "True"), ("error", "consent_required")]),
    ] {
        let world = World::start().await;
        let page = world.browser.load(&Ask::of(DIRECTORY, form).path()).await;
        let answer = world.browser.press(&page, "cancel", &[]).await;
        assert_eq!(answer.status(), 302);
        let mut told = sent_back(&location(&answer));
        if form == FORMS[1] {
            let description = told.remove("error_description").unwrap();
            let denied = "AADSTS65004: The resource owner or authorization server denied the request.\r\nTrace ID: ";
            assert!(description.starts_with(denied), "{description}");
        }
        assert_eq!(told, pairs(words));
        assert_eq!(world.token().await, Err(7_000_229));
    }
}

#[tokio::test]
async fn what_the_application_does_not_say_is_not_said_back() {
    let world = World::start().await;
    let page = world
        .browser
        .load(&Ask::of(DIRECTORY, FORMS[0]).without("state").path())
        .await;
    let answer = world.browser.press(&page, "accept", &[]).await;
    assert!(!location(&answer).contains("state="));
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered_letter_for_letter() {
    let world = World::start().await;
    let asked = world.browser.load(&Ask::of(DIRECTORY, FORMS[0]).path()).await;
    for (other, form) in [
        "https://evil.example/",
        "https://keyferry.example/onboarding/consent",
        "https://keyferry.example/onboarding/consent?from=entra&more",
        "https://keyferry.example/onboarding/consent/?from=entra",
        "https://KEYFERRY.example/onboarding/consent?from=entra",
        "https://keyferry.example:443/onboarding/consent?from=entra",
        "http://keyferry.example/onboarding/consent?from=entra",
        "https://keyferry.example@evil.example/onboarding/consent?from=entra",
        "//keyferry.example/onboarding/consent?from=entra",
    ]
    .into_iter()
    .zip(FORMS.into_iter().cycle())
    {
        let path = Ask::of(DIRECTORY, form).with("redirect_uri", other).path();
        let page = world.browser.load(&path).await;
        assert_eq!(page.status, 400, "{other}");
        assert!(page.element("error").starts_with("AADSTS50011: "), "{other}");
        for decision in ["accept", "cancel"] {
            let (_, fields) = asked.form(decision, &[]);
            let answer = world.browser.post(&path, &fields).send().await.unwrap();
            assert_eq!(answer.status(), 400, "{other}");
            assert!(!answer.headers().contains_key("location"), "{other}");
        }
    }
    assert_eq!(world.token().await, Err(7_000_229));
}

#[tokio::test]
async fn what_is_wrong_with_the_asking_is_told_on_a_page() {
    let world = World::start().await;
    let nobody = Uuid::from_u128(7);
    for form in FORMS {
        let ask = || Ask::of(DIRECTORY, form);
        for (ask, code) in [
            (ask().with("client_id", nobody), "AADSTS700016: "),
            (ask().with("client_id", "keyferry"), "AADSTS700016: "),
            (Ask::of(nobody, form), "AADSTS90002: "),
            (Ask::of("acme.example", form), "AADSTS90002: "),
            (ask().without("client_id"), "AADSTS900144: "),
            (ask().without("redirect_uri"), "AADSTS900144: "),
        ] {
            let page = world.browser.load(&ask.path()).await;
            assert_eq!(page.status, 400, "{code}");
            assert!(page.element("error").starts_with(code), "{code}");
        }
    }
    let unscoped = world
        .browser
        .load(&Ask::of(DIRECTORY, FORMS[1]).without("scope").path())
        .await;
    assert!(unscoped.element("error").starts_with("AADSTS900144: "));
}

#[tokio::test]
async fn whoever_administers_several_directories_chooses_one() {
    let world = World::start().await;
    let (other, nowhere) = (Uuid::from_u128(2), Uuid::from_u128(3).to_string());
    world.order(Order::CreateDirectory { directory: other });
    for tenant in ["organizations", "common"] {
        for form in FORMS {
            let page = world.browser.load(&Ask::of(tenant, form).path()).await;
            assert!(page.has(&other.to_string()) && page.has(&DIRECTORY.to_string()));
            for unknown in [&nowhere, ""] {
                let answer = world.browser.press(&page, "accept", &[("directory", unknown)]).await;
                assert_eq!(answer.status(), 400);
                assert!(answer.text().await.unwrap().contains("AADSTS90002"));
            }
        }
    }
    let page = world.browser.load(&Ask::of("organizations", FORMS[0]).path()).await;
    let elsewhere = world
        .browser
        .press(&page, "accept", &[("directory", &other.to_string())])
        .await;
    assert_eq!(sent_back(&location(&elsewhere))["tenant"], other.to_string());
    assert_eq!(world.token().await, Err(7_000_229), "consent was given elsewhere");
    let tenant = DIRECTORY.to_string();
    let here = world.browser.press(&page, "accept", &[("directory", &tenant)]).await;
    assert_eq!(sent_back(&location(&here))["tenant"], tenant);
    assert!(world.token().await.is_ok());
}

#[tokio::test]
async fn the_directory_that_was_named_is_not_exchanged_for_another() {
    let world = World::start().await;
    let other = Uuid::from_u128(2);
    world.order(Order::CreateDirectory { directory: other });
    let path = Ask::of(DIRECTORY, FORMS[0]).path();
    let (_, mut fields) = world.browser.load(&path).await.form("accept", &[]);
    fields.push(("directory".into(), other.to_string()));
    let answer = world.browser.post(&path, &fields).send().await.unwrap();
    assert_eq!(sent_back(&location(&answer))["tenant"], DIRECTORY.to_string());
}

#[tokio::test]
async fn names_are_text_and_forms_lead_only_here_and_back_to_the_application() {
    let world = World::start().await;
    let named = Application {
        display_name: Some("<script>alert(1)</script>".into()),
        redirect_uris: vec![REDIRECT.into()],
        ..Application::default()
    };
    world.order(Order::RegisterApplication {
        client_id: APPLICATION,
        application: named,
    });
    let page = world.browser.load(&Ask::of(DIRECTORY, FORMS[1]).path()).await;
    assert!(!page.has("<script") && page.has("alert(1)") && !page.has("<Sons>"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.ends_with("form-action 'self' https://keyferry.example"),
        "{policy}"
    );
}

#[tokio::test]
async fn consent_that_another_site_sent_is_none() {
    for door in 0..2 {
        let world = World::start().await;
        let browser = &doors(&world)[door];
        let path = Ask::of(DIRECTORY, FORMS[0]).path();
        let (_, fields) = browser.load(&path).await.form("accept", &[]);
        let untokened = [("decision".to_owned(), "accept".to_owned())];
        for request in [
            browser.post(&path, &fields).header("origin", "https://evil.example"),
            browser.post(&path, &fields).header("sec-fetch-site", "cross-site"),
            browser.post(&path, &untokened),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 403);
            assert!(!answer.headers().contains_key("location"));
        }
        assert_eq!(world.token().await, Err(7_000_229));
    }
}

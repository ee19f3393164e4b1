//! Consent that comes back, and what attackers make of its way back.

use keyferry_client::onboarding::{Onboarding, Typed};
use keyferry_emulator::Order;
use keyferry_tests::{
    Answer, Browser, Customer, Database, Keyferry, PUBLIC_URL, Setup, World, check, eventually, findings,
};
use url::Url;
use uuid::Uuid;

/// A customer who was told nothing but its directory, and has not consented yet.
struct Stage {
    world: World,
    keyferry: Keyferry,
    browser: Browser,
    customer: Customer,
    link: String,
}

impl Stage {
    async fn set(setup: Setup) -> Self {
        let mut world = World::new(Database::sqlite()).await;
        world.offer_onboarding(setup);
        let keyferry = world.start().await;
        let customer = world.customer("acme");
        world.order(customer.withdraw_consent());
        let link = link_of(&world, &keyferry, &customer).await;
        Self {
            browser: Browser::new(&keyferry),
            world,
            keyferry,
            customer,
            link,
        }
    }

    /// Presses the button; where the browser is sent.
    async fn begin(&self) -> Url {
        begin(&self.browser, &self.link).await
    }

    /// What the service makes of a way back.
    async fn back(&self, query: &[(&str, &str)]) -> Answer {
        let mut url: Url = format!("{PUBLIC_URL}/onboarding/consent").parse().unwrap();
        url.query_pairs_mut().extend_pairs(query);
        self.browser.get(url.as_str()).await
    }

    async fn shown(&self) -> Onboarding {
        self.world.onboardings(&self.keyferry).verify("acme").await.unwrap()
    }
}

async fn link_of(world: &World, keyferry: &Keyferry, customer: &Customer) -> String {
    let mut new = customer.onboarding();
    new.answers = Typed {
        directory_id: Some(customer.directory.to_string()),
        ..Typed::default()
    };
    let opened = world.onboardings(keyferry).open(&new, None).await.unwrap();
    opened.link_url.expose().to_owned()
}

async fn begin(browser: &Browser, link: &str) -> Url {
    let sent = browser.post(&format!("{link}/consent"), &[]).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    sent.location().parse().unwrap()
}

fn value(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_button_leads_to_the_customers_directory_at_entra_and_consent_comes_back_to_the_page() {
    let stage = Stage::set(Setup::default()).await;
    let sent = stage.begin().await;
    assert_eq!(sent.host_str(), Some("login.microsoftonline.com"));
    assert_eq!(sent.path(), format!("/{}/adminconsent", stage.customer.directory));
    assert_eq!(value(&sent, "client_id"), stage.world.application_id().to_string());
    assert_eq!(value(&sent, "redirect_uri"), format!("{PUBLIC_URL}/onboarding/consent"));
    let (state, directory) = (value(&sent, "state"), stage.customer.directory.to_string());

    stage.world.order(Order::Consent {
        directory: stage.customer.directory,
        client_id: stage.world.application_id(),
        resource: String::new(),
        roles: Vec::new(),
        usable_after_seconds: 86_400,
    });
    let back = stage
        .back(&[("admin_consent", "True"), ("tenant", &directory), ("state", &state)])
        .await;
    assert_eq!(back.status, 303, "{}", back.body);
    assert!(
        back.location().starts_with(&stage.link),
        "back to the page: {}",
        back.location()
    );
    // It came back, and Azure has not spread it: that is waited for, not called missing.
    let shown = stage.shown().await;
    assert_eq!(
        check(&shown, "consent").finding,
        "consent-spreading",
        "{}",
        findings(&shown)
    );
    stage.world.order(Order::EndPropagation);
    eventually("consent is seen by itself", async || {
        let shown = stage.world.onboardings(&stage.keyferry).get("acme").await.unwrap();
        check(&shown, "consent").finding == "consent-given"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_consent_was_given_is_believed_of_no_redirect() {
    let stage = Stage::set(Setup {
        consent_patience: 1,
        ..Setup::default()
    })
    .await;
    let state = value(&stage.begin().await, "state");
    let directory = stage.customer.directory.to_string();
    let back = stage
        .back(&[("admin_consent", "True"), ("tenant", &directory), ("state", &state)])
        .await;
    assert_eq!(back.status, 303);
    eventually("without a token there is no consent", async || {
        check(&stage.shown().await, "consent").finding == "consent-missing"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_is_taken_once() {
    let stage = Stage::set(Setup::default()).await;
    let state = value(&stage.begin().await, "state");
    let directory = stage.customer.directory.to_string();
    let query = [
        ("admin_consent", "True"),
        ("tenant", directory.as_str()),
        ("state", state.as_str()),
    ];
    assert_eq!(stage.back(&query).await.status, 303);
    refused(&stage.back(&query).await);
    // Of two at once as well, one is taken.
    let state = value(&stage.begin().await, "state");
    let query = [
        ("admin_consent", "True"),
        ("tenant", directory.as_str()),
        ("state", state.as_str()),
    ];
    let (one, other) = tokio::join!(stage.back(&query), stage.back(&query));
    let taken = [&one, &other].iter().filter(|answer| answer.status == 303).count();
    assert_eq!(taken, 1, "{} {}", one.status, other.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_state_takes_the_older_ones_place() {
    let stage = Stage::set(Setup::default()).await;
    let (older, newer) = (
        value(&stage.begin().await, "state"),
        value(&stage.begin().await, "state"),
    );
    assert_ne!(older, newer);
    let directory = stage.customer.directory.to_string();
    let query = |state| {
        [
            ("admin_consent", "True"),
            ("tenant", directory.as_str()),
            ("state", state),
        ]
    };
    refused(&stage.back(&query(older.as_str())).await);
    assert_eq!(stage.back(&query(newer.as_str())).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_forged_cut_or_anothers_is_refused() {
    let stage = Stage::set(Setup::default()).await;
    let other = stage.world.customer("other");
    let other_link = link_of(&stage.world, &stage.keyferry, &other).await;
    let state = value(&stage.begin().await, "state");
    let directory = stage.customer.directory.to_string();
    let token = stage.link.rsplit('/').next().unwrap().to_owned();
    let flipped = {
        let mut bytes = state.clone().into_bytes();
        let middle = bytes.len() / 2;
        bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let cut = &state[..state.len() - 1];
    for forged in [
        "",
        "1",
        cut,
        &flipped,
        &format!("{state}A"),
        &token,
        &state.to_uppercase(),
    ] {
        let back = stage
            .back(&[("admin_consent", "True"), ("tenant", &directory), ("state", forged)])
            .await;
        refused(&back);
    }
    refused(&stage.back(&[("admin_consent", "True"), ("tenant", &directory)]).await);
    // Another customer's state says nothing of this one.
    let others = value(&begin(&stage.browser, &other_link).await, "state");
    let back = stage
        .back(&[("admin_consent", "True"), ("tenant", &directory), ("state", &others)])
        .await;
    assert_ne!(back.status, 303, "the directory is another's");
    assert_eq!(check(&stage.shown().await, "consent").finding, "consent-missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_an_error_whatever_stands_beside_it() {
    let stage = Stage::set(Setup::default()).await;
    let directory = stage.customer.directory.to_string();
    let state = value(&stage.begin().await, "state");
    let back = stage
        .back(&[
            ("admin_consent", "True"),
            ("error", "consent_required"),
            (
                "error_description",
                "AADSTS65004: User declined to consent to access the app.",
            ),
            ("tenant", &directory),
            ("state", &state),
        ])
        .await;
    assert_ne!(back.status, 303, "it is not taken for consent");
    assert!(back.body.contains(&stage.link), "it shows the way back: {}", back.body);
    let shown = stage.shown().await;
    assert_eq!(
        check(&shown, "consent").finding,
        "consent-missing",
        "{}",
        findings(&shown)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consent_in_another_directory_is_told_and_changes_no_answer() {
    let stage = Stage::set(Setup::default()).await;
    let elsewhere = Uuid::new_v4().to_string();
    let state = value(&stage.begin().await, "state");
    let back = stage
        .back(&[("admin_consent", "True"), ("tenant", &elsewhere), ("state", &state)])
        .await;
    assert_ne!(back.status, 303);
    assert!(!back.body.contains("login.microsoftonline.com/organizations"));
    let shown = stage.shown().await;
    let told = shown.answers.directory_id.as_deref();
    assert_eq!(told, Some(stage.customer.directory.to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_a_redirect_leads_anywhere() {
    let stage = Stage::set(Setup::default()).await;
    let evil = "https://evil.example/";
    for name in [
        "redirect_uri",
        "return",
        "next",
        "url",
        "back",
        "error_uri",
        "tenant",
        "state",
    ] {
        let state = value(&stage.begin().await, "state");
        let mut query = vec![("admin_consent", "True"), ("state", state.as_str()), (name, evil)];
        if name == "state" {
            query.remove(1);
        }
        let back = stage.back(&query).await;
        assert!(!back.text().contains("evil.example"), "{name}: {}", back.text());
    }
    let state = value(&stage.begin().await, "state");
    let described = "<script>alert(1)</script> https://evil.example/";
    let back = stage
        .back(&[
            ("error", "access_denied"),
            ("error_description", described),
            ("state", &state),
        ])
        .await;
    assert!(
        !back.body.contains("evil.example") && !back.body.contains("alert(1)"),
        "{}",
        back.body
    );
}

#[track_caller]
fn refused(back: &Answer) {
    assert!((400..500).contains(&back.status), "{}: {}", back.status, back.body);
}

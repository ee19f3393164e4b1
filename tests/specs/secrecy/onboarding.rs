//! Links, states, and what customers paste by mistake.

use std::fmt::Write;

use keyferry_client::onboarding::Typed;
use keyferry_emulator::Decision;
use keyferry_tests::{Browser, Collector, Database, Keyferry, SIGNING_KEY, Setup, World, check, eventually};
use url::Url;

use super::search::{Planted, contains};

/// What a customer pastes where the key's name belongs.
const PASTED: &str = "-----BEGIN PRIVATE KEY----- MIIEplantedkeymaterialofthecustomer -----END PRIVATE KEY-----";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn onboarding_leaves_no_link_no_state_and_no_pasted_secret_anywhere() {
    for database in Database::each().await {
        let collector = Collector::start().await;
        let mut world = World::new(database).await;
        world.offer_onboarding(Setup::default());
        write!(
            world.extra,
            "[telemetry]\nlog = \"trace\"\nlog_format = \"json\"\ntrace_ratio = 1.0\notlp_endpoint = \"{}\"\n",
            collector.url()
        )
        .unwrap();
        let keyferry = world.start().await;
        let mut planted = onboard(&world, &keyferry).await;
        let metrics = keyferry.get("/metrics").await.into_bytes();
        let log = keyferry.last_words();
        let (dump, sent) = (world.database.dump().await, collector.received());
        assert!(contains(&log, b"\"level\":\"TRACE\"") && contains(&log, b"onboarding"));
        assert!(contains(&sent, b"TraceService") && contains(&dump, b"answered"));
        planted.0.extend(world.secrets());
        for (place, text) in [
            ("log", &log),
            ("telemetry", &sent),
            ("metrics", &metrics),
            ("database", &dump),
        ] {
            assert_eq!(planted.found_in(text), Vec::<String>::new(), "found in the {place}");
        }
    }
}

/// Takes every way through an onboarding, wrong ones too. What must not show.
async fn onboard(world: &World, keyferry: &Keyferry) -> Planted {
    let customer = world.customer("acme");
    let mut new = customer.onboarding();
    new.endpoint_policy = Some("required".into());
    let all = std::mem::take(&mut new.answers);
    let onboardings = world.onboardings(keyferry);
    let first = onboardings.open(&new, None).await.unwrap().link_url.expose().to_owned();
    let link = onboardings.new_link("acme").await.unwrap().link_url.expose().to_owned();
    let browser = Browser::new(keyferry);
    assert_eq!(browser.get(&first).await.status, 410, "a newer link took its place");
    assert_eq!(browser.get(&format!("{link}A")).await.status, 404);
    assert_eq!(
        browser
            .post(&format!("{link}/answers"), &[("key", PASTED)])
            .await
            .status,
        422
    );
    let parsed = browser.post(&format!("{link}/parse"), &[("key", PASTED)]).await;
    assert_eq!(parsed.status, 200, "{}", parsed.body);

    let (directory, resource) = (customer.directory.to_string(), customer.resource_id());
    let Typed { vault, key, .. } = all;
    let fields = [
        ("directory", directory.as_str()),
        ("vault", vault.as_deref().unwrap()),
        ("key", key.as_deref().unwrap()),
        ("resource", resource.as_str()),
    ];
    assert_eq!(browser.post(&format!("{link}/answers"), &fields).await.status, 303);
    let sent: Url = browser
        .post(&format!("{link}/consent"), &[])
        .await
        .location()
        .parse()
        .unwrap();
    let state = sent
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    for _ in 0..2 {
        let back = format!("/onboarding/consent?admin_consent=True&tenant={directory}&state={state}");
        browser.get(&back).await;
    }
    for form in ["az", "bicep", "terraform"] {
        assert_eq!(browser.get(&format!("{link}/instructions/{form}")).await.status, 200);
    }
    eventually("an endpoint awaits its approval", async || {
        let shown = onboardings.verify("acme").await.unwrap();
        check(&shown, "private-endpoint").finding == "endpoint-pending"
    })
    .await;
    let shown = onboardings.get("acme").await.unwrap();
    world.decide(&customer, &shown.private_endpoint.unwrap().name, Decision::Approve);
    eventually("it is active", async || {
        onboardings.verify("acme").await.unwrap().stage == "active"
    })
    .await;
    onboardings.history("acme", None, 50).await.unwrap();
    onboardings.revoke_link("acme").await.unwrap();
    assert_eq!(browser.get(&link).await.status, 410);

    let token = |link: &str| link.rsplit('/').next().unwrap().as_bytes().to_vec();
    Planted(vec![
        ("a link", token(&link)),
        ("an older link", token(&first)),
        ("the signing key", SIGNING_KEY.to_vec()),
        ("a state", state.into_bytes()),
        ("what was pasted", b"MIIEplantedkeymaterialofthecustomer".to_vec()),
        ("an operator's token", world.operator_token().await.into_bytes()),
    ])
}

//! What customers type and paste by mistake: each is refused with its own words, beside its own field, and nothing is lost.

use std::collections::BTreeSet;

use keyferry_client::onboarding::{OnboardingChange, Typed};
use keyferry_tests::{Browser, Database, Setup, World, has_all};

const OTHER_KEY: &str = "https://other-vault.vault.azure.net/keys/kek";

/// A field, and what somebody put there.
const MISTAKES: &[(&str, &str)] = &[
    ("directory", "contoso.onmicrosoft.com"),
    ("directory", "admin@contoso.com"),
    ("directory", "organizations"),
    ("directory", "00000000-0000-0000-0000-000000000000"),
    ("directory", "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a1"),
    ("directory", "00000000-0000-0000-0000-0000000000a2"), // our own application
    ("directory", "9188040d-6c67-4c5b-b112-36a304b66dad"),
    ("directory", "<tenant-id>"),
    ("directory", "https://login.microsoftonline.com/common/oauth2"),
    ("directory", "my directory"),
    (
        "vault",
        "https://portal.azure.com/#@contoso.com/resource/subscriptions/1",
    ),
    (
        "vault",
        "https://acme-vault.vault.azure.net/secrets/api-key/0123456789abcdef0123456789abcdef",
    ),
    ("vault", "https://acme-vault.vault.azure.net/certificates/tls"),
    ("vault", "http://acme-vault.vault.azure.net/"),
    ("vault", "https://acme-vault.vault.azure.net:8443/"),
    ("vault", "https://acme.blob.core.windows.net/keys"),
    ("vault", "https://acme.managedhsm.azure.net/"),
    ("vault", "https://acme-vault.vault.azure.cn/"),
    ("vault", "https://acme-vault.privatelink.vaultcore.azure.net/"),
    ("vault", "a"),
    ("key", OTHER_KEY),
    ("key", "0123456789abcdef0123456789abcdef"),
    ("key", "-----BEGIN RSA PRIVATE KEY-----"),
    ("key", "https://acme-vault.vault.azure.net/deletedkeys/kek"),
    ("key", "https://acme-vault.vault.azure.net/keys/kek/v1"),
    ("key", "my_key"),
    (
        "resource",
        "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/rg",
    ),
    (
        "resource",
        "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/acme",
    ),
    (
        "resource",
        "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/other-vault",
    ),
    (
        "resource",
        "https://management.azure.com/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_things_that_are_pasted_by_mistake_are_each_told_for_what_they_are() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    let keyferry = world.start().await;
    let customer = world.customer("acme");
    let opened = world.open(&keyferry, &customer).await;
    let (onboardings, browser) = (world.onboardings(&keyferry), Browser::new(&keyferry));
    // All that was due is done: no check that ends meanwhile is a change that comes before what is typed.
    onboardings.verify("acme").await.unwrap();
    let link = opened.link_url.expose().to_owned();
    let mut told = BTreeSet::new();
    for (field, typed) in MISTAKES {
        let read = onboardings.get("acme").await.unwrap();
        let error = onboardings.change(&read, &change(field, typed)).await.unwrap_err();
        let problem = error.problem().unwrap_or_else(|| panic!("{typed}: {error}"));
        assert_eq!((problem.slug(), problem.errors.len()), ("invalid-fields", 1), "{typed}");
        let detail = &problem.errors.first().unwrap().detail;
        assert!(
            told.insert((*field, detail.clone())),
            "{typed}: said of another mistake too: {detail}"
        );

        // The same on the page: beside the field, and nothing that was there before is lost.
        let refused = browser.post(&format!("{link}/answers"), &[(*field, *typed)]).await;
        assert_eq!(refused.status, 422, "{typed}: {}", refused.body);
        let shown = unescaped(&refused.body);
        assert!(
            shown.contains(detail.as_str()),
            "{typed}: the page says something else: {shown}"
        );
    }
    let after = onboardings.get("acme").await.unwrap();
    assert!(has_all(&after.answers, &customer), "{:?}", after.answers);
    assert_eq!(told.len(), MISTAKES.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_key_that_was_pasted_is_not_shown_again_nor_kept_nor_logged() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    world.extra.push_str("[telemetry]\nlog = \"trace\"\n");
    let keyferry = world.start().await;
    let customer = world.customer("acme");
    let opened = world.open(&keyferry, &customer).await;
    let browser = Browser::new(&keyferry);
    let secret = "-----BEGIN PRIVATE KEY----- MIIEplantedkeymaterial -----END PRIVATE KEY-----";
    let answers = format!("{}/answers", opened.link_url.expose());
    let refused = browser.post(&answers, &[("key", secret)]).await;
    assert_eq!(refused.status, 422);
    assert!(!refused.body.contains("MIIEplanted"), "{}", refused.body);
    let history = world.onboardings(&keyferry).history("acme", None, 100).await.unwrap();
    let kept = serde_json::to_string(&history.events).unwrap();
    assert!(!kept.contains("MIIEplanted"), "{kept}");
    let log = String::from_utf8_lossy(&keyferry.last_words()).into_owned();
    assert!(log.contains("request"), "something is logged");
    assert!(!log.contains("MIIEplanted"));
    let token = opened.link_url.expose().rsplit('/').next().unwrap();
    assert!(!log.contains(token), "a link is not logged whole");
}

fn change(field: &str, typed: &str) -> OnboardingChange {
    let value = Some(typed.to_owned());
    let mut answers = Typed::default();
    match field {
        "directory" => answers.directory_id = value,
        "vault" => answers.vault = value,
        "key" => answers.key = value,
        "resource" => answers.vault_resource_id = value,
        _ => unreachable!("four fields"),
    }
    OnboardingChange {
        answers,
        ..OnboardingChange::default()
    }
}

/// HTML's text, for comparison.
fn unescaped(html: &str) -> String {
    let pairs = [
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&lt;", "<"),
        ("&#60;", "<"),
        ("&gt;", ">"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    pairs.iter().fold(html.to_owned(), |text, (entity, character)| {
        text.replace(entity, character)
    })
}

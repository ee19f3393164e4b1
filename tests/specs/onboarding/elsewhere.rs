//! Answers that would send us elsewhere: refused before any packet leaves.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use keyferry_client::onboarding::{OnboardingChange, Typed};
use keyferry_emulator::Operation;
use keyferry_tests::{Browser, Database, Setup, World};
use tokio::net::TcpListener;

const SUBSCRIPTION: &str = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/rg";

/// Addresses of a vault that are none; `{trap}` is a host and port that listens.
const ADDRESSES: &[&str] = &[
    "https://{trap}/",
    "http://{trap}/",
    "https://127.0.0.1/",
    "https://127.0.0.1:443/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://169.254.169.254/metadata/instance",
    "https://localhost/",
    "https://evil.example/",
    "https://evil.example/acme-vault.vault.azure.net/",
    "https://acme-vault.vault.azure.net.evil.example/",
    "https://acme-vault.vault.azure.net@{trap}/",
    "https://acme-vault.vault.azure.net:443@{trap}/",
    "https://{trap}#.vault.azure.net/",
    "https://{trap}?.vault.azure.net/",
    "https://{trap}\\.vault.azure.net/",
    "https://{trap}%2f.vault.azure.net/",
    "https://{trap}%00.vault.azure.net/",
    "https://user:password@acme-vault.vault.azure.net/",
    "https://acme-vault.vault.azure.net:8443/",
    "https://acme-vault.vault.azure.net:443/",
    "https://acme-vault.vault.azure.net./",
    "https://acme-vault.vault.azure.net../",
    "https://acme-vault..vault.azure.net/",
    "https://sub.acme-vault.vault.azure.net/",
    "https://.vault.azure.net/",
    "https://vault.azure.net/",
    "https://xn--acme-vault.vault.azure.net/",
    "https://аcme-vault.vault.azure.net/", // a Cyrillic letter
    "https://acme-vault。vault.azure.net/",
    "https://acme-vault.vault.azure.cn/",
    "https://acme-vault.vault.usgovcloudapi.net/",
    "https://acme-vault.managedhsm.azure.net/",
    "https://acme-vault.vault.azure.net/keys/..%2f..%2fsecrets%2fx",
    "https://acme-vault.vault.azure.net/keys/kek/../../secrets/x",
    "https://acme-vault.vault.azure.net//keys/kek",
    "ftp://acme-vault.vault.azure.net/",
    "file:///etc/passwd",
    "gopher://{trap}/",
    "//{trap}/",
    "acme-vault.vault.azure.net\r\nhost: {trap}",
    "acme-vault.vault.azure.net\u{0}.evil.example",
];

/// Resource ids that are none, or another vault's.
const RESOURCES: &[&str] = &[
    "https://{trap}{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/acme-vault",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/acme-vault/../../other",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/acme-vault%2f..%2fother",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/acme-vault?api-version=1",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/acme-vault#x",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault//vaults/acme-vault",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/acme-vault/keys/kek",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/other-vault",
    "{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults/аcme-vault",
    "{SUBSCRIPTION}/../../providers/Microsoft.KeyVault/vaults/acme-vault",
    "/subscriptions/../subscriptions/1/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/acme-vault",
    "//{trap}/subscriptions/1",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_leads_to_another_host_and_no_packet_leaves() {
    let (trap, caught) = trap().await;
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    let keyferry = world.start().await;
    let customer = world.customer("acme");
    let opened = world.open(&keyferry, &customer).await;
    let onboardings = world.onboardings(&keyferry);
    // All that was due is done: what is asked from here on is asked because of what is typed.
    onboardings.verify("acme").await.unwrap();
    let before = onboardings.get("acme").await.unwrap();
    let asked = || -> u64 {
        world
            .emulator
            .calls()
            .iter()
            .filter(|call| !is_callers(call.operation))
            .map(|call| call.count)
            .sum()
    };
    let asked_before = asked();
    let browser = Browser::new(&keyferry);
    let answers = format!("{}/answers", opened.link_url.expose());
    let named = |text: &&str| text.replace("{trap}", &trap).replace("{SUBSCRIPTION}", SUBSCRIPTION);
    let mut all: Vec<(&str, String)> = ADDRESSES.iter().map(|text| ("vault", named(text))).collect();
    all.extend(ADDRESSES.iter().map(|text| ("key", with_key(&named(text)))));
    all.extend(RESOURCES.iter().map(|text| ("resource", named(text))));
    for (field, typed) in &all {
        let error = onboardings.change(&before, &change(field, typed)).await.unwrap_err();
        let problem = error.problem().unwrap_or_else(|| panic!("{typed}: {error}"));
        assert_eq!(problem.slug(), "invalid-fields", "{field}: {typed}");
        let refused = browser.post(&answers, &[(*field, typed.as_str())]).await;
        assert!(
            matches!(refused.status, 422 | 429),
            "{field}: {typed}: {}",
            refused.status
        );
    }
    let after = onboardings.get("acme").await.unwrap();
    assert_eq!((&after.answers, after.revision), (&before.answers, before.revision));
    assert_eq!(caught.load(Ordering::SeqCst), 0, "a packet left for {trap}");
    assert_eq!(asked(), asked_before, "nobody was asked anything");
}

/// What the operator's own tokens cost.
fn is_callers(operation: Operation) -> bool {
    matches!(operation, Operation::Token | Operation::Discovery | Operation::Keys)
}

/// A key's identifier at such an address.
fn with_key(address: &str) -> String {
    if address.contains("/keys") {
        return address.to_owned();
    }
    format!("{}/keys/kek", address.trim_end_matches('/'))
}

fn change(field: &str, typed: &str) -> OnboardingChange {
    let value = Some(typed.to_owned());
    let mut answers = Typed::default();
    match field {
        "vault" => answers.vault = value,
        "key" => answers.key = value,
        _ => answers.vault_resource_id = value,
    }
    OnboardingChange {
        answers,
        ..OnboardingChange::default()
    }
}

/// Somewhere that nobody should go.
async fn trap() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let caught = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&caught);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, caught)
}

//! The way as it should be: opened, answered, verified, active, used.

use keyferry_client::{Context, Secret, onboarding::Typed};
use keyferry_emulator::{Assignment, Order, Role, Scope};
use keyferry_tests::{Browser, Database, Setup, World, check, eventually, findings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_a_tenant_once_all_is_verified_and_not_before() {
    for database in Database::each().await {
        let mut world = World::new(database).await;
        world.offer_onboarding(Setup::default());
        let keyferry = world.start().await;
        let customer = world.customer("acme");
        let onboardings = world.onboardings(&keyferry);
        let mut new = customer.onboarding();
        new.answers = Typed::default();
        let opened = onboardings.open(&new, None).await.unwrap();
        assert_eq!(opened.onboarding.stage, "open");
        let data = world.data(&keyferry, "acme");
        let (plaintext, context) = (Secret::from(b"payroll".to_vec()), Context::new());
        let early = data.encrypt(&plaintext, &context).await.unwrap_err();
        assert_eq!(
            early.problem().map(keyferry_client::Problem::slug),
            Some("tenant-onboarding")
        );

        let browser = Browser::new(&keyferry);
        let link = opened.link_url.expose().to_owned();
        let page = browser.get(&link).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let fields = [
            ("directory", customer.directory.to_string()),
            (
                "vault",
                format!("https://{}/keys/{}", customer.vault, keyferry_tests::KEY),
            ),
        ];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let taken = browser.post(&format!("{link}/answers"), &fields).await;
        assert_eq!(taken.status, 303, "{}", taken.body);

        let verified = onboardings.verify("acme").await.unwrap();
        assert_eq!(verified.stage, "active", "{}", findings(&verified));
        assert_eq!(
            verified.id, opened.onboarding.id,
            "the tenant has the id it was promised"
        );
        eventually("the tenant is known here", async || {
            data.encrypt(&plaintext, &context).await.is_ok()
        })
        .await;
        let sealed = data.encrypt(&plaintext, &context).await.unwrap();
        let again = data.decrypt(&sealed.ciphertext, &context).await.unwrap();
        assert_eq!(again.plaintext.expose(), b"payroll");
        let tenant = world.admin(&keyferry).get("acme").await.unwrap();
        assert_eq!((tenant.id, tenant.status.as_str()), (verified.id, "active"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_fails_later_is_shown_and_takes_nothing_away_by_itself() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    let keyferry = world.start().await;
    let customer = world.customer("acme");
    world.open(&keyferry, &customer).await;
    let onboardings = world.onboardings(&keyferry);
    let verified = onboardings.verify("acme").await.unwrap();
    assert_eq!(verified.stage, "active", "{}", findings(&verified));

    world.order(customer.set_key(Some(false), None));
    let later = onboardings.verify("acme").await.unwrap();
    assert_eq!(later.stage, "active");
    assert_eq!(check(&later, "key").finding, "key-disabled");
    let tenant = world.admin(&keyferry).get("acme").await.unwrap();
    assert_eq!(
        tenant.status, "active",
        "whether the key may be used is the key's own business"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_spreads_slowly_is_waited_for_and_ends_by_itself() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    let keyferry = world.start().await;
    let customer = world.customer("acme");
    world.order(customer.assignment(false));
    world.order(Order::Assign {
        host: customer.vault.clone(),
        assignment: Assignment {
            principal: customer.principal,
            role: Role::CryptoServiceEncryptionUser,
            scope: Scope::Vault,
        },
        works_after_seconds: 86_400,
    });
    world.open(&keyferry, &customer).await;
    let onboardings = world.onboardings(&keyferry);
    let waiting = onboardings.verify("acme").await.unwrap();
    assert_eq!(check(&waiting, "wrap").status, "waiting", "{}", findings(&waiting));
    assert_eq!(waiting.stage, "open");
    assert!(waiting.next_check_at.is_some(), "nobody has to ask again");

    world.order(Order::EndPropagation);
    // Nobody asks for a check here: the schedule makes it.
    eventually("the onboarding is active by itself", async || {
        onboardings.get("acme").await.unwrap().stage == "active"
    })
    .await;
}

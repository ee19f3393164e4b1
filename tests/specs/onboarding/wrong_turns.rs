//! The wrong turns that customers take in Azure: each ends in its own finding, with its own next action.

use std::collections::{BTreeMap, BTreeSet};

use keyferry_client::onboarding::{NewOnboarding, Onboarding};
use keyferry_emulator::{Assignment, Network, Order, Role, Scope};
use keyferry_tests::{Customer, Database, KEY, Keyferry, Setup, World, check, findings};
use uuid::Uuid;

/// A wrong turn: what it is called, what the customer does or leaves undone, and which check finds what.
struct Turn {
    slug: &'static str,
    takes: fn(&World, &Customer, &mut NewOnboarding),
    check: &'static str,
    finding: &'static str,
}

const fn turn(
    slug: &'static str,
    (check, finding): (&'static str, &'static str),
    takes: fn(&World, &Customer, &mut NewOnboarding),
) -> Turn {
    Turn {
        slug,
        takes,
        check,
        finding,
    }
}

const VERSION: &str = "0123456789abcdef0123456789abcdef";

const TURNS: &[Turn] = &[
    turn("mistyped-directory", ("directory", "directory-unknown"), |_, _, new| {
        new.answers.directory_id = Some(Uuid::new_v4().to_string());
    }),
    turn("no-consent", ("consent", "consent-missing"), |world, customer, _| {
        world.order(customer.withdraw_consent());
    }),
    turn(
        "app-disabled",
        ("consent", "principal-disabled"),
        |world, customer, _| {
            world.order(customer.set_principal(false, false));
        },
    ),
    turn(
        "app-blocked",
        ("consent", "conditional-access"),
        |world, customer, _| {
            world.order(customer.set_principal(true, true));
        },
    ),
    turn(
        "no-provider",
        ("consent", "key-vault-unknown-there"),
        |world, customer, _| {
            world.order(Order::SetLacksKeyVault {
                directory: customer.directory,
                lacks: true,
            });
        },
    ),
    turn(
        "vault-elsewhere",
        ("vault", "vault-other-directory"),
        |world, customer, _| {
            let directory = Uuid::new_v4();
            world.order(Order::CreateDirectory { directory });
            world.order(Order::MoveVault {
                host: customer.vault.clone(),
                directory,
            });
        },
    ),
    turn("no-such-vault", ("vault", "vault-unreachable"), |_, _, new| {
        new.answers.vault = Some("never-was-there".into());
    }),
    turn(
        "vault-behind-proxy",
        ("vault", "vault-certificate"),
        |world, customer, _| {
            world.order(Order::SetCertificateExpired {
                host: customer.vault.clone(),
                expired: true,
            });
        },
    ),
    turn("firewall", ("vault", "vault-firewall"), |world, customer, _| {
        world.order(Order::SetNetwork {
            host: customer.vault.clone(),
            network: Network::Firewall(vec![[192, 0, 2, 1].into()]),
        });
    }),
    turn("closed-network", ("vault", "vault-closed"), |world, customer, _| {
        world.order(close(customer));
    }),
    turn(
        "closed-unapproved",
        ("vault", "vault-awaits-endpoint"),
        |world, customer, new| {
            world.order(close(customer));
            with_endpoint(customer, new);
        },
    ),
    turn("mistyped-key", ("key", "key-not-found"), |_, _, new| {
        new.answers.key = Some("keks".into());
    }),
    turn("deleted-key", ("key", "key-not-found"), |world, customer, _| {
        world.order(Order::DeleteKey {
            host: customer.vault.clone(),
            name: KEY.into(),
        });
    }),
    turn(
        "mistyped-version",
        ("key", "key-version-not-found"),
        |_, customer, new| {
            new.answers.key = Some(format!("https://{}/keys/{KEY}/{VERSION}", customer.vault));
        },
    ),
    turn(
        "signing-key",
        ("key", "key-operations-missing"),
        |world, customer, _| {
            world.order(customer.set_key(None, Some(&["sign", "verify"])));
        },
    ),
    turn(
        "key-without-unwrap",
        ("key", "key-operations-missing"),
        |world, customer, _| {
            world.order(customer.set_key(None, Some(&["wrapKey"])));
        },
    ),
    turn("key-disabled", ("key", "key-disabled"), |world, customer, _| {
        world.order(customer.set_key(Some(false), None));
    }),
    turn("key-too-early", ("key", "key-not-yet-valid"), |world, customer, _| {
        world.order(valid(customer, Some(4_000_000_000), None));
    }),
    turn("key-expired", ("key", "key-expired"), |world, customer, _| {
        world.order(valid(customer, None, Some(1_000_000_000)));
    }),
    turn("key-ends-soon", ("key", "key-expires-soon"), |world, customer, _| {
        world.order(valid(customer, None, Some(in_a_week())));
    }),
    turn("no-role", ("wrap", "no-access-yet"), |world, customer, _| {
        world.order(customer.assignment(false));
    }),
    turn("reader-alone", ("wrap", "cannot-unwrap-yet"), |world, customer, _| {
        world.order(customer.assignment(false));
        world.order(role(customer, Role::Reader));
    }),
    turn("policy-vault", ("wrap", "policy-missing-yet"), |world, customer, _| {
        world.order(Order::SetAccessPolicies {
            host: customer.vault.clone(),
            access_policies: Some(BTreeMap::new()),
        });
    }),
    turn("no-reader", ("read", "read-not-granted"), |_, _, _| {}),
    turn(
        "far-too-much",
        ("least-privilege", "privilege-more"),
        |world, customer, _| {
            world.order(role(customer, Role::Administrator));
        },
    ),
    turn("unprotected", ("protection", "purge-possible"), |_, _, _| {}),
    turn(
        "no-resource-id",
        ("private-endpoint", "endpoint-needs-resource"),
        |_, _, new| {
            new.endpoint_policy = Some("required".into());
        },
    ),
    turn(
        "wrong-resource",
        ("private-endpoint", "endpoint-target-unknown"),
        |_, customer, new| {
            new.endpoint_policy = Some("required".into());
            let elsewhere = customer
                .resource_id()
                .replace("/resourceGroups/customer/", "/resourceGroups/mistyped/");
            new.answers.vault_resource_id = Some(elsewhere);
        },
    ),
    turn(
        "not-approved",
        ("private-endpoint", "endpoint-pending"),
        |_, customer, new| {
            with_endpoint(customer, new);
        },
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_turn_ends_in_its_own_finding_with_its_own_next_action() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    let keyferry = world.start().await;
    let mut next_actions = BTreeMap::new();
    for turn in TURNS {
        let shown = taken(&world, &keyferry, turn).await;
        let found = check(&shown, turn.check);
        assert_eq!(found.finding, turn.finding, "{}: {}", turn.slug, findings(&shown));
        let next = found
            .next
            .clone()
            .unwrap_or_else(|| panic!("{}: nothing to do next", turn.slug));
        assert!(
            !found.text.contains('{') && !next.contains('{'),
            "{}: {} {next}",
            turn.slug,
            found.text
        );
        next_actions.insert(turn.finding, (found.text.clone(), next));
        let is_in_the_way =
            !matches!(turn.check, "read" | "least-privilege" | "protection") && turn.finding != "key-expires-soon";
        assert_eq!(
            shown.stage == "open",
            is_in_the_way,
            "{}: {}",
            turn.slug,
            findings(&shown)
        );
    }
    let distinct: BTreeSet<_> = next_actions.values().collect();
    assert_eq!(distinct.len(), next_actions.len(), "no two say the same");
    assert!(next_actions.len() >= 25, "{}", next_actions.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_should_have_spread_by_now_is_a_failure_and_no_longer_waited_for() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup {
        role_patience: 1,
        ..Setup::default()
    });
    let keyferry = world.start().await;
    let onboardings = world.onboardings(&keyferry);
    for (slug, finding) in [
        ("no-role", "no-access"),
        ("reader-alone", "cannot-unwrap"),
        ("policy-vault", "policy-missing"),
    ] {
        let turn = TURNS.iter().find(|turn| turn.slug == slug).unwrap();
        taken(&world, &keyferry, turn).await;
        keyferry_tests::eventually("it is told to have failed", async || {
            let shown = onboardings.verify(slug).await.unwrap();
            check(&shown, "wrap").finding == finding
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_taken_back_ends_in_a_tenant() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    let keyferry = world.start().await;
    let customer = world.customer("acme");
    world.order(customer.set_principal(false, false));
    world.order(customer.assignment(false));
    world.order(customer.set_key(Some(false), None));
    world.open(&keyferry, &customer).await;
    let onboardings = world.onboardings(&keyferry);
    let disabled = onboardings.verify("acme").await.unwrap();
    assert_eq!(check(&disabled, "consent").finding, "principal-disabled");
    assert_eq!(
        check(&disabled, "wrap").status,
        "pending",
        "what cannot be looked at is not called failed"
    );
    world.order(customer.set_principal(true, false));
    let no_role = onboardings.verify("acme").await.unwrap();
    assert_eq!(check(&no_role, "consent").status, "passed");
    world.order(customer.assignment(true));
    let key = onboardings.verify("acme").await.unwrap();
    assert_eq!(check(&key, "key").finding, "key-disabled", "{}", findings(&key));
    world.order(customer.set_key(Some(true), None));
    let done = onboardings.verify("acme").await.unwrap();
    assert_eq!(done.stage, "active", "{}", findings(&done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_of_our_own_is_told_to_operators_in_full_and_to_customers_as_ours_only() {
    let mut world = World::new(Database::sqlite()).await;
    world.offer_onboarding(Setup::default());
    let keyferry = world.start().await;
    let customer = world.customer("acme");
    let opened = world.open(&keyferry, &customer).await;
    world.set_own_secret_expired(true);
    let shown = world.onboardings(&keyferry).verify("acme").await.unwrap();
    let found = check(&shown, "consent");
    assert_eq!(found.finding, "our-secret-expired");
    assert_eq!(
        found.evidence.as_ref().and_then(|said| said.code.as_deref()),
        Some("AADSTS7000222")
    );
    let browser = keyferry_tests::Browser::new(&keyferry);
    let page = browser.get(opened.link_url.expose()).await;
    assert_eq!(page.status, 200);
    for internal in ["AADSTS7000222", "our-secret-expired", "client secret"] {
        assert!(
            !page.body.contains(internal),
            "the customer is shown {internal}: {}",
            page.body
        );
    }
}

async fn taken(world: &World, keyferry: &Keyferry, turn: &Turn) -> Onboarding {
    let customer = world.customer(turn.slug);
    let mut new = customer.onboarding();
    (turn.takes)(world, &customer, &mut new);
    let onboardings = world.onboardings(keyferry);
    let opened = onboardings.open(&new, None).await;
    opened.unwrap_or_else(|error| panic!("{}: {error}", turn.slug));
    let mut shown = onboardings.verify(turn.slug).await.unwrap();
    // Azure takes a moment to make one, whatever becomes of it then.
    while check(&shown, "private-endpoint").finding == "endpoint-requested" {
        shown = onboardings.verify(turn.slug).await.unwrap();
    }
    shown
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the service under test goes by the clock")]
fn in_a_week() -> i64 {
    (time::OffsetDateTime::now_utc() + time::Duration::WEEK).unix_timestamp()
}

fn with_endpoint(customer: &Customer, new: &mut NewOnboarding) {
    new.endpoint_policy = Some("required".into());
    new.answers.vault_resource_id = Some(customer.resource_id());
}

fn close(customer: &Customer) -> Order {
    Order::SetNetwork {
        host: customer.vault.clone(),
        network: Network::Closed,
    }
}

fn role(customer: &Customer, role: Role) -> Order {
    Order::Assign {
        host: customer.vault.clone(),
        assignment: Assignment {
            principal: customer.principal,
            role,
            scope: Scope::Vault,
        },
        works_after_seconds: 0,
    }
}

fn valid(customer: &Customer, nbf: Option<i64>, exp: Option<i64>) -> Order {
    Order::SetKey {
        host: customer.vault.clone(),
        name: KEY.into(),
        version: String::new(),
        enabled: None,
        nbf,
        exp,
        key_ops: None,
    }
}

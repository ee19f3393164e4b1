//! Each way in which a customer's key, directory or network fails is its own problem, and tells nothing that it should not.

use keyferry_client::{Context, Error, Fault, Problem};
use keyferry_emulator::{Fault as Faulty, Network, Operation, Order};
use keyferry_tests::{Customer, Database, SECRET, World};
use uuid::Uuid;

/// Wraps a key, has something happen, and unwraps it at a process that has it in no cache.
async fn unwrap_after(happens: impl FnOnce(&World, &Customer)) -> Problem {
    let world = World::new(Database::sqlite()).await;
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    let context = Context::from([("table".to_owned(), "planted-context".to_owned())]);
    let key = world.data(&keyferry, "acme").generate_data_key(&context).await.unwrap();
    let fresh = world.start().await;
    happens(&world, &acme);
    let refused = world.data(&fresh, "acme").unwrap(&key.wrapped_key, &context).await;
    let Err(Error::Problem(problem)) = refused.map(drop) else {
        panic!("no problem")
    };
    holds_nothing_private(&problem, &acme, &world.service_token().await);
    *problem
}

fn holds_nothing_private(problem: &Problem, customer: &Customer, token: &str) {
    let text = serde_json::to_string(problem).unwrap();
    let private = [
        SECRET,
        token,
        "planted-context",
        &customer.directory.to_string(),
        &customer.principal.to_string(),
        "subscriptions",
    ];
    for private in private {
        assert!(!text.contains(private), "{private} in {text}");
    }
}

async fn refused(slug: &str, status: u16, fault: Fault, happens: impl FnOnce(&World, &Customer)) {
    let problem = unwrap_after(happens).await;
    assert_eq!(
        (problem.slug(), problem.status, problem.fault),
        (slug, status, fault),
        "{problem:?}"
    );
    assert!(problem.detail.len() > 20, "says what to do: {}", problem.detail);
}

#[tokio::test]
async fn a_disabled_key_is_the_customers_refusal() {
    refused("key-disabled", 403, Fault::Customer, |world, acme| {
        world.order(acme.set_key(Some(false), None));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_key_is_the_customers_refusal() {
    refused("key-not-found", 403, Fault::Customer, |world, acme| {
        world.order(Order::DeleteKey {
            host: acme.vault.clone(),
            name: keyferry_tests::KEY.into(),
        });
    })
    .await;
}

#[tokio::test]
async fn an_operation_taken_from_the_key_is_the_customers_refusal() {
    refused("key-operation-forbidden", 403, Fault::Customer, |world, acme| {
        world.order(acme.set_key(None, Some(&["wrapKey"])));
    })
    .await;
}

#[tokio::test]
async fn a_removed_role_is_the_customers_refusal() {
    refused("role-missing", 403, Fault::Customer, |world, acme| {
        world.order(acme.assignment(false));
    })
    .await;
}

#[tokio::test]
async fn a_vault_turned_to_access_policies_is_the_customers_refusal() {
    refused("access-policy-missing", 403, Fault::Customer, |world, acme| {
        world.order(Order::SetAccessPolicies {
            host: acme.vault.clone(),
            access_policies: Some([].into()),
        });
    })
    .await;
}

#[tokio::test]
async fn withdrawn_consent_is_the_customers_refusal() {
    refused("consent-missing", 403, Fault::Customer, |world, acme| {
        world.order(acme.withdraw_consent());
    })
    .await;
}

#[tokio::test]
async fn a_disabled_principal_is_the_customers_refusal() {
    refused("principal-disabled", 403, Fault::Customer, |world, acme| {
        world.order(acme.set_principal(false, false));
    })
    .await;
}

#[tokio::test]
async fn conditional_access_is_the_customers_refusal() {
    refused("conditional-access", 403, Fault::Customer, |world, acme| {
        world.order(acme.set_principal(true, true));
    })
    .await;
}

#[tokio::test]
async fn a_vault_of_another_directory_is_the_customers_refusal() {
    refused("wrong-directory", 403, Fault::Customer, |world, acme| {
        world.order(Order::MoveVault {
            host: acme.vault.clone(),
            directory: Uuid::new_v4(),
        });
    })
    .await;
}

#[tokio::test]
async fn a_firewall_is_the_customers_refusal() {
    refused("firewall-denied", 403, Fault::Customer, |world, acme| {
        world.order(Order::SetNetwork {
            host: acme.vault.clone(),
            network: Network::Firewall(Vec::new()),
        });
    })
    .await;
}

#[tokio::test]
async fn a_closed_network_is_the_customers_refusal() {
    refused("public-access-disabled", 403, Fault::Customer, |world, acme| {
        world.order(Order::SetNetwork {
            host: acme.vault.clone(),
            network: Network::Closed,
        });
    })
    .await;
}

#[tokio::test]
async fn a_throttled_vault_passes_its_retry_after_on() {
    let problem = unwrap_after(|world, acme| {
        world.fault(acme, Operation::UnwrapKey, Faulty::Throttle { retry_after: Some(17) });
    })
    .await;
    assert_eq!(
        (problem.slug(), problem.status, problem.fault),
        ("vault-throttled", 503, Fault::Vault)
    );
    assert_eq!(problem.retry_after, Some(17));
}

#[tokio::test]
async fn a_failing_vault_is_unavailable() {
    refused("vault-failed", 503, Fault::Vault, |world, acme| {
        world.fault(acme, Operation::UnwrapKey, Faulty::Status { status: 503 });
    })
    .await;
}

#[tokio::test]
async fn a_hanging_vault_is_unavailable() {
    refused("vault-timeout", 504, Fault::Vault, |world, acme| {
        world.fault(acme, Operation::UnwrapKey, Faulty::Hang);
    })
    .await;
}

#[tokio::test]
async fn a_vault_that_breaks_connections_is_unavailable() {
    refused("vault-unreachable", 503, Fault::Vault, |world, acme| {
        world.fault(acme, Operation::UnwrapKey, Faulty::Reset);
    })
    .await;
}

#[tokio::test]
async fn a_truncated_answer_is_no_answer() {
    refused("vault-answer-invalid", 502, Fault::Vault, |world, acme| {
        world.fault(acme, Operation::UnwrapKey, Faulty::Truncate);
    })
    .await;
}

#[tokio::test]
async fn an_expired_certificate_of_the_vault_is_not_trusted() {
    refused("vault-certificate-invalid", 502, Fault::Vault, |world, acme| {
        world.order(Order::SetCertificateExpired {
            host: acme.vault.clone(),
            expired: true,
        });
    })
    .await;
}

#[tokio::test]
async fn an_entra_that_fails_is_unavailable() {
    refused("entra-unavailable", 503, Fault::Vault, |world, acme| {
        world.fault(acme, Operation::Token, Faulty::Status { status: 503 });
    })
    .await;
}

#[tokio::test]
async fn our_own_expired_secret_is_our_fault() {
    refused("app-secret-expired", 500, Fault::Service, |world, _| {
        world.set_own_secret_expired(true);
    })
    .await;
}

#[tokio::test]
async fn what_the_vault_said_is_passed_on_as_a_code_and_an_id() {
    let problem = unwrap_after(|world, acme| world.order(acme.assignment(false))).await;
    let upstream = problem.upstream.unwrap();
    assert_eq!(upstream.code.as_deref(), Some("ForbiddenByRbac"));
    assert!(upstream.request_id.unwrap().parse::<Uuid>().is_ok());
}

//! Each way in which a customer's key, directory or network fails is its own problem, and tells nothing that it should not.

use std::collections::BTreeSet;

use keyferry_client::{Context, Fault, Problem, http_client};
use keyferry_emulator::{Fault as Faulty, Network, Operation, Order};
use keyferry_tests::{Answer, Customer, Database, LOCATION, SECRET, World, repository};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

/// Wraps a key, has something happen, and unwraps it at a process that has it in no cache.
async fn unwrap_after(happens: impl FnOnce(&World, &Customer)) -> Problem {
    unwrap_in(World::new(Database::sqlite()).await, happens).await
}

async fn unwrap_in(mut world: World, happens: impl FnOnce(&World, &Customer)) -> Problem {
    // By the first process, and before anything happens.
    world.look_seldom();
    let keyferry = world.start().await;
    let acme = world.tenant(&keyferry, "acme", None).await;
    world.is_looked_at(&keyferry, "acme").await;
    let context = Context::from([("table".to_owned(), "planted-context".to_owned())]);
    let key = world.data(&keyferry, "acme").generate_data_key(&context).await.unwrap();
    let fresh = world.start().await;
    happens(&world, &acme);
    let token = world.service_token().await;
    let request = http_client([])
        .build()
        .unwrap()
        .post(fresh.url("/v1/tenants/acme/unwrap"))
        .bearer_auth(&token)
        .json(&json!({"wrapped_key": key.wrapped_key, "encryption_context": context}));
    let answer = Answer::to(request).await;
    let private = [
        SECRET.to_owned(),
        token,
        "planted-context".into(),
        key.wrapped_key,
        acme.directory.to_string(),
        acme.principal.to_string(),
        world.application_id().to_string(),
    ];
    assert_eq!(leaks(&answer, &private), Vec::<String>::new(), "{answer:?}");
    answer.problem()
}

/// What an answer tells beyond what is documented of it. `upstream` is all that Azure has a say in, so its texts are
/// looked for as well: as they are known, and by what they know that we do not.
fn leaks(answer: &Answer, private: &[String]) -> Vec<String> {
    let azures = [
        LOCATION,
        "subscriptions",
        "appid=",
        "Caller",
        "Operation ",
        "was not found in",
        "Invalid issuer",
        "service principal in the tenant",
        "Access has been blocked",
        "too many requests",
        "error has occurred",
        "Trace ID",
        "Bearer",
    ];
    // A token of any kind begins so.
    let azures = azures.into_iter().chain(["eyJ"]);
    let text = answer.text();
    let shown = private.iter().map(String::as_str).chain(azures);
    let mut leaks: Vec<_> = shown
        .filter(|private| text.contains(private))
        .map(str::to_owned)
        .collect();

    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let problem = answer.problem();
    // Which version an envelope needs is told where the customer has disabled it: the envelope says it as well.
    let names_version = problem.slug() == "key-disabled" && problem.key_id.is_some();
    let surplus_members = surplus(&body, &MEMBERS).into_iter();
    leaks.extend(surplus_members.filter(|name| !(names_version && name == "key_id")));
    leaks.extend(
        body.get("upstream")
            .iter()
            .flat_map(|said| surplus(said, &["code", "request_id"])),
    );
    let headers = answer.headers.keys().map(|name| name.as_str().to_owned());
    leaks.extend(headers.filter(|name| !HEADERS.contains(&name.as_str())));

    let (title, detail) = documented(problem.slug());
    let is_documented = problem.detail == detail || names_version && problem.detail.starts_with(NEEDS_VERSION);
    if problem.title != title || !is_documented {
        leaks.push("a text of its own".into());
    }
    let said = problem.upstream.iter().flat_map(|said| [&said.code, &said.request_id]);
    let plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    leaks.extend(said.flatten().filter(|text| !plain(text)).cloned());
    leaks
}

/// How the answer begins where an envelope needs a version that the customer has disabled.
const NEEDS_VERSION: &str = "The customer has disabled the version of its key that this envelope needs";

const MEMBERS: [&str; 8] = [
    "type",
    "title",
    "status",
    "detail",
    "fault",
    "request_id",
    "retry_after_seconds",
    "upstream",
];

const HEADERS: [&str; 7] = [
    "content-type",
    "content-length",
    "date",
    "x-request-id",
    "retry-after",
    "cache-control",
    "x-content-type-options",
];

/// The members of an object that are none of these.
fn surplus(object: &Value, known: &[&str]) -> Vec<String> {
    let members: BTreeSet<_> = object.as_object().unwrap().keys().cloned().collect();
    members
        .into_iter()
        .filter(|name| !known.contains(&name.as_str()))
        .collect()
}

/// A problem's title and detail, as `docs/problems.md` has them.
fn documented(slug: &str) -> (String, String) {
    let page = std::fs::read_to_string(repository().join("docs/problems.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with(&format!("| `{slug}` |")));
    let cells: Vec<_> = row
        .unwrap_or_else(|| panic!("no row for {slug}"))
        .split(" | ")
        .collect();
    let last = cells[4].trim_end_matches(" |");
    (cells[3].to_owned(), last.to_owned())
}

type Change = fn(&mut Value);

#[test]
fn whatever_is_not_documented_is_noticed_wherever_it_stands() {
    let (title, detail) = documented("role-missing");
    let upstream = json!({"code": "ForbiddenByRbac", "request_id": "c1f3"});
    let good = json!({
        "type": "https://keyferry.dev/problems/role-missing", "title": title, "status": 403, "detail": detail,
        "fault": "customer", "upstream": upstream,
    });
    let answer = |change: Change, header: Option<(&'static str, &'static str)>| {
        let mut body = good.clone();
        change(&mut body);
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let body = body.to_string();
        let answer = Answer {
            status: 403,
            headers,
            body,
        };
        leaks(&answer, &["planted".into()])
    };
    let none: Change = |_| {};
    assert_eq!(answer(none, Some(("x-request-id", "7"))), Vec::<String>::new());
    assert_eq!(answer(none, Some(("x-request-id", "planted"))), ["planted"]);
    assert_eq!(answer(none, Some(("x-debug", "7"))), ["x-debug"]);
    let changes: [(Change, &str); 6] = [
        (|body| body["debug"] = "7".into(), "debug"),
        (|body| body["upstream"]["message"] = "7".into(), "message"),
        (|body| body["upstream"]["code"] = "no access".into(), "no access"),
        (|body| body["detail"] = "The vault said so.".into(), "a text of its own"),
        (|body| body["request_id"] = "planted".into(), "planted"),
        (|body| body["request_id"] = "eyJ0eXAi".into(), "eyJ"),
    ];
    for (change, found) in changes {
        assert_eq!(answer(change, None), [found]);
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
    let mut world = World::new(Database::sqlite()).await;
    world.try_seconds = 2;
    let problem = unwrap_in(world, |world, acme| {
        world.fault(acme, Operation::UnwrapKey, Faulty::Hang);
    })
    .await;
    assert_eq!(
        (problem.slug(), problem.status, problem.fault),
        ("vault-timeout", 504, Fault::Vault)
    );
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

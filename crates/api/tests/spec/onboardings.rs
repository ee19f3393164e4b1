//! Administration of onboardings: opened once, changed by whoever has seen them last, told whole.

use http::Method;
use serde_json::{Value, json};

use crate::{
    issuer::{FIRST, header},
    reply::Reply,
    world::{CONFINED, DATA, OPERATOR, PUBLIC_URL, World},
};

fn opening(slug: &str) -> Value {
    json!({"slug": slug, "display_name": "Globex"})
}

async fn open(world: &World, request: &Value) -> Reply {
    Reply::to(world.onboarding(Method::POST, "").json(request)).await
}

async fn show(world: &World, slug: &str) -> Reply {
    Reply::to(world.onboarding(Method::GET, &format!("/{slug}"))).await
}

fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_onboarding_is_opened_with_what_is_known_and_shown_whole() {
    let world = World::new().await;
    let request = json!({
        "slug": "globex-to-be", "display_name": "Globex", "endpoint_policy": "off", "allows_public_path": true,
        "policy": {"cache_ttl_seconds": 60},
        "answers": {
            "directory_id": "{5F0B4D3E-7A1C-4C2F-9A0E-0D6B4F7C2A11}",
            "vault": "https://contoso-keys.vault.azure.net/keys/customer-key",
        },
    });
    let opened = open(&world, &request).await;
    let made = opened.with(201);
    assert_eq!(opened.header("location"), "/v1/admin/onboardings/globex-to-be");
    assert!(
        made["link_url"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{PUBLIC_URL}/onboarding/"))
    );
    for (field, expected) in [
        ("slug", json!("globex-to-be")),
        ("cloud", json!("public")),
        ("stage", json!("open")),
        ("endpoint_policy", json!("off")),
        ("allows_public_path", json!(true)),
        (
            "answers",
            json!({
                "directory_id": "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11", "vault": "contoso-keys.vault.azure.net",
                "key_name": "customer-key", "key_version": "latest",
            }),
        ),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    assert_eq!(made["policy"]["cache_ttl_seconds"], 60);
    assert_eq!(
        (&made["link"]["serial"], &made["link"]["is_revoked"]),
        (&json!(1), &json!(false))
    );
    let names = |list: &str, name: &str| -> Vec<String> {
        let list = made[list].as_array().unwrap();
        list.iter()
            .map(|item| item[name].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names("steps", "step"),
        ["authorize", "vault-and-key", "access", "complete"]
    );
    assert_eq!(
        names("checks", "check"),
        [
            "directory",
            "consent",
            "vault",
            "key",
            "wrap",
            "read",
            "least-privilege",
            "protection",
            "private-endpoint",
            "verification"
        ]
    );
    let shown = show(&world, "globex-to-be").await;
    assert_eq!(shown.with(200)["id"], made["id"]);
    assert_eq!(shown.header("etag"), format!("\"{}\"", shown.json()["revision"]));
}

#[tokio::test]
async fn every_field_that_is_refused_is_named_and_not_repeated() {
    let world = World::new().await;
    let wrong = json!({"slug": "A", "display_name": "", "cloud": "mars", "endpoint_policy": "perhaps"});
    let problem = open(&world, &wrong).await.problem(422, "invalid-fields");
    assert_eq!(fields(&problem), ["slug", "display_name", "cloud", "endpoint_policy"]);
    let mut wrong = opening("globex-to-be");
    wrong["answers"] = json!({"directory_id": "planted.example.com", "vault": "https://planted.example.com/"});
    let refused = open(&world, &wrong).await;
    assert_eq!(
        fields(&refused.problem(422, "invalid-fields")),
        ["answers.directory_id", "answers.vault"]
    );
    assert!(!refused.text().contains("planted"), "{}", refused.text());
    let mut wrong = opening("globex-to-be");
    wrong["cloud"] = json!("china");
    let problem = open(&world, &wrong).await.problem(422, "invalid-fields");
    assert_eq!(fields(&problem), ["cloud"], "our application is not registered there");
    let mut wrong = opening("globex-to-be");
    wrong["policy"] = json!({"cache_ttl_seconds": 3601});
    let problem = open(&world, &wrong).await.problem(422, "invalid-fields");
    assert_eq!(fields(&problem), ["policy.cache_ttl_seconds"]);
    show(&world, "globex-to-be").await.problem(404, "onboarding-not-found");
}

#[tokio::test]
async fn a_repeated_opening_opens_once_and_another_is_refused() {
    let world = World::new().await;
    let send = |request: Value| {
        let sent = world.onboarding(Method::POST, "").header("idempotency-key", "one");
        Reply::to(sent.json(&request))
    };
    let first = send(opening("globex-to-be")).await.with(201);
    let again = send(opening("globex-to-be")).await.with(200);
    assert_eq!(first["id"], again["id"]);
    let other = send(opening("initech-to-be")).await;
    other.problem(422, "idempotency-key-reused");
    // Neither a tenant's slug is free, nor an onboarding's.
    for slug in ["acme", "globex-to-be"] {
        open(&world, &opening(slug)).await.problem(409, "slug-taken");
    }
    let registration = crate::world::registration("globex-to-be");
    let taken = Reply::to(world.admin(Method::POST, "").json(&registration)).await;
    taken.problem(409, "slug-taken");
}

#[tokio::test]
async fn no_change_is_made_by_whoever_does_not_say_what_it_has_seen() {
    let world = World::new().await;
    world.opens("globex-to-be").await;
    for method in [Method::PATCH, Method::DELETE] {
        let request = || {
            world
                .onboarding(method.clone(), "/globex-to-be")
                .json(&json!({"display_name": "Changed"}))
        };
        Reply::to(request()).await.problem(428, "precondition-required");
        let stale = Reply::to(request().header("if-match", "\"0\"")).await;
        stale.problem(412, "precondition-failed");
    }
    let shown = show(&world, "globex-to-be").await.with(200);
    assert_eq!(
        (&shown["display_name"], &shown["stage"]),
        (&json!("A customer to be"), &json!("open"))
    );
}

#[tokio::test]
async fn a_change_touches_what_it_names() {
    let world = World::new().await;
    let made = world.opens("globex-to-be").await;
    let change = json!({"display_name": "Globex Corporation", "answers": {"vault": "contoso-keys"}});
    let sent = world.onboarding(Method::PATCH, "/globex-to-be").header("if-match", "*");
    let changed = Reply::to(sent.json(&change)).await.with(200);
    assert_eq!(changed["display_name"], "Globex Corporation");
    assert_eq!(changed["answers"]["vault"], "contoso-keys.vault.azure.net");
    assert_eq!((&changed["policy"], &changed["id"]), (&made["policy"], &made["id"]));
    let unknown = json!({"slug": "another"});
    let sent = world.onboarding(Method::PATCH, "/globex-to-be").header("if-match", "*");
    Reply::to(sent.json(&unknown)).await.problem(400, "malformed-request");
}

#[tokio::test]
async fn what_happened_is_told_newest_first_page_by_page() {
    let world = World::new().await;
    world.opens("globex-to-be").await;
    for _ in 0..3 {
        Reply::to(world.onboarding(Method::POST, "/globex-to-be/link"))
            .await
            .with(200);
    }
    let (mut numbers, mut kinds, mut query) = (Vec::new(), Vec::new(), "?limit=2".to_owned());
    loop {
        let page = Reply::to(world.onboarding(Method::GET, &format!("/globex-to-be/history{query}")));
        let page = page.await.with(200);
        for event in page["events"].as_array().unwrap() {
            numbers.push(event["number"].as_i64().unwrap());
            kinds.push(event["kind"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next_before"].as_i64() else {
            break;
        };
        query = format!("?limit=2&before={next}");
    }
    assert!(
        numbers.is_sorted_by(|later, earlier| later > earlier) && numbers.last() == Some(&1),
        "{numbers:?}"
    );
    assert_eq!(kinds.last().map(String::as_str), Some("opened"));
    assert_eq!(kinds.iter().filter(|kind| *kind == "link-made").count(), 3, "{kinds:?}");
    for query in ["?limit=0", "?before=x", "?after=1"] {
        let refused = Reply::to(world.onboarding(Method::GET, &format!("/globex-to-be/history{query}"))).await;
        refused.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn onboardings_are_listed_page_by_page_and_to_a_confined_operator_its_own_only() {
    let world = World::new().await;
    for slug in ["one", "two", "umbrella"] {
        world.opens(slug).await;
    }
    let list = |page: &Value| -> Vec<String> {
        let onboardings = page["onboardings"].as_array().unwrap();
        onboardings
            .iter()
            .map(|onboarding| onboarding["slug"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = Reply::to(world.onboarding(Method::GET, "?limit=2")).await.with(200);
    assert_eq!(list(&first), ["one", "two"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = Reply::to(world.onboarding(Method::GET, &format!("?cursor={cursor}")))
        .await
        .with(200);
    assert_eq!(
        (list(&rest), rest.get("next_cursor")),
        (vec!["umbrella".to_owned()], None)
    );
    let mut claims = world.issuer.claims(&[OPERATOR]);
    claims["azp"] = json!(crate::world::CONFINED_TO_SEVERAL);
    let token = FIRST.sign(&header(FIRST.kid), &claims);
    let confined = world.call(Method::GET, "/v1/admin/onboardings").bearer_auth(token);
    assert_eq!(list(&Reply::to(confined).await.with(200)), ["umbrella"]);
}

#[tokio::test]
async fn a_confined_operator_opens_its_own_only() {
    let world = World::new().await;
    let mut claims = world.issuer.claims(&[OPERATOR]);
    claims["azp"] = json!(CONFINED);
    let token = FIRST.sign(&header(FIRST.kid), &claims);
    let request = world.call(Method::POST, "/v1/admin/onboardings").bearer_auth(token);
    let refused = Reply::to(request.json(&opening("globex-to-be"))).await;
    refused.problem(409, "slug-taken");
    show(&world, "globex-to-be").await.problem(404, "onboarding-not-found");
}

#[tokio::test]
async fn instructions_come_in_four_forms_with_the_customers_values() {
    let world = World::new().await;
    let mut request = opening("globex-to-be");
    request["answers"] = json!({"vault": "contoso-keys"});
    open(&world, &request).await.with(201);
    for (form, part) in [
        ("az", "contoso-keys"),
        ("bicep", "contoso-keys"),
        ("terraform", "contoso-keys"),
        (
            "consent",
            "https://login.microsoftonline.com/organizations/adminconsent?client_id=",
        ),
    ] {
        let path = format!("/globex-to-be/instructions/{form}");
        let shown = Reply::to(world.onboarding(Method::GET, &path)).await;
        assert_eq!(
            (shown.status, shown.header("content-type")),
            (200, "text/plain; charset=utf-8")
        );
        assert!(shown.text().contains(part), "{}", shown.text());
    }
    let none = Reply::to(world.onboarding(Method::GET, "/globex-to-be/instructions/pulumi")).await;
    none.problem(404, "route-not-found");
}

#[tokio::test]
async fn whoever_is_not_a_tenant_yet_is_told_apart_from_nobody_by_those_who_may_serve_it() {
    let world = World::new().await;
    world.opens("umbrella").await;
    let problem = world.does("umbrella/wrap", &json!({"key": "a2V5"})).await;
    assert_eq!(problem.problem(403, "tenant-onboarding")["fault"], "customer");
    world
        .does("nobody/wrap", &json!({"key": "a2V5"}))
        .await
        .problem(404, "tenant-not-found");
    let mut claims = world.issuer.claims(&DATA);
    claims["azp"] = json!(CONFINED);
    let token = FIRST.sign(&header(FIRST.kid), &claims);
    let request = world.call(Method::POST, "/v1/tenants/umbrella/wrap").bearer_auth(token);
    Reply::to(request.json(&json!({"key": "a2V5"})))
        .await
        .problem(404, "tenant-not-found");
}

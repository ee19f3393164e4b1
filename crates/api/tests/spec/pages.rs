//! The customer's page: whole without a script, the customer's own, and nobody else's.

use http::Method;
use keyferry_crypto::id::DirectoryId;
use keyferry_registry::{
    RegistryError, Tenant,
    onboarding::{Endpoint, EndpointPolicy, EndpointState, Onboarding, Stage},
};
use serde_json::json;

use crate::{
    browser::Browser,
    reply::Reply,
    world::{APPLICATION, PUBLIC_URL, World},
};

#[tokio::test]
async fn a_page_is_whole_without_a_script() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let html = browser.sees().await;
    for part in [
        "authorize",
        "vault-and-key",
        "access",
        "complete",
        "progress",
        "instructions",
    ] {
        assert_eq!(html.matches(&format!("id=\"{part}\"")).count(), 1, "{part}");
    }
    for action in ["answers", "verify", "consent"] {
        assert!(
            html.contains(&format!("<form method=\"post\" action=\"{}/{action}\"", browser.page)),
            "{action}"
        );
    }
    for field in ["directory", "vault", "key"] {
        assert!(html.contains(&format!("<label for=\"{field}\">")), "{field}");
        assert!(
            html.contains(&format!("aria-describedby=\"{field}-hint {field}-said\"")),
            "{field}"
        );
    }
    assert!(html.contains("Example Platform") && html.contains("A customer to be"));
    assert!(
        html.contains(&format!("az ad sp create --id &#39;{APPLICATION}&#39;")),
        "{html}"
    );
    assert!(html.contains("aria-current=\"step\""));
    for form in ["az", "bicep", "terraform"] {
        let file = Reply::to(browser.asks(&format!("/instructions/{form}"))).await;
        file.keeps_to_itself();
        assert_eq!(
            (file.status, file.header("content-type")),
            (200, "text/plain; charset=utf-8")
        );
        assert!(
            file.header("content-disposition")
                .starts_with("attachment; filename=\"customer-key.")
        );
        assert!(html.contains(&format!("href=\"{}/instructions/{form}\"", browser.page)));
    }
    // Everything that can be reached on the page has an id of its own.
    let ids: Vec<_> = html
        .split(" id=\"")
        .skip(1)
        .map(|rest| rest.split('"').next())
        .collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(ids.len(), once.len(), "{ids:?}");
}

#[tokio::test]
async fn what_a_page_loads_is_served_here_and_may_be_kept() {
    let world = World::new().await;
    let html = Browser::of(&world, "globex-to-be").await.sees().await;
    let loaded: Vec<_> = html
        .split(['"', ' '])
        .filter(|text| text.starts_with("/onboarding/assets/"))
        .collect();
    assert_eq!(loaded.len(), 3, "{loaded:?}");
    for path in loaded {
        let file = Reply::to(world.call(Method::GET, path)).await;
        assert_eq!(file.status, 200);
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        assert!(
            !file.text().contains("http:") && !file.text().contains("https:"),
            "{path}"
        );
    }
    let none = Reply::to(world.call(Method::GET, "/onboarding/assets/page-0.css")).await;
    none.page(404);
}

#[tokio::test]
async fn names_are_text_whatever_is_in_them() {
    let world = World::new().await;
    let hostile = "<script>alert(1)</script>\" onload=\"x' & <b>";
    let request = json!({"slug": "hostile", "display_name": hostile});
    let made = Reply::to(world.onboarding(Method::POST, "").json(&request))
        .await
        .with(201);
    let html = Browser::with(&world, &made).sees().await;
    assert!(!html.contains("<script>alert") && !html.contains("<b>") && !html.contains("\" onload"));
    assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
}

#[tokio::test]
async fn a_page_shows_its_own_customer_and_nobody_else() {
    let world = World::new().await;
    let mut pages = Vec::new();
    for (slug, name, directory) in [
        ("first", "First Customer", "7c0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a33"),
        ("second", "Second Customer", "6a0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a22"),
    ] {
        let request = json!({
            "slug": slug, "display_name": name,
            "answers": {"directory_id": directory, "vault": format!("{slug}-keys")},
        });
        let made = Reply::to(world.onboarding(Method::POST, "").json(&request))
            .await
            .with(201);
        let browser = Browser::with(&world, &made);
        let id = made["id"].as_str().unwrap().to_owned();
        pages.push((
            browser.sees().await,
            [
                name.to_owned(),
                directory.to_owned(),
                format!("{slug}-keys"),
                browser.token().to_owned(),
            ],
            id,
        ));
    }
    for (place, (html, own, id)) in pages.iter().enumerate() {
        let (_, others, other_id) = &pages[1 - place];
        for text in own {
            assert!(html.contains(text.as_str()), "{text}");
        }
        for text in others {
            assert!(!html.contains(text.as_str()), "{text}");
        }
        assert!(
            !html.contains(id.as_str()) && !html.contains(other_id.as_str()),
            "ids are nobody's business"
        );
    }
}

#[tokio::test]
async fn only_the_sign_in_page_of_the_customers_cloud_is_a_place_for_forms() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let page = Reply::to(browser.asks("")).await;
    let policy = page.header("content-security-policy");
    assert!(
        policy.ends_with("form-action 'self' https://login.microsoftonline.com"),
        "{policy}"
    );
    let sent = Reply::to(browser.sends("/consent", &[])).await;
    let sign_in = sent.leads_to();
    assert!(sign_in.starts_with("https://login.microsoftonline.com/"), "{sign_in}");
}

#[tokio::test]
async fn what_came_back_from_entra_is_never_a_place_to_go_to() {
    let world = World::new().await;
    for query in [
        "",
        "?state=forged&admin_consent=True",
        "?state=https%3A%2F%2Fevil.example&tenant=5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11&admin_consent=True",
        "?redirect_uri=https%3A%2F%2Fevil.example&state=x",
        "?error=access_denied&error_description=%3Cscript%3E&state=x",
        "?state=%00%ff",
    ] {
        let reply = Reply::to(world.call(Method::GET, &format!("/onboarding/consent{query}"))).await;
        let html = reply.page(400);
        assert!(!html.contains("evil.example") && !html.contains("<script>") && reply.header("location").is_empty());
    }
}

#[tokio::test]
async fn a_form_that_no_page_of_ours_sent_changes_nothing() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let form = [("directory", "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11")];
    for path in ["/answers", "/parse", "/verify", "/consent", "/private-endpoint"] {
        for (name, value) in [
            ("x-nothing", "said"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "none"),
        ] {
            let refused = Reply::to(browser.posts(path, &form).header(name, value)).await;
            refused.page(403);
        }
    }
    let shown = Reply::to(world.onboarding(Method::GET, "/globex-to-be"))
        .await
        .with(200);
    assert_eq!(shown["answers"], json!({"key_version": "latest"}));
    // A browser whose page sends no referrer says `null`, and where it really comes from.
    let sent = browser.posts("/answers", &form).header("origin", "null");
    Reply::to(sent.header("sec-fetch-site", "same-origin")).await.leads_to();
}

#[tokio::test]
async fn a_stranger_form_is_refused() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let sends = |content_type: &str, body: String| {
        let request = browser.posts("/answers", &[]).header("origin", PUBLIC_URL);
        let mut request = request.body(body).build().unwrap();
        let headers = request.headers_mut();
        headers.insert("content-type", content_type.parse().unwrap());
        headers.remove("content-length");
        request
    };
    let form = "application/x-www-form-urlencoded";
    for request in [
        sends("application/json", "{}".to_owned()),
        sends("multipart/form-data; boundary=x", "--x--".to_owned()),
        sends(form, "tenant=acme".to_owned()),
        sends(form, "directory=a&directory=b".to_owned()),
        sends(form, format!("vault={}", "a".repeat(33 << 10))),
    ] {
        let reply = Reply::to(reqwest::RequestBuilder::from_parts(reqwest::Client::new(), request)).await;
        reply.page(400);
    }
}

#[tokio::test]
async fn there_are_no_pages_where_onboarding_is_not_configured() {
    let setup = crate::world::Setup {
        has_onboarding: false,
        ..crate::world::Setup::usual().await
    };
    let world = World::of(setup).await;
    world.is_ready().await;
    for path in ["/onboarding/x", "/onboarding/consent"] {
        Reply::to(world.call(Method::GET, path))
            .await
            .problem(404, "route-not-found");
    }
    for path in ["", "/acme", "/acme/history"] {
        let reply = Reply::to(world.onboarding(Method::GET, path)).await;
        reply.problem(404, "route-not-found");
    }
}

#[tokio::test]
async fn a_missing_database_is_told_on_a_page() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let setup = crate::world::Setup {
        has_database: false,
        ..crate::world::Setup::usual().await
    };
    let without = World::of(setup).await;
    let reply = Reply::to(without.call(Method::GET, &browser.page)).await;
    let html = reply.page(503);
    assert!(html.contains(reply.header("x-request-id")) && !reply.header("retry-after").is_empty());
    assert!(!html.contains("database") && !html.contains("sqlite"), "{html}");
}

/// An onboarding, as its store is made to have it.
async fn becomes(world: &World, slug: &str, change: impl FnOnce(&mut Onboarding)) {
    let mut onboarding = world
        .store
        .find_onboarding(&slug.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    change(&mut onboarding);
    // The checks may be saved at the same time.
    while let Err(RegistryError::Conflict) = world.store.save_onboarding(&onboarding, &[]).await {
        let now = world.store.find_onboarding(&onboarding.slug).await.unwrap().unwrap();
        onboarding.revision = now.revision;
    }
}

/// An onboarding that ended in a tenant, though nobody verified anything.
async fn is_activated(world: &World, slug: &str, change: impl FnOnce(&mut Onboarding)) {
    becomes(world, slug, |onboarding| {
        onboarding.answers.directory = Some(DirectoryId(uuid::Uuid::from_u128(0xd1)));
        onboarding.answers.vault = Some("globex-vault.vault.azure.net".parse().unwrap());
        onboarding.answers.key = Some("kek".parse().unwrap());
        change(onboarding);
    })
    .await;
    // The checks may be saved at the same time.
    loop {
        let found = world.store.find_onboarding(&slug.parse().unwrap()).await.unwrap();
        let mut onboarding = found.unwrap();
        let since = onboarding.created_at;
        onboarding.stage = Stage::Active { since };
        let tenant = Tenant::onboarded(&onboarding, since).unwrap();
        match world.store.activate(&onboarding, &tenant, &[]).await {
            Ok(_) => return,
            Err(RegistryError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn an_active_customer_is_told_how_to_rotate_and_how_to_take_the_key_back() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    is_activated(&world, "globex-to-be", |onboarding| {
        onboarding.policy.cache_ttl = std::time::Duration::from_mins(7);
    })
    .await;
    let html = browser.sees().await;
    assert!(html.contains("<title>Active · A customer to be"), "{html}");
    assert!(html.contains("goes dark with us within 7 minutes") && html.contains("follow the newest version"));
    for field in ["directory", "vault", "key"] {
        assert!(
            !html.contains(&format!("name=\"{field}\"")),
            "{field} is not asked for any more"
        );
    }
    let late = Reply::to(browser.sends("/answers", &[("vault", "another-vault")])).await;
    late.page(409);
}

#[tokio::test]
async fn a_rejected_endpoint_is_offered_anew_and_what_was_written_beside_it_is_text() {
    let world = World::new().await;
    let browser = Browser::of(&world, "globex-to-be").await;
    let endpoint = |state| {
        move |onboarding: &mut Onboarding| {
            onboarding.endpoint_policy = EndpointPolicy::Optional;
            onboarding.endpoint = Some(Endpoint {
                name: "byok-globex".to_owned(),
                target: "/subscriptions/11112222-3333-4444-8555-666677778888/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/contoso-keys"
                    .parse()
                    .unwrap(),
                state,
                description: Some("<img src=x onerror=\"alert(1)\">".to_owned()),
                address: None,
                is_proven: false,
                since: onboarding.created_at,
            });
        }
    };
    becomes(&world, "globex-to-be", endpoint(EndpointState::Pending)).await;
    let html = browser.sees().await;
    assert!(
        html.contains("waiting for your approval") && html.contains("Private endpoint connections"),
        "{html}"
    );
    assert!(html.contains("name=\"resource\"") && !html.contains("/private-endpoint\""));
    for state in [
        EndpointState::Rejected,
        EndpointState::Disconnected,
        EndpointState::Failed,
    ] {
        becomes(&world, "globex-to-be", endpoint(state)).await;
        let html = browser.sees().await;
        assert!(!html.contains("<img") && html.contains("&#60;img src=x"), "{html}");
        assert!(html.contains(&format!("action=\"{}/private-endpoint\"", browser.page)));
        let sent = Reply::to(browser.sends("/private-endpoint", &[])).await;
        assert_eq!(sent.leads_to(), format!("{}#complete", browser.page));
    }
}

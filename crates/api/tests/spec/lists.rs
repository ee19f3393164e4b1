//! Lists of tenants.

use base64_simd::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    issuer::{FIRST, header},
    reply::Reply,
    world::{CONFINED, CONFINED_TO_SEVERAL, World},
};

async fn page(world: &World, query: &str) -> Value {
    Reply::to(world.admin(Method::GET, query)).await.with(200)
}

fn slugs(page: &Value) -> Vec<&str> {
    let tenants = page["tenants"].as_array().unwrap();
    tenants.iter().map(|tenant| tenant["slug"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_misses_nobody() {
    let world = World::new().await;
    for number in 0..27 {
        world.register(&format!("t{number:02}"), json!({})).await;
    }
    let (mut seen, mut pages, mut query) = (Vec::new(), 0, "?limit=7".to_owned());
    loop {
        let page = page(&world, &query).await;
        seen.extend(slugs(&page).into_iter().map(str::to_owned));
        pages += 1;
        let Some(next) = page.get("next_cursor") else { break };
        query = format!("?limit=7&cursor={}", next.as_str().unwrap());
    }
    assert_eq!((seen.len(), pages), (30, 5));
    assert!(seen.is_sorted(), "{seen:?}");
    let whole = page(&world, "").await;
    assert_eq!((slugs(&whole).len(), whole.get("next_cursor")), (30, None));
    let exact = page(&world, "?limit=30").await;
    assert_eq!((slugs(&exact).len(), exact.get("next_cursor")), (30, None));
}

async fn page_of(world: &World, application: Uuid, query: &str) -> Value {
    let mut claims = world.issuer.claims(&["Keyferry.Reader"]);
    claims["azp"] = json!(application);
    let token = FIRST.sign(&header(FIRST.kid), &claims);
    let request = world.call(Method::GET, &format!("/v1/admin/tenants{query}"));
    Reply::to(request.bearer_auth(token)).await.with(200)
}

#[tokio::test]
async fn a_confined_callers_list_shows_its_own_tenants_only() {
    let world = World::new().await;
    assert_eq!(slugs(&page_of(&world, CONFINED, "").await), ["acme"]);
    assert_eq!(
        slugs(&page_of(&world, CONFINED_TO_SEVERAL, "").await),
        ["acme", "initech"]
    );
}

/// The store has others' tenants before, between and after its own.
#[tokio::test]
async fn a_confined_callers_cursors_name_its_own_tenants_only() {
    let world = World::new().await;
    for slug in ["aaa", "umbrella", "zzz"] {
        world.register(slug, json!({})).await;
    }
    let (mut shown, mut named, mut query) = (Vec::new(), Vec::new(), "?limit=1".to_owned());
    loop {
        let page = page_of(&world, CONFINED_TO_SEVERAL, &query).await;
        shown.extend(slugs(&page).into_iter().map(str::to_owned));
        let Some(next) = page.get("next_cursor") else { break };
        let next = next.as_str().unwrap();
        let slug = URL_SAFE_NO_PAD.decode_to_vec(next).unwrap();
        named.push(String::from_utf8(slug).unwrap());
        query = format!("?limit=1&cursor={next}");
    }
    assert_eq!(shown, ["acme", "initech", "umbrella"]);
    assert_eq!(named, ["acme", "initech"]);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_malformed() {
    let world = World::new().await;
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=-1",
        "?limit=x",
        "?cursor=",
        "?cursor=!!",
        "?cursor=QQ",
        "?page=2",
        "?limit=1&limit=2",
    ] {
        let refused = Reply::to(world.admin(Method::GET, query)).await;
        assert_eq!(refused.slug().as_deref(), Some("malformed-request"), "{query}");
        refused.problem(400, "malformed-request");
    }
}

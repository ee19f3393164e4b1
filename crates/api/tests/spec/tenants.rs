//! Administration of a tenant's life: shown, listed, changed by whoever has seen it last, stopped, taken back, ended.

use http::Method;
use keyferry_api::clock;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    reply::Reply,
    routes::ROUTES,
    world::{DATA, World},
};

/// A change of the tenant `acme` by an operator who has just read it.
async fn change(world: &World, method: Method, path: &str, body: &Value) -> Reply {
    let shown = Reply::to(world.admin(Method::GET, "/acme")).await;
    let request = world.admin(method, &format!("/acme{path}"));
    Reply::to(request.header("if-match", shown.header("etag")).json(body)).await
}

async fn show(world: &World) -> Value {
    Reply::to(world.admin(Method::GET, "/acme")).await.with(200)
}

#[tokio::test]
async fn no_change_is_made_by_whoever_does_not_say_what_it_has_seen() {
    let world = World::new().await;
    let before = show(&world).await;
    for (method, path) in [
        (Method::PATCH, "/acme"),
        (Method::DELETE, "/acme"),
        (Method::POST, "/acme/suspend"),
        (Method::POST, "/acme/resume"),
    ] {
        let body = json!({"display_name": "Changed"});
        let unseen = Reply::to(world.admin(method.clone(), path).json(&body)).await;
        unseen.problem(428, "precondition-required");
        for stale in ["\"0\"", "W/\"1\"", "1", "nonsense", ""] {
            let request = world.admin(method.clone(), path).header("if-match", stale);
            let refused = Reply::to(request.json(&body)).await;
            refused.problem(412, "precondition-failed");
        }
    }
    assert_eq!(show(&world).await, before);
}

#[tokio::test]
async fn of_two_changes_of_the_same_state_only_one_is_made() {
    let world = World::new().await;
    let seen = Reply::to(world.admin(Method::GET, "/acme")).await;
    let rename = |name| {
        let request = world
            .admin(Method::PATCH, "/acme")
            .header("if-match", seen.header("etag"));
        Reply::to(request.json(&json!({ "display_name": name })))
    };
    let (left, right) = futures::join!(rename("Left"), rename("Right"));
    let (won, lost) = if left.status == 200 {
        (left, right)
    } else {
        (right, left)
    };
    lost.problem(412, "precondition-failed");
    assert_eq!(show(&world).await, won.with(200));
    assert_ne!(won.header("etag"), seen.header("etag"));
}

#[tokio::test]
async fn a_change_touches_what_it_names_and_nothing_else() {
    let world = World::new().await;
    let before = show(&world).await;
    let body = json!({"display_name": "Acme Corporation", "policy": {"outage_grace_seconds": 60}});
    let mut expected = change(&world, Method::PATCH, "", &body).await.with(200);
    assert_eq!(
        (&expected["display_name"], &expected["policy"]["outage_grace_seconds"]),
        (&json!("Acme Corporation"), &json!(60))
    );
    assert_eq!(expected, show(&world).await);
    expected["display_name"] = before["display_name"].clone();
    expected["policy"]["outage_grace_seconds"] = json!(0);
    for bookkeeping in ["revision", "updated_at"] {
        assert_ne!(expected[bookkeeping], before[bookkeeping]);
        expected[bookkeeping] = before[bookkeeping].clone();
    }
    assert_eq!(expected, before);
}

#[tokio::test]
async fn a_change_of_nothing_is_no_change() {
    let world = World::new().await;
    let before = show(&world).await;
    assert_eq!(change(&world, Method::PATCH, "", &json!({})).await.with(200), before);
}

#[tokio::test]
async fn a_key_that_was_current_before_still_opens_until_it_is_removed() {
    let world = World::new().await;
    let wrapped_key = world.wrapped_key("acme").await;
    let body = json!({"key_name": "next"});
    let changed = change(&world, Method::PATCH, "", &body).await.with(200);
    let former = json!([{"vault": "shared.vault.azure.net", "key_name": "kek"}]);
    assert_eq!(changed["former_keys"], former);
    let unwrap = json!({ "wrapped_key": wrapped_key });
    let opened = world.does("acme/unwrap", &unwrap).await.with(200);
    assert!(opened["key_id"].as_str().unwrap().contains("/keys/kek/"));
    let removed = change(&world, Method::PATCH, "", &json!({"former_keys": []})).await;
    assert_eq!(removed.with(200)["former_keys"], json!([]));
    let refused = world.does("acme/unwrap", &unwrap).await;
    refused.problem(400, "foreign-key");
}

#[tokio::test]
async fn a_version_pinned_of_one_key_is_not_taken_for_a_version_of_another() {
    let world = World::new().await;
    let pinned = "0000000000000000000000000000000a";
    for (body, expected) in [
        (json!({"key_version": pinned}), pinned),
        (json!({"display_name": "Acme Corporation"}), pinned),
        (json!({"key_name": "next"}), "latest"),
        (json!({"key_name": "another", "key_version": pinned}), pinned),
        (json!({"vault": "elsewhere.vault.azure.net"}), "latest"),
    ] {
        let changed = change(&world, Method::PATCH, "", &body).await.with(200);
        assert_eq!(changed["key_version"], expected, "{body}");
    }
}

#[tokio::test]
async fn a_change_that_is_refused_names_the_fields_and_changes_nothing() {
    let world = World::new().await;
    let before = show(&world).await;
    let body = json!({
        "display_name": "", "directory_id": "x", "vault": "acme.example.com", "key_version": "newest",
        "former_keys": [{"vault": "another.vault.azure.net", "key_name": "kek"}],
        "policy": {"cache_ttl_seconds": 3601},
    });
    let refused = change(&world, Method::PATCH, "", &body).await;
    let problem = refused.problem(422, "invalid-fields");
    let mut fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["field"])
        .collect();
    fields.sort_by_key(ToString::to_string);
    assert_eq!(
        fields,
        [
            "directory_id",
            "display_name",
            "former_keys",
            "key_version",
            "policy.cache_ttl_seconds",
            "vault"
        ]
    );
    assert_eq!(show(&world).await, before);
}

#[tokio::test]
async fn what_names_a_tenant_never_changes() {
    let world = World::new().await;
    for field in ["slug", "id", "cloud", "status", "revision"] {
        let refused = change(&world, Method::PATCH, "", &json!({ field: "globex" })).await;
        refused.problem(400, "malformed-request");
    }
}

#[tokio::test]
async fn a_tenant_that_is_not_active_is_refused_every_operation() {
    let world = World::new().await;
    for (method, path, slug) in [
        (Method::POST, "/suspend", "tenant-suspended"),
        (Method::DELETE, "", "tenant-deleting"),
    ] {
        assert!(change(&world, method, path, &json!({})).await.status < 300);
        let calls = world.vault.calls();
        let mut refused = 0;
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/v1/tenants/")) {
            let request = world.call(route.method.parse().unwrap(), &route.path_of_acme());
            let request = request.bearer_auth(world.issuer.token(&DATA)).json(&json!({}));
            assert_eq!(
                Reply::to(request).await.problem(403, slug)["fault"],
                "caller",
                "{}",
                route.path
            );
            refused += 1;
        }
        assert_eq!((refused, world.vault.calls()), (12, calls));
    }
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_everything_until_it_is_resumed() {
    let world = World::new().await;
    let wrapped_key = world.wrapped_key("acme").await;
    let unwrap = json!({ "wrapped_key": wrapped_key });
    let suspended = change(&world, Method::POST, "/suspend", &json!({})).await;
    assert_eq!(suspended.with(200)["status"], "suspended");
    for (operation, body) in [
        ("unwrap", &unwrap),
        ("generate-data-key", &json!({})),
        ("encrypt/batch", &json!({})),
    ] {
        let refused = world.does(&format!("acme/{operation}"), body).await;
        assert_eq!(refused.problem(403, "tenant-suspended")["fault"], "caller");
    }
    assert_eq!(
        change(&world, Method::POST, "/resume", &json!({})).await.with(200)["status"],
        "active"
    );
    world.does("acme/unwrap", &unwrap).await.with(200);
}

#[tokio::test]
async fn a_suspension_forgets_the_keys_in_memory() {
    let world = World::new().await;
    let unwrap = json!({ "wrapped_key": world.wrapped_key("acme").await });
    world.does("acme/unwrap", &unwrap).await.with(200);
    let before = world.vault.calls();
    world.does("acme/unwrap", &unwrap).await.with(200);
    assert_eq!(world.vault.calls(), before, "the key is in memory");
    change(&world, Method::POST, "/suspend", &json!({})).await.with(200);
    change(&world, Method::POST, "/resume", &json!({})).await.with(200);
    world.does("acme/unwrap", &unwrap).await.with(200);
    assert_eq!(world.vault.calls(), before + 1);
}

#[tokio::test]
async fn a_deleted_tenant_serves_nobody_and_can_be_taken_back() {
    let world = World::new().await;
    let wrapped_key = world.wrapped_key("acme").await;
    let before = clock::system()();
    let deleted = change(&world, Method::DELETE, "", &json!({})).await.with(202);
    assert_eq!(deleted["status"], "deleting");
    let purge_at = OffsetDateTime::parse(deleted["purge_at"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!((before..=clock::system()()).contains(&(purge_at - Duration::WEEK)));
    let unwrap = json!({ "wrapped_key": wrapped_key });
    world.does("acme/unwrap", &unwrap).await.problem(403, "tenant-deleting");
    let again = change(&world, Method::DELETE, "", &json!({})).await.with(202);
    assert_eq!(
        again["purge_at"], deleted["purge_at"],
        "deleting again does not move the end"
    );
    let suspended = change(&world, Method::POST, "/suspend", &json!({})).await;
    assert_eq!(suspended.problem(422, "invalid-fields")["errors"][0]["field"], "status");
    let resumed = change(&world, Method::POST, "/resume", &json!({})).await.with(200);
    assert_eq!((&resumed["status"], resumed.get("purge_at")), (&json!("active"), None));
    world.does("acme/unwrap", &unwrap).await.with(200);
}

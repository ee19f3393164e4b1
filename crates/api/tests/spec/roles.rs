//! What a caller may do: what its token's roles name, for the tenants that are its own.

use http::Method;
use serde_json::json;

use crate::{
    issuer::{FIRST, header},
    reply::Reply,
    routes::{ROLES, ROUTES},
    world::{CONFINED, DATA, OPERATOR, World},
};

#[tokio::test]
async fn each_role_opens_its_own_routes_and_no_other() {
    let world = World::new().await;
    for role in ROLES {
        let token = world.issuer.token(&[role]);
        for route in ROUTES {
            let request = world.call(route.method.parse().unwrap(), &route.path_of_acme());
            let reply = Reply::to(request.bearer_auth(&token)).await;
            let is_refused = reply.slug().as_deref() == Some("caller-role-missing");
            assert_ne!(
                is_refused,
                route.roles.contains(&role),
                "{role}: {} {}",
                route.method,
                route.path
            );
            if is_refused {
                reply.problem(403, "caller-role-missing");
            }
        }
    }
}

#[tokio::test]
async fn a_caller_without_roles_or_with_roles_of_others_may_do_nothing() {
    let world = World::new().await;
    for roles in [&[][..], &["Keyferry.Everything", "keyferry.seal", "Seal"]] {
        let token = world.issuer.token(roles);
        for route in ROUTES {
            let request = world.call(route.method.parse().unwrap(), &route.path_of_acme());
            let refused = Reply::to(request.bearer_auth(&token)).await;
            refused.problem(403, "caller-role-missing");
        }
    }
}

#[tokio::test]
async fn for_a_confined_caller_other_tenants_are_as_unknown_as_those_that_do_not_exist() {
    let world = World::new().await;
    let mut claims = world.issuer.claims(&[DATA[0], DATA[1], DATA[2], OPERATOR]);
    claims["azp"] = json!(CONFINED);
    let token = FIRST.sign(&header(FIRST.kid), &claims);
    let mut seen = 0;
    for route in ROUTES.iter().filter(|route| route.path.contains("{tenant}")) {
        let mut bodies = Vec::new();
        for tenant in ["globex", "nobody", "Not-A-Slug"] {
            let request = world.call(route.method.parse().unwrap(), &route.path_of(tenant));
            let request = request.header("x-request-id", "same").header("if-match", "*");
            let refused = Reply::to(request.bearer_auth(&token).json(&json!({}))).await;
            refused.problem(404, route.slug_of_nobody());
            bodies.push(refused.body);
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{}", route.path);
        seen += 1;
    }
    assert_eq!(seen, ROUTES.len() - 5);
    let request = world
        .call(Method::POST, "/v1/tenants/acme/generate-data-key")
        .bearer_auth(token);
    Reply::to(request.json(&json!({}))).await.with(200);
}

//! Who may do what: only a token that the platform's own directory signed counts, and only for the roles that it names.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use keyferry_api::clock;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    issuer::{AUDIENCE, DIRECTORY, FIRST, FOREIGN, SECOND, encoded, header, now},
    reply::Reply,
    routes::ROUTES,
    world::{DATA, Setup, World},
};

/// Asks with a token that is good but for what `change` does to its claims.
async fn ask_claiming(world: &World, change: impl FnOnce(&mut Value)) -> Reply {
    let mut claims = world.issuer.claims(&DATA);
    change(&mut claims);
    world.ask_with(&FIRST.sign(&header(FIRST.kid), &claims)).await
}

#[tokio::test]
async fn a_good_token_is_accepted_again_and_again() {
    let world = World::new().await;
    let token = world.issuer.token(&DATA);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        world.ask(&format!("{scheme} {token}")).await.with(200);
    }
}

#[tokio::test]
async fn every_route_asks_for_a_token() {
    let world = World::new().await;
    for route in ROUTES {
        let request = world.call(route.method.parse().unwrap(), &route.path_of_acme());
        let refused = Reply::to(request).await;
        refused.problem(401, "token-missing");
        assert_eq!(refused.header("www-authenticate"), r#"Bearer realm="keyferry""#);
    }
}

#[tokio::test]
async fn what_is_no_bearer_token_is_not_accepted() {
    let world = World::new().await;
    let token = world.issuer.token(&DATA);
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    for authorization in [
        "Basic dXNlcjpwYXNzd29yZA==",
        "Bearer",
        "Bearer garbage",
        "Bearer a.b.c",
        &token,
        &format!("Bearer {token}x"),
        &format!("Bearer  {token}"),
        &format!("Bearer {unsigned}"),
        &format!("Bearer {unsigned}."),
        &format!("Bearer {}", "x".repeat(20_000)),
    ] {
        let refused = world.ask(authorization).await;
        refused.problem(401, "token-invalid");
        assert_eq!(
            refused.header("www-authenticate"),
            r#"Bearer realm="keyferry", error="invalid_token""#
        );
    }
}

#[tokio::test]
async fn two_tokens_are_none() {
    let world = World::new().await;
    let token = world.issuer.token(&DATA);
    let request = world.data("acme/generate-data-key").bearer_auth(token);
    Reply::to(request.json(&json!({}))).await.problem(401, "token-invalid");
}

#[tokio::test]
async fn an_expired_token_is_told_so() {
    let world = World::new().await;
    let refused = ask_claiming(&world, |claims| claims["exp"] = (now() - 120).into()).await;
    refused.problem(401, "token-expired");
}

/// The system's clock, and how many seconds it is ahead.
fn turned() -> OffsetDateTime {
    clock::system()() + Duration::seconds(AHEAD.load(SeqCst))
}

static AHEAD: AtomicI64 = AtomicI64::new(0);

#[tokio::test]
async fn a_token_that_was_accepted_is_not_when_its_time_is_over() {
    let setup = Setup {
        clock: turned,
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    let token = world.issuer.token(&DATA);
    // Good for an hour, and clocks may differ by a minute.
    for (ahead, is_good) in [(0, true), (3500, true), (3600, true), (3700, false), (100_000, false)] {
        AHEAD.store(ahead, SeqCst);
        let asked = world.ask_with(&token).await;
        if is_good {
            asked.with(200);
        } else {
            asked.problem(401, "token-expired");
        }
    }
}

#[tokio::test]
async fn a_token_for_another_time_place_or_party_is_not_accepted() {
    let world = World::new().await;
    let origin = world.issuer.origin();
    for (claim, value) in [
        ("nbf", json!(now() + 600)),
        ("aud", json!(Uuid::from_u128(0xa2))),
        ("aud", json!([Uuid::from_u128(0xa2)])),
        // Both are what a version 1.0 token says.
        ("aud", json!(format!("api://{AUDIENCE}"))),
        ("iss", json!(format!("https://sts.windows.net/{DIRECTORY}/"))),
        ("iss", json!(format!("{origin}{FOREIGN}/v2.0"))),
        ("iss", json!("https://login.microsoftonline.com/")),
        ("tid", json!(FOREIGN)),
        ("tid", json!("not a directory")),
        ("azp", json!("not an application")),
        ("appid", json!(Uuid::new_v4())),
        ("roles", json!("Keyferry.Seal")),
        ("exp", json!("tomorrow")),
        ("exp", json!(i64::MAX)),
    ] {
        let refused = ask_claiming(&world, |claims| claims[claim] = value.clone()).await;
        assert_eq!(refused.slug().as_deref(), Some("token-invalid"), "{claim}: {value}");
        refused.problem(401, "token-invalid");
    }
}

#[tokio::test]
async fn a_token_without_a_needed_claim_is_not_accepted() {
    let world = World::new().await;
    for claim in ["iss", "aud", "exp", "tid", "azp"] {
        let refused = ask_claiming(&world, |claims| drop(claims.as_object_mut().unwrap().remove(claim))).await;
        assert_eq!(refused.slug().as_deref(), Some("token-invalid"), "without {claim}");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_trusted_vouches_for_nobody() {
    let world = World::new().await;
    let issuer = format!("{}{FOREIGN}/v2.0", world.issuer.origin());
    let refused = ask_claiming(&world, |claims| {
        claims["tid"] = json!(FOREIGN);
        claims["iss"] = json!(issuer);
    });
    refused.await.problem(401, "token-invalid");
}

#[tokio::test]
async fn a_token_names_neither_its_algorithm_nor_its_key_freely() {
    let world = World::new().await;
    let claims = world.issuer.claims(&DATA);
    let none = json!({"typ": "JWT", "alg": "none", "kid": FIRST.kid});
    let unsigned = format!("{}.{}.", encoded(&none), encoded(&claims));
    let symmetric = json!({"typ": "JWT", "alg": "HS256", "kid": FIRST.kid});
    let message = format!("{}.{}", encoded(&symmetric), encoded(&claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, FIRST.public()), message.as_bytes());
    let confused = format!("{message}.{}", URL_SAFE_NO_PAD.encode_to_string(tag.as_ref()));
    for token in [
        unsigned,
        confused,
        FIRST.sign(&json!({"typ": "JWT", "alg": "RS512", "kid": FIRST.kid}), &claims),
        FIRST.sign(&json!({"typ": "JWT", "alg": "RS256"}), &claims),
        FIRST.sign(&header("unknown"), &claims),
        SECOND.sign(&header(FIRST.kid), &claims),
    ] {
        world.ask_with(&token).await.problem(401, "token-invalid");
    }
}

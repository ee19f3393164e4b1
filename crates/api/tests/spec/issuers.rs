//! The identity provider: its keys are found, followed and distrusted as they deserve.

use serde_json::{Value, json};
use url::Url;

use crate::{
    issuer::{DIRECTORY, FIRST, FOREIGN, Issuer, SECOND, header},
    reply::Reply,
    world::{DATA, Setup, World},
};

/// Fails unless no token can be verified in a world with that issuer.
async fn assert_unusable(issuer: Issuer, why: &str) {
    let setup = Setup {
        issuer,
        ..Setup::usual().await
    };
    let world = World::of(setup).await;
    let asked = world.ask_with(&world.issuer.token(&DATA)).await;
    assert_eq!(asked.slug().as_deref(), Some("identity-provider-unavailable"), "{why}");
    assert_eq!(Reply::to(world.ops("/readyz")).await.status, 503, "{why}");
}

#[tokio::test]
async fn strangers_tokens_do_not_make_the_service_ask_the_issuer_over_and_over() {
    let world = World::new().await;
    let before = world.issuer.asked();
    for kid in ["u", "v", "w", "x", "y", "z"] {
        let token = FIRST.sign(&header(kid), &world.issuer.claims(&DATA));
        world.ask_with(&token).await.problem(401, "token-invalid");
    }
    assert!(world.issuer.asked() <= before + 1);
}

#[tokio::test]
async fn a_key_that_the_issuer_rotates_to_is_accepted_without_a_restart() {
    let world = World::new().await;
    world.ask_with(&world.issuer.token(&DATA)).await.with(200);
    world.issuer.rotates_to(&SECOND);
    let token = SECOND.sign(&header(SECOND.kid), &world.issuer.claims(&DATA));
    world.ask_with(&token).await.with(200);
}

#[tokio::test]
async fn a_key_that_the_issuer_rotated_away_signs_nothing_new() {
    let world = World::new().await;
    world.issuer.rotates_to(&SECOND);
    let token = SECOND.sign(&header(SECOND.kid), &world.issuer.claims(&DATA));
    world.ask_with(&token).await.with(200);
    world
        .ask_with(&world.issuer.token(&DATA))
        .await
        .problem(401, "token-invalid");
}

#[tokio::test]
async fn while_the_issuer_is_down_nobody_is_ready_and_no_token_is_called_bad() {
    let setup = Setup::usual().await;
    setup.issuer.is_down(true);
    let world = World::of(setup).await;
    let asked = world.ask_with(&world.issuer.token(&DATA)).await;
    let problem = asked.problem(503, "identity-provider-unavailable");
    assert_eq!(
        (&problem["fault"], asked.header("retry-after")),
        (&json!("service"), "1")
    );
    let ready = Reply::to(world.ops("/readyz")).await.with(503);
    assert_eq!(
        (&ready["ready"], &ready["identity_provider"]),
        (&json!(false), &json!(false))
    );
    world.issuer.is_down(false);
    world.is_ready().await;
    world.ask_with(&world.issuer.token(&DATA)).await.with(200);
}

#[tokio::test]
async fn while_new_keys_cannot_be_fetched_no_token_of_theirs_is_called_bad() {
    let world = World::new().await;
    world.issuer.rotates_to(&SECOND);
    world.issuer.is_down(true);
    let new = SECOND.sign(&header(SECOND.kid), &world.issuer.claims(&DATA));
    for _ in 0..3 {
        let refused = world.ask_with(&new).await;
        refused.problem(503, "identity-provider-unavailable");
    }
    world.ask_with(&world.issuer.token(&DATA)).await.with(200);
    world.issuer.is_down(false);
    // And not only when the keys would have been fetched anyway, in an hour.
    while world.ask_with(&new).await.status != 200 {}
}

#[tokio::test]
async fn only_rsa_keys_for_rs256_of_2048_bits_or_more_are_used() {
    for (member, value) in [
        ("kty", json!("EC")),
        ("use", json!("enc")),
        ("alg", json!("RS512")),
        ("n", json!("w".repeat(171))),
        ("n", json!("not base64url!".repeat(30))),
        ("e", Value::Null),
        ("kid", Value::Null),
    ] {
        let issuer = Issuer::start().await;
        let mut key = FIRST.jwk();
        key[member] = value.clone();
        issuer.publishes(vec![key]);
        assert_unusable(issuer, &format!("{member}: {value}")).await;
    }
}

#[tokio::test]
async fn keys_that_are_not_understood_do_not_hide_those_that_are() {
    let setup = Setup::usual().await;
    let stranger = json!({"kty": "EC", "crv": "P-256", "kid": FIRST.kid, "x": "AA", "y": "AA"});
    setup
        .issuer
        .publishes(vec![stranger, json!({"kty": "OKP"}), FIRST.jwk()]);
    let world = World::of(setup).await;
    world.ask_with(&world.issuer.token(&DATA)).await.with(200);
}

#[tokio::test]
async fn a_discovery_document_speaks_for_its_own_directory_at_its_own_origin() {
    let elsewhere = Issuer::start().await;
    let of = |issuer: &Url, directory, keys: &Url| json!({"issuer": format!("{issuer}{directory}/v2.0"), "jwks_uri": format!("{keys}{DIRECTORY}/keys")});
    for variant in 0..5 {
        let issuer = Issuer::start().await;
        let origin = issuer.origin().clone();
        let document = match variant {
            0 => of(&origin, FOREIGN, &origin),
            1 => of(elsewhere.origin(), DIRECTORY, &origin),
            2 => of(&origin, DIRECTORY, elsewhere.origin()),
            3 => json!({"issuer": format!("{origin}{DIRECTORY}/v2.0")}),
            _ => {
                let mut long = of(&origin, DIRECTORY, &origin);
                long["padding"] = "x".repeat(2 << 20).into();
                long
            }
        };
        issuer.discovers(&document);
        assert_unusable(issuer, &format!("variant {variant}")).await;
    }
    assert_eq!(elsewhere.asked(), 0);
}

//! Whatever keeps a vault from unwrapping is a problem of its own, with its status and with whose move it is.

use std::time::Duration;

use http::Method;
use keyferry_crypto::vault::{Evidence, VaultCause, VaultError};
use serde_json::{Value, json};

use crate::{reply::Reply, vault::VERSION, world::World};

/// A table of all causes. It does not compile while one is missing.
macro_rules! causes {
    ($($cause:ident $slug:literal $status:literal $fault:literal;)*) => {
        const CAUSES: &[(VaultCause, &str, u16, &str)] = &[$((VaultCause::$cause, $slug, $status, $fault),)*];

        const _: fn(VaultCause) = |cause| match cause { $(VaultCause::$cause => (),)* };
    };
}

causes! {
    KeyDisabled "key-disabled" 403 "customer";
    KeyNotFound "key-not-found" 403 "customer";
    KeyNotUsable "key-not-usable" 403 "customer";
    KeyOperationForbidden "key-operation-forbidden" 403 "customer";
    RoleMissing "role-missing" 403 "customer";
    AccessPolicyMissing "access-policy-missing" 403 "customer";
    FirewallDenied "firewall-denied" 403 "customer";
    PublicAccessDisabled "public-access-disabled" 403 "customer";
    AccessDenied "access-denied" 403 "customer";
    ConsentMissing "consent-missing" 403 "customer";
    PrincipalDisabled "principal-disabled" 403 "customer";
    ConditionalAccess "conditional-access" 403 "customer";
    DirectoryNotFound "directory-not-found" 403 "customer";
    WrongDirectory "wrong-directory" 403 "customer";
    KeyVaultPrincipalMissing "key-vault-principal-missing" 403 "customer";
    PrivateEndpointClosed "private-endpoint-closed" 403 "customer";
    WrappedKeyInvalid "wrapped-key-invalid" 400 "caller";
    Throttled "vault-throttled" 503 "vault";
    VaultFailed "vault-failed" 503 "vault";
    Timeout "vault-timeout" 504 "vault";
    ConnectionFailed "vault-unreachable" 503 "vault";
    VaultNotFound "vault-not-found" 503 "vault";
    CertificateInvalid "vault-certificate-invalid" 502 "vault";
    AnswerInvalid "vault-answer-invalid" 502 "vault";
    TokenNotVerifiable "vault-token-not-verifiable" 503 "vault";
    EntraThrottled "entra-throttled" 503 "vault";
    EntraUnavailable "entra-unavailable" 503 "vault";
    Busy "vault-busy" 503 "vault";
    QuotaSpent "vault-quota-spent" 503 "vault";
    AppSecretInvalid "app-secret-invalid" 500 "service";
    AppSecretExpired "app-secret-expired" 500 "service";
    AppAssertionInvalid "app-assertion-invalid" 500 "service";
    AppCredentialUnavailable "app-credential-unavailable" 500 "service";
    TokenRejected "vault-token-rejected" 500 "service";
    RequestRejected "vault-request-rejected" 500 "service";
}

/// Wraps a key, has the vault fail so, and unwraps the key.
async fn unwrap_when(error: VaultError) -> Reply {
    let world = World::new().await;
    let tenant = world.register("hooli", json!({"cache_ttl_seconds": 0})).await;
    assert_eq!(tenant["status"], "active");
    let wrapped_key = world.wrapped_key("hooli").await;
    world.vault.fails(error);
    world.does("hooli/unwrap", &json!({ "wrapped_key": wrapped_key })).await
}

#[tokio::test]
async fn every_cause_is_answered_with_its_own_problem() {
    let world = World::new().await;
    for (place, &(cause, slug, status, fault)) in CAUSES.iter().enumerate() {
        // A tenant for each, since a refusal is remembered for a moment.
        let tenant = format!("hooli-{place}");
        world.register(&tenant, json!({"cache_ttl_seconds": 0})).await;
        let wrapped_key = world.wrapped_key(&tenant).await;
        world.vault.fails(cause);
        let path = format!("{tenant}/unwrap");
        let refused = world.does(&path, &json!({ "wrapped_key": wrapped_key })).await;
        world.vault.works();
        let problem = refused.problem(status, slug);
        assert_eq!(problem["fault"], fault, "{cause:?}");
        assert_eq!(
            problem.get("retry_after_seconds").is_some(),
            fault == "vault",
            "{cause:?}"
        );
        assert_eq!(problem.get("upstream"), None, "nothing was said: {cause:?}");
    }
}

#[tokio::test]
async fn a_vault_that_says_when_to_try_again_is_quoted_in_whole_seconds() {
    for (said, quoted) in [
        (Duration::from_secs(17), 17),
        (Duration::from_millis(1200), 2),
        (Duration::ZERO, 1),
        (Duration::from_hours(48), 3600),
    ] {
        let error = VaultError::new(VaultCause::Throttled, Some(said), Evidence::default());
        let problem = unwrap_when(error).await.problem(503, "vault-throttled");
        assert_eq!(problem["retry_after_seconds"], quoted);
    }
}

#[tokio::test]
async fn of_what_the_vault_said_only_its_code_and_its_id_are_passed_on() {
    let evidence = Evidence {
        status: Some(403),
        code: Some("ForbiddenByRbac".to_owned()),
        request_id: Some("c1f3a1d0".to_owned()),
    };
    let error = VaultError::new(VaultCause::RoleMissing, None, evidence);
    let problem = unwrap_when(error).await.problem(403, "role-missing");
    assert_eq!(
        problem["upstream"],
        json!({"code": "ForbiddenByRbac", "request_id": "c1f3a1d0"})
    );
}

#[tokio::test]
async fn sealing_is_refused_with_the_same_problems_as_opening() {
    let world = World::new().await;
    world.vault.fails(VaultCause::FirewallDenied);
    for (operation, body) in [
        ("generate-data-key", json!({})),
        ("wrap", json!({"key": "a2V5"})),
        ("encrypt", json!({"plaintext": "cGF5cm9sbA"})),
    ] {
        let refused = world.does(&format!("acme/{operation}"), &body).await;
        refused.problem(403, "firewall-denied");
    }
}

#[tokio::test]
async fn a_caller_finds_its_own_request_id_in_the_problem() {
    let world = World::new().await;
    let request = world.data("acme/unwrap").header("x-request-id", "caller-7.a_b");
    let problem = Reply::to(request.json(&Value::Null))
        .await
        .problem(400, "malformed-request");
    assert_eq!(problem["request_id"], "caller-7.a_b");
}

#[tokio::test]
async fn a_disabled_version_is_named_to_whoever_opens_what_needs_it() {
    let world = World::new().await;
    world.register("hooli", json!({"cache_ttl_seconds": 0})).await;
    let (key, data) = (world.wrapped_key("hooli").await, world.ciphertext("hooli").await);
    world.vault.fails(VaultCause::KeyDisabled);
    for (operation, request) in [
        ("unwrap", json!({ "wrapped_key": key })),
        ("decrypt", json!({ "ciphertext": data })),
    ] {
        let refused = world.does(&format!("hooli/{operation}"), &request).await;
        let problem = refused.problem(403, "key-disabled");
        assert_eq!(
            problem["key_id"],
            format!("https://v-hooli.vault.azure.net/keys/kek/{VERSION}")
        );
        assert!(
            problem["detail"].as_str().unwrap().contains("keyferry rewrap"),
            "{problem}"
        );
    }
    let sealing = world.does("hooli/encrypt", &json!({"plaintext": "QQ"})).await;
    assert_eq!(sealing.problem(403, "key-disabled").get("key_id"), None);
}

#[tokio::test]
async fn an_envelope_that_is_not_rewrapped_names_its_version_only_if_it_is_that_one_that_is_disabled() {
    let world = World::new().await;
    world.register("hooli", json!({})).await;
    let old = json!({"wrapped_key": world.wrapped_key("hooli").await});
    let pin = world.admin(Method::PATCH, "/hooli").header("if-match", "*");
    let newer = "f".repeat(32);
    Reply::to(pin.json(&json!({ "key_version": newer }))).await.with(200);
    // So that the envelope opens, and it is the wrap that is refused.
    world.does("hooli/unwrap", &old).await.with(200);
    world.vault.fails(VaultCause::KeyDisabled);
    let refused = world.does("hooli/rewrap", &old).await;
    assert_eq!(refused.problem(403, "key-disabled").get("key_id"), None);
    world.register("uncached", json!({"cache_ttl_seconds": 0})).await;
    world.vault.works();
    let envelope = json!({"wrapped_key": world.wrapped_key("uncached").await});
    world.vault.fails(VaultCause::KeyDisabled);
    let refused = world.does("uncached/rewrap", &envelope).await;
    assert!(refused.problem(403, "key-disabled")["key_id"].is_string());
}

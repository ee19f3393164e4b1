//! Onboardings that no code of ours writes: the database keeps some out, and what it does not is told.

use keyferry_crypto::tenant::Route;
use keyferry_registry::RegistryError;
use serde_json::{Value, json};

use crate::{
    customers::{complete, idempotency, onboarding, opened},
    stores::{Raw, on_each_database, open_whole},
    world::{slug, tenant},
};

on_each_database!(
    a_document_that_is_none_is_told_and_not_guessed_at,
    a_stage_that_its_document_contradicts_is_told,
    history_is_only_added_to,
    the_database_refuses_what_is_no_onboarding,
    an_idempotency_key_is_of_something_that_there_is,
    the_release_before_works_beside_this_one,
);

async fn a_document_that_is_none_is_told_and_not_guessed_at(url: &str) {
    let store = open_whole(url).await;
    let acme = opened(&*store, &complete("acme")).await;
    let mut raw = Raw::connect(url).await;
    let good: Value = raw.document().await;
    for (place, value, told) in [
        ("/format", json!(2), "format"),
        ("/format", json!(0), "format"),
        ("/display_name", json!(""), "display_name"),
        ("/cloud", json!("mars"), "document"),
        ("/cloud", json!("china"), "answers"),
        ("/policy/cache_ttl_seconds", json!(3601), "policy"),
        ("/endpoint_policy", json!("perhaps"), "endpoint_policy"),
        ("/answers/vault", json!("acme.evil.example"), "document"),
        ("/answers/resource", json!("/subscriptions"), "document"),
        ("/canary/wrapped", json!("!"), "canary"),
        ("/canary/digest", json!("AAAA"), "canary"),
        ("/endpoint/state", json!("lost"), "endpoint"),
        ("/endpoint/address", json!("acme"), "document"),
        ("/checks/wrap/status", json!("perhaps"), "checks"),
        ("/checks", json!({"other": good["checks"]["wrap"]}), "checks"),
        ("/consent/nonce_digest", json!(""), "consent"),
        ("/link", json!({"serial": 1}), "document"),
        ("/link/serial", json!(-1), "document"),
        (
            "/link",
            json!({"serial": 1, "expires_at": "2027-01-15T08:00:00Z", "more": 1}),
            "document",
        ),
        ("/stage_since", json!("yesterday"), "document"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).expect("a place") = value;
        raw.write(&bad).await;
        let asked = store.onboarding_of(acme.tenant).await;
        let Err(RegistryError::Corrupt(part)) = asked else {
            panic!("{place}: {asked:?}")
        };
        assert_eq!(part, told, "{place}");
    }
    let mut more = good.clone();
    more["more"] = json!(true);
    raw.write(&more).await;
    let asked = store.onboarding_of(acme.tenant).await;
    assert!(matches!(asked, Err(RegistryError::Corrupt("document"))), "{asked:?}");
    raw.write(&good).await;
    assert_eq!(store.onboarding_of(acme.tenant).await.expect("asked"), Some(acme));
}

async fn a_stage_that_its_document_contradicts_is_told(url: &str) {
    let store = open_whole(url).await;
    let acme = opened(&*store, &onboarding("acme")).await;
    let mut raw = Raw::connect(url).await;
    raw.execute("update onboardings set stage = 'active'")
        .await
        .expect("written");
    let asked = store.onboarding_of(acme.tenant).await;
    assert!(matches!(asked, Err(RegistryError::Corrupt("stage"))), "{asked:?}");
}

async fn history_is_only_added_to(url: &str) {
    let store = open_whole(url).await;
    let acme = opened(&*store, &onboarding("acme")).await;
    let before = store.history(acme.tenant, None, 10).await.expect("read");
    let mut raw = Raw::connect(url).await;
    let truncate = match raw {
        Raw::Postgres(_) => "truncate onboarding_events",
        Raw::Sqlite(_) => "delete from onboarding_events where true",
    };
    for statement in [
        "update onboarding_events set kind = 'other'",
        "delete from onboarding_events",
        truncate,
    ] {
        let error = raw.execute(statement).await.expect_err("it is refused").to_string();
        assert!(error.contains("only added to"), "{statement}: {error}");
    }
    assert_eq!(store.history(acme.tenant, None, 10).await.expect("read"), before);
}

async fn the_database_refuses_what_is_no_onboarding(url: &str) {
    let store = open_whole(url).await;
    let acme = opened(&*store, &onboarding("acme")).await;
    opened(&*store, &onboarding("other")).await;
    let mut raw = Raw::connect(url).await;
    let (created_at, far) = match raw {
        Raw::Postgres(_) => ("timestamptz '2027-01-15 08:00:00+00'", "'infinity'"),
        Raw::Sqlite(_) => ("1800000000000000", "253402300800000000"),
    };
    for set in [
        "slug = ''",
        "slug = 'Acme'",
        "slug = 'acme-'",
        "slug = 'other'",
        "stage = 'done'",
        "document = '[]'",
        "document = '1'",
        "document = '{}'",
        "document = '{\"format\": \"1\"}'",
        "document = '{\"format\": null}'",
        "revision = 0",
        "revision = (select revision from onboardings where slug = 'other')",
        "tenant_id = (select tenant_id from onboardings where slug = 'other')",
    ] {
        raw.refuses(&format!("update onboardings set {set} where slug = 'acme'"))
            .await;
    }
    for column in [
        "tenant_id",
        "slug",
        "stage",
        "document",
        "revision",
        "created_at",
        "updated_at",
    ] {
        raw.refuses(&format!("update onboardings set {column} = null where slug = 'acme'"))
            .await;
    }
    for column in ["due_at", "claimed_until", "created_at", "updated_at"] {
        raw.refuses(&format!("update onboardings set {column} = {far} where slug = 'acme'"))
            .await;
    }
    raw.refuses("delete from onboardings where slug = 'acme'").await;
    let id = "(select tenant_id from onboardings where slug = 'acme')";
    for (number, at, actor, kind, details) in [
        ("0", created_at, "'customer'", "'x'", "'{}'"),
        ("1", created_at, "'customer'", "'x'", "'{}'"),
        ("2", far, "'customer'", "'x'", "'{}'"),
        ("2", created_at, "'nobody'", "'x'", "'{}'"),
        ("2", created_at, "'customer'", "'X'", "'{}'"),
        ("2", created_at, "'customer'", "''", "'{}'"),
        ("2", created_at, "'customer'", "'x-'", "'{}'"),
        ("2", created_at, "'customer'", "'x'", "'[]'"),
        ("2", created_at, "null", "'x'", "'{}'"),
        ("2", created_at, "'customer'", "'x'", "null"),
    ] {
        raw.refuses(&format!(
            "insert into onboarding_events (tenant_id, number, at, actor, kind, details)
             values ({id}, {number}, {at}, {actor}, {kind}, {details})"
        ))
        .await;
    }
    raw.refuses(&format!(
        "insert into onboarding_events (tenant_id, number, at, actor, kind, details)
         values ({}, 1, {created_at}, 'customer', 'x', '{{}}')",
        match raw {
            Raw::Postgres(_) => "gen_random_uuid()",
            Raw::Sqlite(_) => "randomblob(16)",
        }
    ))
    .await;
    assert_eq!(store.onboarding_of(acme.tenant).await.expect("asked"), Some(acme));
}

async fn an_idempotency_key_is_of_something_that_there_is(url: &str) {
    let store = open_whole(url).await;
    let created = store.create(&tenant("acme"), Some(&idempotency("k", 1))).await;
    created.expect("created");
    let mut raw = Raw::connect(url).await;
    for kind in ["'onboarding'", "'other'", "null"] {
        raw.refuses(&format!("update idempotency_keys set kind = {kind}")).await;
    }
    let anyone = match raw {
        Raw::Postgres(_) => "gen_random_uuid()",
        Raw::Sqlite(_) => "randomblob(16)",
    };
    raw.refuses(&format!("update idempotency_keys set tenant_id = {anyone}"))
        .await;
}

/// In its words: it names no column that came since.
async fn the_release_before_works_beside_this_one(url: &str) {
    let store = open_whole(url).await;
    let mut globex = store.create(&tenant("globex"), None).await.expect("created").tenant;
    globex.change_route(Route::Closed);
    let globex = store.save(&globex).await.expect("saved");
    opened(&*store, &onboarding("taken")).await;
    let mut raw = Raw::connect(url).await;
    let (id, fingerprint) = match raw {
        Raw::Postgres(_) => ("gen_random_uuid()", "decode(repeat('01', 32), 'hex')"),
        Raw::Sqlite(_) => ("randomblob(16)", "randomblob(32)"),
    };
    let columns = "display_name, directory_id, cloud, vault, key_name, cache_ttl_seconds, lease_max_age_seconds,
                   lease_max_messages, outage_grace_seconds, status, created_at, updated_at";
    let register = |name: &str| {
        format!(
            "insert into tenants (id, slug, revision, {columns}) select {id}, '{name}', 1000, {columns} from tenants"
        )
    };
    let refused = raw
        .execute(&register("taken"))
        .await
        .expect_err("it is an onboarding's");
    assert!(matches!(RegistryError::from(refused), RegistryError::SlugTaken));
    raw.execute(&register("acme")).await.expect("registered");
    let acme = store.find(&slug("acme")).await.expect("asked").expect("there");
    assert_eq!(acme.keys.route, Route::Public);
    raw.execute(&format!(
        "insert into idempotency_keys (key, fingerprint, tenant_id, created_at)
         select 'k', {fingerprint}, id, created_at from tenants where slug = 'acme'"
    ))
    .await
    .expect("kept");
    raw.execute("update tenants set status = 'suspended' where slug = 'globex'")
        .await
        .expect("saved");
    let kept = store.find(&slug("globex")).await.expect("asked").expect("there");
    assert_eq!(kept.keys.route, globex.keys.route, "what it does not know it leaves");
    let elsewhere = "set vault = 'elsewhere.vault.azure.net'";
    let refused = raw
        .execute(&format!("update tenants {elsewhere} where slug = 'globex'"))
        .await
        .expect_err("the one before would be reached publicly, as a former key's");
    assert!(
        refused.to_string().contains("a matter of the tenant's onboarding"),
        "{refused}"
    );
    raw.execute(&format!("update tenants {elsewhere} where slug = 'acme'"))
        .await
        .expect("its way is the public network");
    raw.execute(&format!(
        "update tenants {elsewhere}, route = 'public' where slug = 'globex'"
    ))
    .await
    .expect("as its onboarding may say");
}

impl Raw {
    /// The document of the one onboarding that there is.
    async fn document(&mut self) -> Value {
        let document = self.texts("select cast(document as text) from onboardings").await;
        serde_json::from_str(&document[0]).expect("JSON")
    }

    async fn write(&mut self, document: &Value) {
        let statement = format!("update onboardings set document = '{document}'");
        self.execute(&statement).await.expect("written");
    }
}

//! Migrations, replayed over the rows that each schema before them may hold.
//!
//! `migrations/samples` has, for every migration, rows of its schema for each store (`0001.postgres.sql`) and what
//! today's code must make of them (`0001.json`), whatever migrations came since.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use keyferry_crypto::{
    id::KekId,
    tenant::{Route, SealingPolicy, TenantKeys},
    vault::Evidence,
};
use keyferry_registry::{
    Change, RegistryError, Revision, Store, Tenant, TenantChange, TenantStatus, connect,
    key::{KeyEvent, KeyHealth, KeyNews, KeyState},
    migrate,
    onboarding::Onboarding,
};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use time::format_description::well_known::Rfc3339;

use crate::{
    customers::{event, idempotency, onboarding},
    stores::{Raw, clock, empty_postgres, empty_sqlite, open_whole},
    world::tenant,
};

#[tokio::test]
async fn every_migration_has_rows_of_its_schema_to_replay() {
    let versions = versions("postgres").await;
    assert_eq!(versions, self::versions("sqlite").await, "both stores migrate in step");
    assert_eq!(versions[0], 1, "the folders are found");
    let needed: BTreeSet<_> = versions
        .iter()
        .flat_map(|version| ["postgres.sql", "sqlite.sql", "json"].map(|kind| sample(*version, kind)))
        .collect();
    let there = std::fs::read_dir(folder("samples")).expect("the samples");
    let there: BTreeSet<_> = there.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(there, needed, "a migration comes with a sample of its schema");
}

#[tokio::test]
async fn rows_of_every_schema_live_through_the_migrations_in_sqlite() {
    for version in versions("sqlite").await {
        let (url, _held) = empty_sqlite();
        replay("sqlite", version, &url).await;
    }
}

#[tokio::test]
async fn rows_of_every_schema_live_through_the_migrations_in_postgres() {
    for version in versions("postgres").await {
        let Some(url) = empty_postgres().await else { return };
        replay("postgres", version, &url).await;
    }
}

#[tokio::test]
async fn a_database_without_the_schema_says_what_to_do() {
    let (sqlite, held) = empty_sqlite();
    std::fs::write(held.path().join("registry.db"), "").expect("an empty file is an empty database");
    for url in [Some(sqlite), empty_postgres().await].into_iter().flatten() {
        let store = connect(&url.parse().expect("a URL"), clock).expect("a store");
        let error = store
            .changes(Revision(0).into(), 1)
            .await
            .expect_err("there is no table");
        assert!(matches!(error, RegistryError::NotMigrated(_)), "{error:?}");
        assert!(error.to_string().contains("keyferry migrate"));
    }
}

async fn replay(kind: &str, version: i64, url: &str) {
    let migrations = Migrator::new(folder(kind)).await.expect("migrations");
    let mut raw = Raw::connect(url).await;
    raw.migrate_to(version, &migrations).await.expect("migrated");
    let sql = std::fs::read_to_string(sample(version, &format!("{kind}.sql"))).expect("a sample");
    raw.execute(&sql).await.expect("the sample fits its schema");
    raw.every_case_is_there().await;

    let store = open_whole(url).await;
    let expected = std::fs::read(sample(version, "json")).expect("a sample");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    holds(&*store, &expected).await;
    drop(store);

    let before = raw.dump().await;
    assert!(
        before.iter().any(|row| row.contains("Söhne")),
        "the dump shows rows: {before:?}"
    );
    migrate(&url.parse().expect("a URL")).await.expect("migrated again");
    assert_eq!(raw.dump().await, before, "migrating again changes nothing");
}

/// Whether the store makes of the sample what it should.
async fn holds(store: &dyn Store, expected: &Value) {
    let listed = store.list(None, 1_000).await.expect("listed");
    assert_eq!(json!(listed.iter().map(told).collect::<Vec<_>>()), expected["tenants"]);
    for tenant in &listed {
        assert_eq!(store.find(&tenant.slug).await.expect("asked").as_ref(), Some(tenant));
    }
    let changes = store.changes(Revision(0).into(), 1_000).await.expect("read");
    let (mut purged, mut changed, mut happened) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Tenant(TenantChange {
                tenant: Some(tenant), ..
            }) => changed.push(tenant.slug),
            Change::Tenant(TenantChange { mark, .. }) => purged.push(mark.tenant),
            Change::Key(change) => happened.push(told_event(&change.event.expect("readable"))),
        }
    }
    assert_eq!(json!(purged), expected["purged"]);
    assert_eq!(changed.len(), listed.len());
    assert_eq!(json!(happened), expected["key_events"]);
    let mut keys = Vec::new();
    for tenant in &listed {
        let health = store.key_health(tenant.keys.tenant).await.expect("asked");
        keys.push(told_key(&health.expect("each tenant that is not purged has a row")));
    }
    assert_eq!(json!(keys), expected["keys"]);

    let listed = store.list_onboardings(None, None, 1_000).await.expect("listed");
    assert_eq!(
        json!(listed.iter().map(told_onboarding).collect::<Vec<_>>()),
        expected["onboardings"]
    );
    for used in expected["idempotency_keys"].as_array().expect("keys") {
        let fingerprint = serde_json::from_value(used["fingerprint_byte"].clone());
        let idempotency = idempotency(used["key"].as_str().expect("a key"), fingerprint.expect("a byte"));
        if let Some(id) = used.get("onboarding") {
            let opened = store
                .open(&onboarding("other"), &event("opened"), Some(&idempotency))
                .await;
            let opened = opened.expect("known");
            assert!(opened.replayed);
            assert_eq!(json!(opened.onboarding.tenant), *id);
            continue;
        }
        let created = store.create(&tenant("other"), Some(&idempotency)).await.expect("known");
        assert!(created.replayed);
        assert_eq!(json!(created.tenant.keys.tenant), used["tenant"]);
    }
}

/// All of a tenant: a field that is added must be told here, and of every sample what it becomes.
fn told(tenant: &Tenant) -> Value {
    let Tenant {
        slug,
        display_name,
        cloud,
        keys,
        status,
        revision,
        created_at,
        updated_at,
    } = tenant;
    let TenantKeys {
        tenant: id,
        directory,
        current,
        version,
        former,
        policy,
        route,
    } = keys;
    let SealingPolicy {
        cache_ttl,
        lease_max_age,
        lease_max_messages,
        outage_grace,
    } = policy;
    let route = match route {
        Route::Public => "public".to_owned(),
        Route::Private(address) => address.to_string(),
        Route::Closed => "closed".to_owned(),
    };
    let time = |time: &time::OffsetDateTime| time.format(&Rfc3339).expect("a time");
    let (status, purge_at) = match status {
        TenantStatus::Active => ("active", None),
        TenantStatus::Suspended => ("suspended", None),
        TenantStatus::Deleting { purge_at } => ("deleting", Some(time(purge_at))),
    };
    json!({
        "id": id, "slug": slug, "display_name": display_name, "directory": directory, "cloud": cloud,
        "current": current, "version": version, "former": former,
        "cache_ttl": cache_ttl.as_secs(), "lease_max_age": lease_max_age.as_secs(),
        "lease_max_messages": lease_max_messages, "outage_grace": outage_grace.as_secs(),
        "route": route, "status": status, "purge_at": purge_at, "revision": revision,
        "created_at": time(created_at), "updated_at": time(updated_at),
    })
}

/// All of an onboarding, likewise.
fn told_onboarding(onboarding: &Onboarding) -> Value {
    let Onboarding {
        tenant,
        slug,
        display_name,
        cloud,
        policy,
        endpoint_policy,
        allows_public_path,
        answers,
        confirmed_directory,
        canary,
        endpoint,
        was_private,
        checks,
        link,
        consent,
        stage,
        schedule,
        revision,
        created_at,
        updated_at,
    } = onboarding;
    let time = |time: &time::OffsetDateTime| time.format(&Rfc3339).expect("a time");
    let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
    let checks = checks.iter().map(|(name, check)| {
        let evidence = check.observed.evidence.as_ref();
        let evidence =
            evidence.map(|said| json!({"status": said.status, "code": said.code, "request_id": said.request_id}));
        let told = json!({
            "status": check.observed.status.slug(), "finding": check.observed.finding.slug,
            "values": check.observed.finding.values, "evidence": evidence,
            "checked_at": time(&check.checked_at), "since": time(&check.since), "attempts": check.attempts,
        });
        (name.slug().to_owned(), told)
    });
    json!({
        "tenant": tenant, "slug": slug, "display_name": display_name, "cloud": cloud,
        "policy": {
            "cache_ttl_seconds": policy.cache_ttl.as_secs(), "lease_max_age_seconds": policy.lease_max_age.as_secs(),
            "lease_max_messages": policy.lease_max_messages, "outage_grace_seconds": policy.outage_grace.as_secs(),
        },
        "endpoint_policy": endpoint_policy.slug(), "allows_public_path": allows_public_path,
        "was_private": was_private, "confirmed_directory": confirmed_directory,
        "answers": {
            "directory": answers.directory, "vault": answers.vault, "key": answers.key, "version": answers.version,
            "resource": answers.resource,
        },
        "canary": canary.as_ref().map(|canary| json!({
            "key": canary.kek.key, "version": canary.kek.version, "wrapped": base64(&canary.wrapped),
            "digest": base64(&canary.digest),
        })),
        "endpoint": endpoint.as_ref().map(|endpoint| json!({
            "name": endpoint.name, "target": endpoint.target, "state": endpoint.state.slug(),
            "description": endpoint.description, "address": endpoint.address, "is_proven": endpoint.is_proven,
            "since": time(&endpoint.since),
        })),
        "checks": checks.collect::<serde_json::Map<_, _>>(),
        "link": {"serial": link.serial, "expires_at": time(&link.expires_at)},
        "consent": consent.as_ref().map(|consent| json!({
            "nonce_digest": base64(&consent.nonce_digest), "expires_at": time(&consent.expires_at),
        })),
        "stage": stage.slug(), "stage_since": stage.since().as_ref().map(time),
        "due_at": schedule.due_at.as_ref().map(time), "idle_rounds": schedule.idle_rounds,
        "revision": revision, "created_at": time(created_at), "updated_at": time(updated_at),
    })
}

/// All of a key's health, likewise.
fn told_key(health: &KeyHealth) -> Value {
    let KeyHealth {
        tenant,
        state,
        since,
        checked_at,
        served_at,
        newest,
        canaries,
        failures,
        due_at,
        owner,
        owned_until,
        held_at,
    } = health;
    let time = |time: &time::OffsetDateTime| time.format(&Rfc3339).expect("a time");
    let base64 = |bytes: &[u8]| base64_simd::STANDARD.encode_to_string(bytes);
    let canaries = canaries.iter().map(|canary| {
        json!({
            "key": canary.kek.key, "version": canary.kek.version, "wrapped": base64(&canary.wrapped),
            "digest": base64(&canary.digest),
        })
    });
    let newest = newest
        .as_ref()
        .map(|newest| json!({"kek": told_kek(&newest.kek), "seen_at": time(&newest.seen_at)}));
    let mut told = told_state(state);
    let rest = json!({
        "tenant": tenant, "since": time(since), "checked_at": checked_at.as_ref().map(time),
        "served_at": served_at.as_ref().map(time), "newest": newest, "canaries": canaries.collect::<Vec<_>>(),
        "failures": failures, "due_at": time(due_at), "owner": owner.map(|owner| owner.0),
        "owned_until": owned_until.as_ref().map(time), "held_at": held_at.as_ref().map(time),
    });
    merge(&mut told, rest);
    told
}

/// All of what happened to a key, likewise.
fn told_event(event: &KeyEvent) -> Value {
    let KeyEvent {
        revision,
        tenant,
        at,
        by,
        what,
    } = event;
    let mut told = match what {
        KeyNews::Withdrawn(refusal) => json!({
            "kind": "withdrawn", "call": refusal.call.slug(), "key": refusal.key, "version": refusal.version,
            "cause": refusal.cause.slug(), "evidence": told_evidence(&refusal.evidence),
        }),
        KeyNews::State(state) => {
            let mut told = told_state(state);
            merge(&mut told, json!({"kind": "state"}));
            told
        }
        KeyNews::Version(kek) => json!({"kind": "version", "kek": told_kek(kek)}),
    };
    let at = at.format(&Rfc3339).expect("a time");
    merge(
        &mut told,
        json!({"revision": revision, "tenant": tenant, "at": at, "by": by.0}),
    );
    told
}

fn told_state(state: &KeyState) -> Value {
    let trouble = state.trouble();
    json!({
        "state": state.slug(), "cause": trouble.map(|trouble| trouble.cause.slug()),
        "evidence": trouble.map(|trouble| told_evidence(&trouble.evidence)),
    })
}

fn told_evidence(said: &Evidence) -> Value {
    json!({"status": said.status, "code": said.code, "request_id": said.request_id})
}

fn told_kek(kek: &KekId) -> Value {
    json!({"key": kek.key, "version": kek.version})
}

fn merge(into: &mut Value, fields: Value) {
    let (Value::Object(into), Value::Object(fields)) = (into, fields) else {
        panic!("two objects");
    };
    into.extend(fields);
}

impl Raw {
    /// A sample that leaves out a status, or an optional column's one or other state, shows nothing of them.
    async fn every_case_is_there(&mut self) {
        for table in self.tables().await {
            assert_ne!(self.count(&table, "true").await, 0, "the sample has no row of {table}");
            for column in self.optional_columns(&table).await {
                for state in ["is null", "is not null"] {
                    let rows = self.count(&table, &format!("{column} {state}")).await;
                    assert_ne!(rows, 0, "the sample has no row of {table} whose {column} {state}");
                }
            }
        }
        let statuses = self.texts("select distinct status from tenants order by 1").await;
        assert_eq!(statuses, ["active", "deleting", "purged", "suspended"]);
        if self.tables().await.iter().any(|table| table == "onboardings") {
            let stages = self.texts("select distinct stage from onboardings order by 1").await;
            assert_eq!(stages, ["active", "closed", "closing", "open"]);
            let routes = self.texts("select distinct route from tenants order by 1").await;
            assert_eq!(routes, ["closed", "private", "public"]);
        }
        if self.tables().await.iter().any(|table| table == "key_health") {
            let states = self.texts("select distinct state from key_health order by 1").await;
            assert_eq!(states, ["degraded", "healthy", "refused", "unknown"]);
            let kinds = self.texts("select distinct kind from key_events order by 1").await;
            assert_eq!(kinds, ["state", "version", "withdrawn"]);
        }
    }

    async fn count(&mut self, table: &str, condition: &str) -> usize {
        let query = format!("select 'x' from {table} where {condition}");
        self.texts(&query).await.len()
    }

    async fn tables(&mut self) -> Vec<String> {
        self.texts(match self {
            Self::Postgres(_) => {
                "select tablename::text from pg_tables where schemaname = 'public' and tablename <> '_sqlx_migrations'"
            }
            Self::Sqlite(_) => "select name from sqlite_schema where type = 'table' and name <> '_sqlx_migrations'",
        })
        .await
    }

    async fn optional_columns(&mut self, table: &str) -> Vec<String> {
        self.texts(&match self {
            Self::Postgres(_) => format!(
                "select column_name::text from information_schema.columns
                 where table_name = '{table}' and is_nullable = 'YES'"
            ),
            // A primary key of a strict table is never null, though it is not told so here.
            Self::Sqlite(_) => {
                format!("select name from pragma_table_info('{table}') where \"notnull\" = 0 and pk = 0")
            }
        })
        .await
    }

    /// Every row, and the schema with the migrations that made it.
    async fn dump(&mut self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in [self.tables().await, vec!["_sqlx_migrations".to_owned()]].concat() {
            let query = match self {
                Self::Postgres(_) => format!("select t::text from {table} t order by 1"),
                Self::Sqlite(_) => {
                    let columns = format!("select 'quote(' || name || ')' from pragma_table_info('{table}')");
                    let columns = self.texts(&columns).await.join(" || ',' || ");
                    format!("select {columns} from {table} order by 1")
                }
            };
            rows.extend(self.texts(&query).await);
        }
        rows.extend(
            self.texts(match self {
                Self::Postgres(_) => {
                    "select table_name || '.' || column_name || ' ' || data_type from information_schema.columns
                     where table_schema = 'public' union all select indexdef from pg_indexes where schemaname = 'public'
                     union all select pg_get_constraintdef(oid) from pg_constraint order by 1"
                }
                Self::Sqlite(_) => "select sql from sqlite_schema where sql is not null order by 1",
            })
            .await,
        );
        rows
    }
}

async fn versions(kind: &str) -> Vec<i64> {
    let migrations = Migrator::new(folder(kind)).await.expect("migrations");
    migrations.iter().map(|migration| migration.version).collect()
}

fn sample(version: i64, kind: &str) -> PathBuf {
    folder("samples").join(format!("{version:04}.{kind}"))
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../migrations")
        .join(name)
}

//! The databases refuse by themselves what no code of ours writes of keys; and what the release before writes goes on.

use keyferry_registry::key::ReplicaId;

use crate::{
    key_world::{claimed, replica},
    stores::{Raw, on_each_database, open_whole},
    world::tenant,
};

on_each_database!(what_is_no_key_is_refused);

const HEALTH: [(&str, &[&str]); 17] = [
    ("watched", &["null"]),
    ("state", &["null", "'well'", "'degraded'", "'refused'"]),
    ("cause", &["'throttled'", "''", "'Throttled'", "'-'"]),
    ("state = 'refused', cause", &["'key-disabled'"]),
    ("evidence", &["'{}'", "'[]'", "'1'"]),
    (
        "state = 'refused', cause = 'key-disabled', evidence",
        &["'[]'", "'1'", "null"],
    ),
    ("since", &["null"]),
    ("newest", &["'{}'"]),
    ("newest = '{}', newest_seen_at", &["null"]),
    ("newest_seen_at", &["due_at"]),
    ("newest_seen_at = due_at, newest", &["'[]'", "'1'"]),
    (
        "canaries",
        &[
            "null",
            "'{}'",
            "'[]'",
            r#"'{"format": 1}'"#,
            r#"'{"canaries": []}'"#,
            r#"'{"format": "1", "canaries": []}'"#,
            r#"'{"format": 1, "canaries": {}}'"#,
            r#"'{"format": 1, "canaries": [1,2,3,4,5,6,7,8,9]}'"#,
        ],
    ),
    ("failures", &["null", "-1"]),
    ("due_at", &["null"]),
    ("owned_until", &["due_at"]),
    ("claimed_at", &["due_at"]),
    ("held_at = null, is_held", &["null", "true"]),
];

async fn what_is_no_key_is_refused(url: &str) {
    let store = open_whole(url).await;
    store.create(&tenant("acme"), None).await.expect("created");
    store
        .beat(&replica("host-1"), std::time::Duration::from_hours(1))
        .await
        .expect("known");
    let mut raw = Raw::connect(url).await;
    for (column, values) in HEALTH {
        for value in values {
            raw.refuses(&format!("update key_health set {column} = {value}")).await;
        }
    }
    let (id, now) = match &raw {
        Raw::Postgres(_) => ("gen_random_uuid()", "now()"),
        Raw::Sqlite(_) => ("randomblob(16)", "1"),
    };
    raw.refuses(&format!("update key_health set owner = {id}")).await;
    let mut event = async |revision: &str, tenant: &str, kind: &str, details: &str| {
        raw.refuses(&format!(
            "insert into key_events (revision, tenant_id, at, replica, kind, details)
             values ({revision}, {tenant}, {now}, {id}, '{kind}', '{details}')"
        ))
        .await;
    };
    let acme = "(select id from tenants)";
    event("0", acme, "state", "{}").await;
    event("5", id, "state", "{}").await;
    for kind in ["", "State", "-", "state-", "state 1"] {
        event("5", acme, kind, "{}").await;
    }
    for details in ["[]", "1"] {
        event("5", acme, "state", details).await;
    }
    raw.refuses(&format!(
        "insert into key_acknowledgements (revision, replica, name, at) values (5, {id}, 'a', {now})"
    ))
    .await;
    for set in [
        "name = ''",
        "release = ''",
        "followed = -1",
        "name = null",
        "seen_at = null",
    ] {
        raw.refuses(&format!("update replicas set {set}")).await;
    }
    let long = format!("update replicas set name = '{}'", "a".repeat(256));
    raw.refuses(&long).await;
}

/// The release before has a database user with rights on what it knows, and none on what is new.
#[tokio::test]
async fn a_user_without_rights_on_what_is_new_registers_tenants() {
    let Some(url) = crate::stores::empty_postgres().await else {
        return;
    };
    let store = open_whole(&url).await;
    store.create(&tenant("acme"), None).await.expect("created");
    let mut raw = Raw::connect(&url).await;
    let role = format!("before_{}", ReplicaId::generate().0.simple());
    raw.execute(&format!(
        "create role {role}; grant select, insert, update on tenants, onboardings to {role};
         grant usage on sequence tenant_revisions to {role}; set role {role}"
    ))
    .await
    .expect("granted");
    raw.execute(
        "insert into tenants (id, slug, revision, display_name, directory_id, cloud, vault, key_name, cache_ttl_seconds,
             lease_max_age_seconds, lease_max_messages, outage_grace_seconds, status, created_at, updated_at)
         select gen_random_uuid(), 'before', nextval('tenant_revisions'), display_name, directory_id, cloud, vault, key_name,
             cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds, status, created_at, updated_at
         from tenants;
         update tenants set key_name = 'next', revision = nextval('tenant_revisions')",
    )
    .await
    .expect("as ever");
    let all = claimed(&*store, ReplicaId::generate()).await;
    raw.execute(&format!("reset role; drop owned by {role}; drop role {role}"))
        .await
        .expect("dropped");
    assert_eq!(all.len(), 2);
}

//! The databases refuse by themselves what no code of ours writes.

use keyferry_crypto::{
    id::{Cloud, KeyRef},
    tenant::{Route, SealingPolicy},
};
use keyferry_registry::{Idempotency, IdempotencyKey};
use sqlx::error::ErrorKind;

use crate::{
    stores::{Raw, clock, empty_postgres, empty_sqlite, open},
    world::{slug, tenant},
};

#[tokio::test]
async fn sqlite_refuses_what_is_no_tenant() {
    let (url, _held) = empty_sqlite();
    refuses(&url, &["x'00'", "x''"], &["-1", "253402300800000000"]).await;
}

#[tokio::test]
async fn postgres_refuses_what_is_no_tenant() {
    let Some(url) = empty_postgres().await else { return };
    refuses(
        &url,
        &[],
        &["'1969-12-31'", "'10000-01-01'", "'infinity'", "'-infinity'"],
    )
    .await;
}

#[tokio::test]
async fn sqlite_keeps_the_widest_tenant_there_can_be() {
    let (url, _held) = empty_sqlite();
    keeps_the_widest(&url).await;
}

#[tokio::test]
async fn postgres_keeps_the_widest_tenant_there_can_be() {
    let Some(url) = empty_postgres().await else { return };
    keeps_the_widest(&url).await;
}

/// `ids` and `times` are what is no id and no time in this store's types.
async fn refuses(url: &str, ids: &[&str], times: &[&str]) {
    let store = open(url).await;
    let idempotency = Idempotency {
        key: IdempotencyKey::parse("k").expect("a key"),
        fingerprint: [1; 32],
    };
    let acme = store.create(&tenant("acme"), Some(&idempotency)).await;
    let acme = acme.expect("created").tenant;
    store.create(&tenant("other"), None).await.expect("created");
    let mut raw = Raw::connect(url).await;

    for column in COLUMNS {
        raw.refuses(&format!("update tenants set {column} = null")).await;
    }
    let times = ["created_at", "updated_at"].map(|column| (column, times.iter().map(ToString::to_string).collect()));
    let ids = ["id", "directory_id"].map(|column| (column, ids.iter().map(ToString::to_string).collect()));
    for (column, values) in bad_values().into_iter().chain(times).chain(ids) {
        for value in values {
            raw.refuses(&format!("update tenants set {column} = {value} where slug = 'acme'"))
                .await;
        }
    }
    let created_at = "(select created_at from tenants where slug = 'acme')";
    for set in [
        "slug = 'other'".to_owned(),
        "id = (select id from tenants where slug = 'other')".to_owned(),
        "revision = (select revision from tenants where slug = 'other')".to_owned(),
        "status = 'deleting'".to_owned(),
        format!("purge_at = {created_at}"),
        format!("status = 'purged', purge_at = {created_at}"),
    ] {
        raw.refuses(&format!("update tenants set {set} where slug = 'acme'"))
            .await;
    }
    raw.refuses("delete from tenants where slug = 'acme'").await;
    for key in ["''", "'a key'", "'schlüssel'", "null"]
        .map(str::to_owned)
        .iter()
        .chain([&text(201)])
    {
        raw.refuses(&format!("update idempotency_keys set key = {key}")).await;
    }
    for set in ["fingerprint = null", "tenant_id = null", "created_at = null"] {
        raw.refuses(&format!("update idempotency_keys set {set}")).await;
    }
    assert_eq!(
        store.find(&slug("acme")).await.expect("asked"),
        Some(acme),
        "it is what it was"
    );
}

const COLUMNS: [&str; 17] = [
    "id",
    "slug",
    "display_name",
    "directory_id",
    "cloud",
    "vault",
    "key_name",
    "former_keys",
    "cache_ttl_seconds",
    "lease_max_age_seconds",
    "lease_max_messages",
    "outage_grace_seconds",
    "route",
    "status",
    "revision",
    "created_at",
    "updated_at",
];

fn bad_values() -> Vec<(&'static str, Vec<String>)> {
    let texts = |values: &[&str]| values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>();
    let numbers = |values: &[i64]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    let slugs = texts(&[
        "", "Acme", "1acme", "-acme", "acme-", "ac_me", "ac.me", "acme\n", "äcme",
    ]);
    let names = texts(&["", "  ", "a\tb", "a\u{7f}", "a\u{9f}b"]);
    let vaults = texts(&[
        "",
        "acme",
        "vault.azure.net",
        ".vault.azure.net",
        "ac.vault.azure.net",
        "a123456789012345678901234.vault.azure.net",
        "-acme.vault.azure.net",
        "acme-.vault.azure.net",
        "ac--me.vault.azure.net",
        "ac_me.vault.azure.net",
        "Acme.vault.azure.net",
        "äcme.vault.azure.net",
        "a.acme.vault.azure.net",
        "acme.vault.azure.net.",
        "acme.vault.azure.net:443",
        "acme.vault.azure.net.evil.example",
        "acme.evil.example",
        "127.0.0.1",
        "acme.vault.azure.cn",
        "acme.vault.azure.net\n",
    ]);
    let versions = texts(&[
        "",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789ABCDEF",
        "0123456789abcdeg0123456789abcdef",
    ]);
    let many = format!("'[{}]'", ["{}"; 17].join(","));
    vec![
        ("slug", [slugs, vec![text(64)]].concat()),
        ("display_name", [names, vec![text(201)]].concat()),
        ("cloud", texts(&["", "mars", "Public", "china"])),
        ("vault", vaults),
        (
            "key_name",
            [texts(&["", "k_k", "k/k", "kék", "kek\n"]), vec![text(128)]].concat(),
        ),
        ("key_version", versions),
        ("former_keys", [texts(&["{}", "1", "null"]), vec![many]].concat()),
        ("cache_ttl_seconds", numbers(&[-1, 3_601])),
        ("lease_max_age_seconds", numbers(&[-1, 0, 3_601])),
        ("lease_max_messages", numbers(&[-1, 0])),
        ("outage_grace_seconds", numbers(&[-1, 86_401])),
        ("route", texts(&["", "tunnel", "private"])),
        ("route_address", texts(&["10.0.4.5"])),
        (
            "route = 'private', route_address",
            [
                vec!["null".to_owned()],
                texts(&["", "a", "10.0.4.0/24", "host", "fd00::5%eth0", "10.0.4.5\n"]),
                vec![text(46)],
            ]
            .concat(),
        ),
        ("status", texts(&["", "gone", "Active"])),
        ("revision", numbers(&[-1, 0])),
    ]
}

/// A text of so many letters, quoted.
fn text(letters: usize) -> String {
    format!("'{}'", "a".repeat(letters))
}

/// The other side: whatever the types allow, the constraints allow.
async fn keeps_the_widest(url: &str) {
    let store = open(url).await;
    for (n, cloud) in Cloud::ALL.into_iter().enumerate() {
        let mut widest = tenant(&format!("{}{n}", "a".repeat(62)));
        widest.display_name = "🔑".repeat(200).parse().expect("a name");
        widest.cloud = cloud;
        let key = |label: &str, suffix: &str, name: &str| KeyRef {
            vault: format!("{label}.{suffix}").parse().expect("a host"),
            name: name.parse().expect("a name"),
        };
        widest.keys.current = key("a-b-c-d-e-f-g-h-i-j-k-01", cloud.vault_suffix(), &"K-0".repeat(42));
        widest.keys.former = vec![key("0-1", cloud.managed_hsm_suffix(), "k"); 16];
        widest.keys.policy = SealingPolicy {
            cache_ttl: SealingPolicy::MAX_CACHE_TTL,
            lease_max_age: SealingPolicy::MAX_LEASE_AGE,
            lease_max_messages: i64::MAX.unsigned_abs(),
            outage_grace: SealingPolicy::MAX_OUTAGE_GRACE,
        };
        widest.keys.route = [
            Route::Closed,
            Route::Private([255, 255, 255, 255].into()),
            Route::Private("fd00:1111:2222:3333:4444:5555:6666:7777".parse().expect("an address")),
        ][n];
        let mut kept = store.create(&widest, None).await.expect("created").tenant;
        assert_eq!(store.find(&kept.slug).await.expect("asked").as_ref(), Some(&kept));
        // Another vault is not to be had beside such a way.
        kept.change_route(Route::Public);
        std::mem::swap(&mut kept.keys.current, &mut kept.keys.former[0]);
        kept.delete(clock(), std::time::Duration::from_mins(1));
        let kept = store.save(&kept).await.expect("saved");
        assert_eq!(store.find(&kept.slug).await.expect("asked"), Some(kept));
    }
    store.create(&tenant("a"), None).await.expect("the shortest slug");
}

impl Raw {
    /// Holds that a statement breaks a constraint, and changes nothing.
    pub async fn refuses(&mut self, statement: &str) {
        let error = match self.execute(statement).await {
            Ok(()) => panic!("the database took `{statement}`"),
            Err(error) => error,
        };
        let kind = error.as_database_error().map(sqlx::error::DatabaseError::kind);
        assert!(
            matches!(
                kind,
                Some(
                    ErrorKind::CheckViolation
                        | ErrorKind::NotNullViolation
                        | ErrorKind::UniqueViolation
                        | ErrorKind::ForeignKeyViolation
                )
            ),
            "`{statement}`: {error}"
        );
    }
}

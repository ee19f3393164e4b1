//! What is asked of many tenants is read by an index, in production.

use std::time::Duration;

use keyferry_registry::{Store, key::ReplicaId};

use crate::{
    key_world::{HELD, LEASE, looked, registered, withdrawn},
    stores::{Raw, empty_postgres, open, open_whole},
    world::{key, slug, tenant, until},
};

/// What the store asks, not what a test would ask in its place: the server counts which indexes it used.
#[tokio::test]
async fn a_page_of_many_tenants_is_read_by_an_index() {
    let Some(url) = empty_postgres().await else { return };
    let store = open(&url).await;
    store.create(&tenant("acme"), None).await.expect("created");
    let mut raw = Raw::connect(&url).await;
    raw.multiply(20_000).await;
    raw.execute("vacuum analyze tenants").await.expect("analyzed");
    let scans = "select idx_scan::text from pg_stat_user_indexes where indexrelname = 'tenants_slug_order'";
    assert_eq!(raw.texts(scans).await, ["0"]);
    let page = store.list(Some(&slug("t10")), 3).await.expect("listed");
    let slugs: Vec<_> = page.iter().map(|tenant| tenant.slug.as_str()).collect();
    assert_eq!(slugs, ["t100", "t1000", "t10000"]);
    // A server counts a connection's reads when it ends.
    drop(store);
    until("the index was read", async || raw.texts(scans).await == ["1"]).await;
}

/// A hundred thousand tenants, of whom a few are due and held: what replicas ask every second reads those, and not all.
#[tokio::test]
async fn what_replicas_ask_of_many_keys_is_read_by_an_index() {
    let Some(url) = empty_postgres().await else { return };
    let store = open_whole(&url).await;
    let acme = registered(&*store, "acme").await;
    let me = ReplicaId::generate();
    let news = store
        .tell_key_news(me, acme.keys.tenant, &withdrawn("r-1"), Duration::ZERO)
        .await;
    news.expect("told").expect("new");
    let mut raw = Raw::connect(&url).await;
    raw.multiply(100_000).await;
    raw.execute(&format!(
        "update key_health set due_at = now() + interval '10 minutes', looked_at = now();
         update key_health set owner = '{me}', owned_until = due_at + interval '10 seconds'
         where tenant_id in (select id from tenants where slug like 't1%');
         update key_health set due_at = now(), owned_until = owned_until - (due_at - now()), looked_at = 'epoch',
             held_at = now(), is_held = true
         where tenant_id in (select id from tenants where slug in ('t1', 't2'));
         insert into key_events select nextval('tenant_revisions'), id, now(), '{me}', 'version', '{{}}'
         from tenants where slug <> 'acme'"
    ))
    .await
    .expect("written");
    for table in ["key_health", "key_events", "tenants"] {
        raw.execute(&format!("vacuum analyze {table}")).await.expect("analyzed");
    }
    let before = raw.whole_reads().await;

    let claimed = store.claim_keys(me, LEASE, HELD, 100).await.expect("claimed");
    assert_eq!(claimed.len(), 2, "its own, and that of nobody");
    let overdue = store.overdue(HELD, Duration::from_secs(50)).await.expect("asked");
    assert_eq!(overdue.len(), 2);
    store.note_held(&overdue, Duration::ZERO).await.expect("noted");
    let looks: Vec<_> = claimed.into_iter().map(|claimed| looked(claimed.health)).collect();
    store.save_looks(me, &looks, LEASE).await.expect("saved");
    assert_eq!(store.hint(&key("other")).await.expect("hinted"), 0);
    let events = store.key_events(acme.keys.tenant, None, 10).await.expect("read");
    assert_eq!(events.len(), 1);
    let newest = store.newest().await.expect("read");
    assert_eq!(store.changes(newest.into(), 10).await.expect("read"), []);
    let again = store
        .tell_key_news(me, acme.keys.tenant, &withdrawn("r-1"), Duration::ZERO)
        .await;
    again.expect("told").expect("new");

    // A server counts a connection's reads when it ends.
    drop(store);
    let others =
        "select pid::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    until("all connections ended", async || raw.texts(others).await.is_empty()).await;
    assert_eq!(raw.whole_reads().await, before, "no table is read as a whole");
}

/// What a look and a minute of holding change of a key most often is changed in place.
#[tokio::test]
async fn what_is_held_still_is_noted_without_touching_an_index() {
    let Some(url) = empty_postgres().await else { return };
    let store = open_whole(&url).await;
    let acme = registered(&*store, "acme").await;
    let mut raw = Raw::connect(&url).await;
    let hot = "select n_tup_hot_upd::text from pg_stat_user_tables where relname = 'key_health'";
    let noted = async |store: &dyn Store| {
        let noted = store.note_held(&[acme.keys.tenant], Duration::ZERO).await;
        noted.expect("noted");
    };
    noted(&*store).await;
    raw.execute("update key_health set held_at = now() - interval '1 minute'")
        .await
        .expect("passed");
    raw.execute("select pg_stat_force_next_flush()").await.expect("counted");
    let before: u32 = raw.texts(hot).await[0].parse().expect("a number");
    noted(&*store).await;
    drop(store);
    until("it was changed in place", async || {
        raw.texts(hot).await == [(before + 1).to_string()]
    })
    .await;
}

impl Raw {
    /// How often each table of keys and tenants was read as a whole.
    async fn whole_reads(&mut self) -> Vec<String> {
        self.texts(
            "select relname || ' ' || seq_scan from pg_stat_user_tables
             where relname in ('key_health', 'key_events', 'tenants') order by 1",
        )
        .await
    }
}

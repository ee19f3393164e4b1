//! Lists of many tenants are read by an index, in production.

use crate::{
    stores::{Raw, empty_postgres, open},
    world::{slug, tenant, until},
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

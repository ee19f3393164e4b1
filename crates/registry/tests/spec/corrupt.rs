//! Rows that no code of ours writes: somebody's hand was on the database, and on its constraints.

use keyferry_registry::{RegistryError, Revision, TenantStatus};

use crate::{
    stores::{Raw, on_each_database, open},
    world::{slug, tenant, tenant_changes, tenants_told, view},
};

on_each_database!(
    a_row_without_a_slug_is_told_like_any_other,
    a_corrupt_row_hides_nothing_that_comes_after_it,
    a_corrupt_row_is_read_once_and_its_tenant_leaves_memory,
    whoever_asks_for_a_corrupt_tenant_is_told,
);

async fn a_row_without_a_slug_is_told_like_any_other(url: &str) {
    let store = open(url).await;
    let acme = store.create(&tenant("acme"), None).await.expect("created").tenant;
    let mut raw = Raw::connect(url).await;
    raw.corrupt("slug = '!'", acme.revision.0).await;
    let changes = tenant_changes(&*store, Revision(0), 10).await;
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((&change.slug, &change.tenant), (&None, &None));
    assert_eq!(
        (change.mark.tenant, change.mark.revision),
        (acme.keys.tenant, acme.revision)
    );
}

/// A page of the feed that is full only with the corrupt row in it is not the last.
async fn a_corrupt_row_hides_nothing_that_comes_after_it(url: &str) {
    let store = open(url).await;
    let acme = store.create(&tenant("acme"), None).await.expect("created").tenant;
    let mut raw = Raw::connect(url).await;
    raw.multiply(1_000).await;
    raw.corrupt("slug = '!'", acme.revision.0).await;
    let here = view(&store);
    here.follow().await.expect("followed");
    let last = here.tenant(&slug("t1000")).await.expect("asked").expect("there");
    assert_eq!(last.status, TenantStatus::Active);
    let unfollowed = tenant_changes(&*store, last.revision, 1).await;
    assert_eq!(
        (unfollowed.len(), here.stats().store_reads),
        (0, 0),
        "it came by the feed"
    );
}

async fn a_corrupt_row_is_read_once_and_its_tenant_leaves_memory(url: &str) {
    let store = open(url).await;
    let acme = store.create(&tenant("acme"), None).await.expect("created").tenant;
    let here = view(&store);
    here.follow().await.expect("followed");
    let mut changes = here.changes();
    let mut raw = Raw::connect(url).await;
    raw.corrupt("slug = '!'", acme.revision.0 + 1).await;
    here.follow().await.expect("followed");
    assert_eq!(
        tenants_told(&mut changes),
        [acme.keys.tenant],
        "whoever keeps its keys is told"
    );
    assert_eq!(here.tenant(&slug("acme")).await.expect("asked"), None);
    here.follow().await.expect("followed");
    assert_eq!(tenants_told(&mut changes), [], "once");
}

async fn whoever_asks_for_a_corrupt_tenant_is_told(url: &str) {
    let store = open(url).await;
    let acme = store.create(&tenant("acme"), None).await.expect("created").tenant;
    let here = view(&store);
    here.follow().await.expect("followed");
    let mut raw = Raw::connect(url).await;
    raw.corrupt("cloud = 'mars'", acme.revision.0 + 1).await;
    here.follow().await.expect("followed");
    let asked = here.tenant(&slug("acme")).await;
    assert!(matches!(asked, Err(RegistryError::Corrupt("cloud"))), "{asked:?}");
}

impl Raw {
    /// Writes of the tenant `acme` what no constraint lets pass.
    async fn corrupt(&mut self, set: &str, revision: i64) {
        let unguarded = match self {
            Self::Postgres(_) => {
                "do $$ declare name text; begin
                 for name in select conname from pg_constraint where conrelid = 'tenants'::regclass and contype = 'c' loop
                     execute format('alter table tenants drop constraint %I', name);
                 end loop; end $$"
            }
            Self::Sqlite(_) => "pragma ignore_check_constraints = on",
        };
        let set = format!("update tenants set {set}, revision = {revision} where slug = 'acme'");
        self.execute(&format!("{unguarded}; {set}")).await.expect("corrupted");
    }
}

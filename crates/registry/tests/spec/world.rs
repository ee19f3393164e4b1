//! Tenants and views to try things on.

use std::{sync::Arc, time::Duration};

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyRef, TenantId},
    tenant::{SealingPolicy, VersionPolicy},
};
use keyferry_registry::{
    Change, Changed, NewTenant, Registry, RegistryLimits, Revision, Slug, Tenant, TenantChange, TenantStore,
};
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::stores::clock;

pub fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

pub fn key(name: &str) -> KeyRef {
    KeyRef {
        vault: "acme.vault.azure.net".parse().expect("a host"),
        name: name.parse().expect("a name"),
    }
}

pub fn tenant(name: &str) -> Tenant {
    let new = NewTenant {
        slug: slug(name),
        display_name: "Acme & Söhne".parse().expect("a name"),
        directory: DirectoryId(Uuid::from_u128(7)),
        cloud: Cloud::Public,
        key: key("kek"),
        version: VersionPolicy::FollowLatest,
        policy: SealingPolicy::default(),
    };
    Tenant::new(new, clock()).expect("a tenant")
}

/// A view that polls all the time.
pub fn view(store: &Arc<dyn TenantStore>) -> Arc<Registry> {
    view_polling(store, Duration::from_millis(20))
}

/// A view that polls every so often.
pub fn view_polling(store: &Arc<dyn TenantStore>, poll: Duration) -> Arc<Registry> {
    Registry::new(Arc::clone(store), RegistryLimits { tenants: 100, poll })
}

/// Lets a view follow its store until the answer is dropped.
pub fn running(view: &Arc<Registry>) -> DropGuard {
    let (view, cancel) = (Arc::clone(view), CancellationToken::new());
    let guard = cancel.clone().drop_guard();
    tokio::spawn(async move { view.run(cancel).await });
    guard
}

/// Which tenants a view has told of since it was last asked.
pub fn tenants_told(changes: &mut Receiver<Changed>) -> Vec<TenantId> {
    let told = std::iter::from_fn(|| changes.try_recv().ok());
    told.filter_map(|changed| match changed {
        Changed::Tenant(tenant) => Some(tenant),
        Changed::Key(_) | Changed::Heard(..) | Changed::Everything => None,
    })
    .collect()
}

/// Up to `limit` changes of tenants after one, where nothing happened to keys.
pub async fn tenant_changes(store: &(impl TenantStore + ?Sized), after: Revision, limit: u32) -> Vec<TenantChange> {
    let changes = store.changes(after.into(), limit).await.expect("read");
    let tenants = changes.into_iter().map(|change| match change {
        Change::Tenant(change) => change,
        Change::Key(change) => panic!("{change:?}"),
    });
    tenants.collect()
}

/// Waits until a condition holds; half a minute is far more than any takes, and less than it takes for a view's own
/// minutely work to help it along.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

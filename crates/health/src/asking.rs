//! One look at a key: what the vault is asked.

use std::time::Duration;

use futures::future::{join, join_all};
use keyferry_crypto::{
    tenant::TenantKeys,
    vault::{VaultCause, VaultError},
};
use keyferry_registry::key::KeyHealth;

use crate::{
    keys::Keys,
    look::{self, Found, Terms},
};

/// Has the vault unwrap all canaries, and asks for the newest version if that is to be known, at the same time; then plants a
/// canary if one is wanted. `limit` is how long one answer may take with all that confirms it: calls to vaults are bounded by
/// themselves, and this bounds a look if one is not.
pub(crate) async fn ask(
    keys: &dyn Keys,
    tenant: &TenantKeys,
    health: &KeyHealth,
    limit: Duration,
    terms: &Terms,
) -> Found {
    let probes = look::watched(tenant, health).into_iter().map(|canary| async move {
        let answer = in_time(limit, keys.probe(tenant, &canary)).await;
        (canary, answer)
    });
    let newest = async {
        if look::looks_up(tenant, health, terms) {
            Some(in_time(limit, keys.newest(tenant)).await)
        } else {
            None
        }
    };
    let (probed, newest) = join(join_all(probes), newest).await;
    let mut found = Found {
        newest,
        probed,
        planted: None,
    };
    if look::wants_planting(tenant, health, &found) {
        // A wrap, and an unwrap as proof.
        found.planted = Some(in_time(limit * 2, keys.plant(tenant)).await);
    }
    found
}

async fn in_time<T, E: From<VaultError>>(limit: Duration, answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = |_| Err(VaultError::from(VaultCause::Timeout).into());
    tokio::time::timeout(limit, answer).await.unwrap_or_else(late)
}

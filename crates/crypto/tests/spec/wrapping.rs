//! To wrap and to unwrap are two rights: a refused wrap ends sealing, and takes from opening only what it must.

use std::sync::Arc;

use keyferry_crypto::{
    sealer::{Sealed, Sealer},
    tenant::{TenantKeys, VersionPolicy},
    vault::VaultCause,
};
use tokio::time::advance;

use crate::fake::{FakeVault, MINUTE, SECOND, cause, open, seal, start, tenant_with, version};

/// Long enough for its keys that they are not revalidated for their age in these tests.
fn tenant() -> TenantKeys {
    tenant_with(|policy| policy.cache_ttl = MINUTE * 60)
}

/// Seals until the lease is over, and so the vault is asked to wrap.
async fn seal_past_the_lease(sealer: &Sealer, tenant: &TenantKeys) -> Option<VaultCause> {
    advance(MINUTE * 5).await;
    cause(seal(sealer, tenant).await)
}

/// A replica that holds two data keys under one version.
async fn hot() -> (Arc<FakeVault>, Arc<Sealer>, [Sealed; 2]) {
    let (vault, sealer) = start();
    let first = seal(&sealer, &tenant()).await.unwrap();
    advance(MINUTE * 5).await;
    let second = seal(&sealer, &tenant()).await.unwrap();
    (vault, sealer, [first, second])
}

#[tokio::test(start_paused = true)]
async fn a_key_that_only_wraps_no_more_opens_from_the_cache_as_before() {
    for refusal in [VaultCause::KeyNotUsable, VaultCause::KeyOperationForbidden] {
        let (vault, sealer, sealed) = hot().await;
        vault.fails_to_wrap(refusal);
        assert_eq!(seal_past_the_lease(&sealer, &tenant()).await, Some(refusal));
        let before = vault.calls();
        for _ in 0..60 {
            assert_eq!(cause(seal(&sealer, &tenant()).await), Some(refusal));
            for sealed in &sealed {
                open(&sealer, &tenant(), sealed).await.unwrap();
            }
            advance(SECOND * 10).await;
        }
        assert_eq!(vault.unwraps(), before.unwraps, "{refusal:?}");
        vault.fails_to_wrap(None);
        seal(&sealer, &tenant()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrap_refused_by_role_has_the_vault_asked_once_before_the_next_open() {
    for refusal in [
        VaultCause::RoleMissing,
        VaultCause::AccessPolicyMissing,
        VaultCause::AccessDenied,
        VaultCause::KeyDisabled,
        VaultCause::KeyNotFound,
    ] {
        let (vault, sealer, sealed) = hot().await;
        vault.fails_to_wrap(refusal);
        assert_eq!(seal_past_the_lease(&sealer, &tenant()).await, Some(refusal));
        let before = vault.unwraps();
        for sealed in sealed.iter().cycle().take(100) {
            open(&sealer, &tenant(), sealed).await.unwrap();
        }
        assert_eq!(vault.unwraps(), before + 1, "{refusal:?}: for all data keys");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_unwrap_is_refused_too_all_goes_at_once() {
    for refusal in [
        VaultCause::RoleMissing,
        VaultCause::KeyDisabled,
        VaultCause::KeyNotFound,
    ] {
        let (vault, sealer, sealed) = hot().await;
        vault.fails(refusal);
        assert_eq!(seal_past_the_lease(&sealer, &tenant()).await, Some(refusal));
        let before = vault.unwraps();
        for sealed in &sealed {
            assert_eq!(cause(open(&sealer, &tenant(), sealed).await), Some(refusal));
        }
        assert_eq!(vault.unwraps(), before + 1, "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_way_to_the_vault_takes_all_at_once() {
    for refusal in [VaultCause::FirewallDenied, VaultCause::ConsentMissing] {
        let (vault, sealer, sealed) = hot().await;
        vault.fails_to_wrap(refusal);
        assert_eq!(seal_past_the_lease(&sealer, &tenant()).await, Some(refusal));
        // A key that was only in doubt would open.
        vault.fails_to_unwrap(VaultCause::Timeout);
        let opened = open(&sealer, &tenant(), &sealed[0]).await;
        assert_eq!(cause(opened), Some(VaultCause::Timeout), "{refusal:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_in_doubt_opens_while_its_vault_is_unavailable() {
    let (vault, sealer, sealed) = hot().await;
    vault.fails_to_wrap(VaultCause::RoleMissing);
    vault.fails_to_unwrap(VaultCause::Timeout);
    seal_past_the_lease(&sealer, &tenant()).await;
    let before = vault.unwraps();
    for _ in 0..10 {
        open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    }
    assert_eq!(vault.unwraps(), before + 1, "unavailable is not revoked");
}

#[tokio::test(start_paused = true)]
async fn who_opens_while_a_key_in_doubt_is_asked_for_does_not_wait() {
    let (vault, sealer, sealed) = hot().await;
    vault.fails_to_wrap(VaultCause::RoleMissing);
    seal_past_the_lease(&sealer, &tenant()).await;
    let before = vault.calls();
    vault.hangs();
    let asking = crate::fake::opening(&sealer, &tenant(), &sealed[0]);
    vault.begun(before.wraps, before.unwraps + 1).await;
    open(&sealer, &tenant(), &sealed[0]).await.unwrap();
    vault.goes_on();
    asking.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pinned_version_that_is_disabled_leaves_the_others_as_they_are() {
    let (vault, sealer, sealed) = hot().await;
    let mut pinned = tenant();
    pinned.version = VersionPolicy::Pinned(version(3).parse().unwrap());
    let under_pinned = seal(&sealer, &pinned).await.unwrap();
    vault.fails_to_wrap(VaultCause::KeyDisabled);
    vault.fails_at_version(&under_pinned.kek, VaultCause::KeyDisabled);
    assert_eq!(
        seal_past_the_lease(&sealer, &pinned).await,
        Some(VaultCause::KeyDisabled)
    );
    let before = vault.unwraps();
    for sealed in &sealed {
        open(&sealer, &pinned, sealed).await.unwrap();
    }
    assert_eq!(vault.unwraps(), before);
    let opened = open(&sealer, &pinned, &under_pinned).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
}

#[tokio::test(start_paused = true)]
async fn no_grace_is_given_on_what_was_heard_before_the_doubt() {
    let tenant = tenant_with(|policy| policy.outage_grace = MINUTE * 60);
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant).await.unwrap();
    vault.fails(VaultCause::Timeout);
    advance(MINUTE * 6).await;
    open(&sealer, &tenant, &sealed).await.unwrap();
    assert_eq!(sealer.stats().grace_opens, 1);
    vault.fails(VaultCause::RoleMissing);
    assert_eq!(cause(seal(&sealer, &tenant).await), Some(VaultCause::RoleMissing));
    let opened = open(&sealer, &tenant, &sealed).await;
    assert_eq!(cause(opened), Some(VaultCause::RoleMissing));
}

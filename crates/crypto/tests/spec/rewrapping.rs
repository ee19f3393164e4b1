//! Rewrapping moves an envelope to the present version of the tenant's key; the payload is neither read nor changed. A data key is
//! wrapped once, however many envelopes carry it.

use std::sync::Arc;

use keyferry_crypto::{
    context::EncryptionContext,
    id::KekId,
    sealer::{Content, Sealed, Sealer, SealerError, SealerLimits},
    tenant::{TenantKeys, VersionPolicy},
    vault::{KeyVault, VaultCause},
};
use tokio::{task::JoinSet, time::advance};

use crate::fake::{
    FakeVault, MINUTE, SECOND, cause, context, key, kid, made_up, open, replica, seal, start, tenant, tenant_with,
    version,
};

/// Longer than one wrap tells how the next would be done.
const A_WHILE: std::time::Duration = std::time::Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_rewrapped_envelope_opens_without_its_former_version() {
    let (vault, sealer) = start();
    let before = seal(&sealer, &tenant()).await.unwrap();
    vault.rotates();
    advance(A_WHILE).await;
    let after = sealer.rewrap(&tenant(), &before.envelope).await.unwrap();
    assert_eq!(after.kek.version.as_str(), version(1));
    vault.fails_at_version(&before.kek, VaultCause::KeyDisabled);
    let opened = open(&replica(&vault), &tenant(), &after).await.unwrap();
    assert_eq!(opened.plaintext.expose(), b"payroll");
    assert_eq!(opened.kek, after.kek);
}

#[tokio::test(start_paused = true)]
async fn rewrapping_needs_no_context_and_leaves_the_payload_as_it_is() {
    let (vault, sealer) = start();
    let bound = context(&[("app", "hr")]);
    let before = sealer.seal(&tenant(), Content::Key, &bound, &[9; 32]).await.unwrap();
    vault.rotates();
    advance(A_WHILE).await;
    let after = sealer.rewrap(&tenant(), &before.envelope).await.unwrap();
    assert_ne!(before.kek, after.kek);
    let payload = before.envelope.len() - 380;
    assert_eq!(before.envelope[..payload], after.envelope[..payload]);
    assert_eq!(kid(&before), kid(&after));
    let opened = sealer
        .open(&tenant(), Content::Key, &bound, &after.envelope)
        .await
        .unwrap();
    assert_eq!(opened.plaintext.expose(), [9; 32]);
    let unbound = sealer
        .open(&tenant(), Content::Key, &EncryptionContext::default(), &after.envelope)
        .await;
    assert!(matches!(unbound, Err(SealerError::NotAuthentic)));
}

#[tokio::test]
async fn rewrapping_moves_from_a_former_key_to_the_current_one() {
    let (vault, sealer) = start();
    let before = seal(&sealer, &tenant()).await.unwrap();
    let moved = moved();
    let after = sealer.rewrap(&moved, &before.envelope).await.unwrap();
    assert_eq!(after.kek.key, moved.current);
    let without_former = TenantKeys {
        former: vec![],
        ..moved
    };
    open(&replica(&vault), &without_former, &after).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rewrapping_is_refused_when_the_vault_refuses_either_key() {
    let (vault, sealer) = start();
    let before = seal(&sealer, &tenant()).await.unwrap();
    vault.fails_to_wrap(VaultCause::KeyOperationForbidden);
    advance(A_WHILE).await;
    let rewrapped = sealer.rewrap(&tenant(), &before.envelope).await;
    assert_eq!(cause(rewrapped), Some(VaultCause::KeyOperationForbidden));
    let cold = replica(&vault);
    vault.fails(VaultCause::KeyNotFound);
    assert_eq!(
        cause(cold.rewrap(&tenant(), &before.envelope).await),
        Some(VaultCause::KeyNotFound)
    );
}

#[tokio::test(start_paused = true)]
async fn a_data_key_is_wrapped_once_however_many_envelopes_carry_it() {
    let (vault, sealer) = start();
    let sealed = many(&sealer, &tenant(), 100).await;
    let before = vault.calls();
    for sealed in &sealed {
        let after = sealer.rewrap(&moved(), &sealed.envelope).await.unwrap();
        assert_eq!((&after.kek.key, kid(&after)), (&moved().current, kid(sealed)));
        open(&sealer, &moved(), &after).await.unwrap();
    }
    assert_eq!(vault.wraps(), before.wraps + 1);
    assert_eq!(
        vault.unwraps(),
        before.unwraps + 2,
        "one proves the version, and one opens them all"
    );
    assert_eq!(sealer.stats().rewraps_recalled, 99);
}

#[tokio::test]
async fn nor_do_those_who_rewrap_at_the_same_time_have_it_wrapped_twice() {
    let (vault, sealer) = start();
    let sealed = many(&sealer, &tenant(), 50).await;
    let before = vault.calls();
    vault.hangs_to_wrap();
    let mut rewraps = JoinSet::new();
    for sealed in sealed {
        let sealer = Arc::clone(&sealer);
        rewraps.spawn(async move { sealer.rewrap(&moved(), &sealed.envelope).await.unwrap() });
    }
    vault.begun(before.wraps + 1, 0).await;
    tokio::task::yield_now().await;
    vault.goes_on();
    for after in rewraps.join_all().await {
        assert_eq!(after.kek.key, moved().current);
    }
    assert_eq!(vault.wraps(), before.wraps + 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_the_present_version_comes_back_as_it_is() {
    let (vault, sealer) = start();
    let mut old = vec![];
    for _ in 0..20 {
        old.push(seal(&sealer, &one_message_a_key()).await.unwrap());
    }
    vault.rotates();
    advance(A_WHILE).await;
    let mut new = vec![];
    for sealed in &old {
        new.push(sealer.rewrap(&one_message_a_key(), &sealed.envelope).await.unwrap());
    }
    // Interrupted, and begun again: on a replica that knows nothing.
    let again = replica(&vault);
    let before = vault.calls();
    for sealed in &new {
        let after = again.rewrap(&one_message_a_key(), &sealed.envelope).await.unwrap();
        assert_eq!((&after.envelope, &after.kek), (&sealed.envelope, &sealed.kek));
    }
    assert_eq!(vault.wraps(), before.wraps + 1, "to learn which version wraps");
    assert_eq!(vault.unwraps(), before.unwraps + 20, "whose they are must be proven");
    for sealed in &new {
        again.rewrap(&one_message_a_key(), &sealed.envelope).await.unwrap();
    }
    assert_eq!(vault.wraps(), before.wraps + 1);
}

#[tokio::test(start_paused = true)]
async fn whose_an_envelope_is_must_be_proven_though_there_is_nothing_to_wrap() {
    let (_, sealer) = start();
    let mut neighbour = tenant();
    neighbour.tenant = keyferry_crypto::id::TenantId(uuid::Uuid::from_u128(99));
    let ours = seal(&sealer, &tenant()).await.unwrap();
    let theirs = seal(&sealer, &neighbour).await.unwrap();
    assert_eq!(ours.kek, theirs.kek);
    let rewrapped = sealer.rewrap(&neighbour, &ours.envelope).await;
    assert!(matches!(rewrapped, Err(SealerError::NotAuthentic)));
    let made_up = sealer.rewrap(&tenant(), &made_up(&ours, 1).envelope).await;
    assert_eq!(cause(made_up), Some(VaultCause::KeyNotFound));
}

#[tokio::test(start_paused = true)]
async fn what_a_data_key_was_wrapped_to_serves_no_longer_than_a_lease() {
    let (vault, sealer) = start();
    let tenant = tenant_with(|policy| policy.cache_ttl = MINUTE * 60);
    let moved = moved_of(tenant.clone());
    let sealed = many(&sealer, &tenant, 2).await;
    sealer.rewrap(&moved, &sealed[0].envelope).await.unwrap();
    let before = vault.wraps();
    advance(MINUTE * 4 + SECOND * 59).await;
    sealer.rewrap(&moved, &sealed[1].envelope).await.unwrap();
    assert_eq!(vault.wraps(), before);
    advance(SECOND).await;
    sealer.rewrap(&moved, &sealed[1].envelope).await.unwrap();
    assert_eq!(vault.wraps(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn nor_longer_than_its_version_is_the_newest() {
    let (vault, sealer) = start();
    let sealed = many(&sealer, &tenant(), 2).await;
    sealer.rewrap(&moved(), &sealed[0].envelope).await.unwrap();
    vault.rotates();
    sealer.follow(&moved(), &newest(&sealer).await);
    let after = sealer.rewrap(&moved(), &sealed[1].envelope).await.unwrap();
    assert_eq!(after.kek, newest(&sealer).await);
}

/// Nobody told of it: this replica wrapped under it.
#[tokio::test(start_paused = true)]
async fn nor_when_a_newer_one_was_seen_here() {
    let (vault, sealer) = start();
    let sealed = many(&sealer, &tenant(), 2).await;
    sealer.rewrap(&moved(), &sealed[0].envelope).await.unwrap();
    vault.rotates();
    let new = seal(&sealer, &moved()).await.unwrap();
    let after = sealer.rewrap(&moved(), &sealed[1].envelope).await.unwrap();
    assert_eq!((&after.kek, after.kek.version.as_str()), (&new.kek, &*version(1)));
}

#[tokio::test(start_paused = true)]
async fn nor_longer_than_the_customer_lets_it_be_opened() {
    let (vault, sealer) = start();
    let sealed = many(&sealer, &tenant(), 2).await;
    let rewrapped = sealer.rewrap(&moved(), &sealed[0].envelope).await.unwrap();
    vault.fails_at_version(&rewrapped.kek, VaultCause::KeyDisabled);
    let opened = open(&sealer, &moved(), &rewrapped).await;
    assert_eq!(cause(opened), Some(VaultCause::KeyDisabled));
    let after = sealer.rewrap(&moved(), &sealed[1].envelope).await;
    assert_eq!(cause(after), Some(VaultCause::KeyDisabled));
}

#[tokio::test(start_paused = true)]
async fn nor_past_an_eviction_though_the_wrap_was_under_way() {
    let (vault, sealer) = start();
    let sealed = many(&sealer, &tenant(), 2).await;
    vault.hangs_to_wrap();
    let early = tokio::spawn({
        let (sealer, sealed) = (Arc::clone(&sealer), sealed[0].clone());
        async move { sealer.rewrap(&moved(), &sealed.envelope).await }
    });
    let before = vault.calls();
    vault.begun(before.wraps + 1, 0).await;
    sealer.evict(tenant().tenant);
    vault.goes_on();
    early.await.unwrap().unwrap();
    sealer.rewrap(&moved(), &sealed[1].envelope).await.unwrap();
    assert_eq!(vault.wraps(), before.wraps + 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_of_them_are_kept_than_the_limit_and_all_the_same_each_is_right() {
    let vault = FakeVault::new();
    let limits = SealerLimits {
        rewrapped: 0,
        ..SealerLimits::default()
    };
    let sealer = Sealer::new(Arc::clone(&vault) as Arc<dyn KeyVault>, limits);
    let sealed = many(&sealer, &tenant(), 5).await;
    let before = vault.wraps();
    for sealed in &sealed {
        sealer.rewrap(&moved(), &sealed.envelope).await.unwrap();
    }
    assert!(vault.wraps() > before + 1, "{} wraps", vault.wraps());
}

#[tokio::test(start_paused = true)]
async fn a_pinned_tenants_envelopes_move_to_its_version_and_stay_there() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let pinned = TenantKeys {
        version: VersionPolicy::Pinned(version(5).parse().unwrap()),
        ..tenant()
    };
    let after = sealer.rewrap(&pinned, &sealed.envelope).await.unwrap();
    assert_eq!(after.kek.version.as_str(), version(5));
    let before = vault.wraps();
    let again = sealer.rewrap(&pinned, &after.envelope).await.unwrap();
    assert_eq!((again.envelope, vault.wraps()), (after.envelope, before));
}

fn one_message_a_key() -> TenantKeys {
    tenant_with(|policy| policy.lease_max_messages = 1)
}

/// The tenant with another current key.
fn moved() -> TenantKeys {
    moved_of(tenant())
}

fn moved_of(mut tenant: TenantKeys) -> TenantKeys {
    tenant.former = vec![tenant.current];
    tenant.current = key("acme-2", "kek");
    tenant
}

/// So many envelopes that carry one data key.
async fn many(sealer: &Sealer, tenant: &TenantKeys, count: usize) -> Vec<Sealed> {
    let mut sealed = vec![];
    for _ in 0..count {
        sealed.push(seal(sealer, tenant).await.unwrap());
    }
    assert!(sealed.iter().all(|other| kid(other) == kid(&sealed[0])));
    sealed
}

async fn newest(sealer: &Sealer) -> KekId {
    sealer.newest(&moved()).await.unwrap()
}

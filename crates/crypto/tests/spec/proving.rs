//! A wrap proves nothing: who may only read a key may wrap with it. So nothing is sealed that the vault would not unwrap, and
//! nothing opens for having been wrapped.

use std::sync::Arc;

use keyferry_crypto::{tenant::TenantKeys, vault::VaultCause};
use tokio::time::advance;

use crate::fake::{MINUTE, SECOND, cause, key, open, replica, seal, start, tenant, tenant_with};

const REFUSED: VaultCause = VaultCause::RoleMissing;

fn one_message_a_key() -> TenantKeys {
    tenant_with(|policy| policy.lease_max_messages = 1)
}

#[tokio::test(start_paused = true)]
async fn where_unwraps_are_refused_and_wraps_are_not_nothing_is_sealed_or_opened_after_the_bound() {
    for tenant in [tenant(), one_message_a_key()] {
        let (vault, sealer) = start();
        let sealed = seal(&sealer, &tenant).await.unwrap();
        open(&sealer, &tenant, &sealed).await.unwrap();
        vault.fails_to_unwrap(REFUSED);
        let mut last = sealed.clone();
        for _ in 0..30 {
            advance(SECOND * 10).await;
            if let Ok(sealed) = seal(&sealer, &tenant).await {
                last = sealed;
            }
            let _until_it_is_noticed = open(&sealer, &tenant, &sealed).await;
        }
        for _ in 0..60 {
            assert_eq!(cause(seal(&sealer, &tenant).await), Some(REFUSED));
            for sealed in [&sealed, &last] {
                assert_eq!(cause(open(&sealer, &tenant, sealed).await), Some(REFUSED));
            }
            advance(SECOND * 10).await;
        }
        vault.fails_to_unwrap(None);
        advance(SECOND * 5).await;
        let after = seal(&sealer, &tenant).await.unwrap();
        for sealed in [&sealed, &last, &after] {
            open(&sealer, &tenant, sealed).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_only_seals_stops_within_its_leases_age() {
    for tenant in [tenant(), one_message_a_key()] {
        let (vault, sealer) = start();
        seal(&sealer, &tenant).await.unwrap();
        vault.fails_to_unwrap(REFUSED);
        for _ in 0..30 {
            let _until_the_lease_is_over = seal(&sealer, &tenant).await;
            advance(SECOND * 10).await;
        }
        for _ in 0..60 {
            assert_eq!(cause(seal(&sealer, &tenant).await), Some(REFUSED));
            advance(SECOND * 10).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_saw_an_unwrap_seals_nothing() {
    for tenant in [tenant(), one_message_a_key()] {
        let (vault, sealer) = start();
        vault.fails_to_unwrap(REFUSED);
        for _ in 0..20 {
            assert_eq!(cause(seal(&sealer, &tenant).await), Some(REFUSED));
        }
        assert_eq!((vault.wraps(), vault.unwraps()), (1, 1), "the refusal is remembered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_unwrap_ends_the_lease_at_once() {
    let (vault, sealer) = start();
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    let hot = seal(&sealer, &tenant()).await.unwrap();
    vault.fails_to_unwrap(REFUSED);
    for sealed in [&cold, &hot] {
        assert_eq!(cause(open(&sealer, &tenant(), sealed).await), Some(REFUSED));
    }
    let before = vault.calls();
    for _ in 0..20 {
        assert_eq!(cause(seal(&sealer, &tenant()).await), Some(REFUSED));
    }
    assert_eq!(vault.wraps(), before.wraps + 1, "one to learn which version wraps");
    assert_eq!(vault.unwraps(), before.unwraps, "that it does not unwrap is known");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_while_a_lease_is_made_counts() {
    let (vault, sealer) = start();
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.hangs_to_wrap();
    let sealing = tokio::spawn({
        let sealer = Arc::clone(&sealer);
        async move { seal(&sealer, &tenant()).await }
    });
    vault.begun(2, 1).await;
    vault.fails_to_unwrap(REFUSED);
    assert_eq!(cause(open(&sealer, &tenant(), &cold).await), Some(REFUSED));
    // From here on the vault would unwrap again.
    vault.fails_to_unwrap(None);
    vault.goes_on();
    assert_eq!(cause(sealing.await.unwrap()), Some(REFUSED));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_while_a_lease_is_proven_counts() {
    let (vault, sealer) = start();
    let cold = seal(&replica(&vault), &tenant()).await.unwrap();
    vault.hangs_to_prove();
    let sealing = tokio::spawn({
        let sealer = Arc::clone(&sealer);
        async move { seal(&sealer, &tenant()).await }
    });
    vault.begun(2, 2).await;
    vault.fails_to_unwrap(REFUSED);
    assert_eq!(cause(open(&sealer, &tenant(), &cold).await), Some(REFUSED));
    vault.fails_to_unwrap(None);
    vault.goes_on();
    assert_eq!(cause(sealing.await.unwrap()), Some(REFUSED));
    advance(SECOND * 5).await;
    seal(&sealer, &tenant()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn data_keys_for_one_message_share_a_proof_and_open_only_through_the_vault() {
    let (vault, sealer) = start();
    let tenant = one_message_a_key();
    let mut sealed = vec![];
    for _ in 0..20 {
        sealed.push(seal(&sealer, &tenant).await.unwrap());
    }
    assert_eq!((vault.wraps(), vault.unwraps()), (20, 1));
    for (opened, sealed) in sealed.iter().enumerate() {
        open(&sealer, &tenant, sealed).await.unwrap();
        assert_eq!(vault.unwraps(), 2 + opened, "a wrap is no reason to open");
    }
    advance(MINUTE * 5).await;
    seal(&sealer, &tenant).await.unwrap();
    assert_eq!(vault.unwraps(), 22, "the proof is too old");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_rewrapped_to_where_it_would_not_open() {
    let (vault, sealer) = start();
    let old = seal(&sealer, &tenant()).await.unwrap();
    let mut others = vec![];
    for _ in 0..20 {
        others.push(seal(&sealer, &one_message_a_key()).await.unwrap());
    }
    let mut moved = tenant();
    moved.former = vec![moved.current.clone()];
    moved.current = key("acme-2", "kek");
    vault.fails_to_unwrap(REFUSED);
    assert_eq!(cause(sealer.rewrap(&moved, &old.envelope).await), Some(REFUSED));
    vault.fails_to_unwrap(None);
    advance(SECOND * 5).await;
    let before = vault.calls();
    for old in &others {
        sealer.rewrap(&moved, &old.envelope).await.unwrap();
    }
    assert_eq!(vault.wraps(), before.wraps + 20);
    assert_eq!(
        vault.unwraps(),
        before.unwraps + 20 + 1,
        "each is opened, and they share a proof"
    );
}

#[tokio::test]
async fn what_the_vault_gives_back_otherwise_than_it_got_it_is_not_sealed_with() {
    let (vault, sealer) = start();
    vault.mixes_keys_up();
    assert_eq!(cause(seal(&sealer, &tenant()).await), Some(VaultCause::AnswerInvalid));
    vault.fails_to_unwrap(VaultCause::WrappedKeyInvalid);
    let sealed = seal(&sealer, &tenant()).await;
    assert_eq!(cause(sealed), Some(VaultCause::AnswerInvalid), "no caller's fault");
}

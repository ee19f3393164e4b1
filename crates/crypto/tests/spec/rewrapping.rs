//! Rewrapping moves an envelope to the present version of the tenant's key; the payload is neither read nor changed.

use keyferry_crypto::{
    context::EncryptionContext,
    sealer::{Content, SealerError},
    vault::VaultCause,
};

use crate::fake::{cause, context, key, kid, open, replica, seal, start, tenant, version};

#[tokio::test]
async fn a_rewrapped_envelope_opens_without_its_former_version() {
    let (vault, sealer) = start();
    let before = seal(&sealer, &tenant()).await.unwrap();
    vault.rotates();
    let after = sealer.rewrap(&tenant(), &before.envelope).await.unwrap();
    assert_eq!(after.kek.version.as_str(), version(1));
    vault.fails_at_version(&before.kek, VaultCause::KeyDisabled);
    let opened = open(&replica(&vault), &tenant(), &after).await.unwrap();
    assert_eq!(opened.plaintext.expose(), b"payroll");
    assert_eq!(opened.kek, after.kek);
}

#[tokio::test]
async fn rewrapping_needs_no_context_and_leaves_the_payload_as_it_is() {
    let (vault, sealer) = start();
    let bound = context(&[("app", "hr")]);
    let before = sealer.seal(&tenant(), Content::Key, &bound, &[9; 32]).await.unwrap();
    vault.rotates();
    let after = sealer.rewrap(&tenant(), &before.envelope).await.unwrap();
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
    let mut moved = tenant();
    moved.former = vec![moved.current.clone()];
    moved.current = key("acme-2", "kek");
    let after = sealer.rewrap(&moved, &before.envelope).await.unwrap();
    assert_eq!(after.kek.key, moved.current);
    moved.former.clear();
    open(&replica(&vault), &moved, &after).await.unwrap();
}

#[tokio::test]
async fn rewrapping_is_refused_when_the_vault_refuses_either_key() {
    let (vault, sealer) = start();
    let before = seal(&sealer, &tenant()).await.unwrap();
    vault.fails_to_wrap(VaultCause::KeyOperationForbidden);
    let rewrapped = sealer.rewrap(&tenant(), &before.envelope).await;
    assert_eq!(cause(rewrapped), Some(VaultCause::KeyOperationForbidden));
    let cold = replica(&vault);
    vault.fails(VaultCause::KeyNotFound);
    assert_eq!(
        cause(cold.rewrap(&tenant(), &before.envelope).await),
        Some(VaultCause::KeyNotFound)
    );
}

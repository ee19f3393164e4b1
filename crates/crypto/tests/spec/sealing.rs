//! What was sealed opens, for its tenant, with its context, as what it was; and as nothing else.

use keyferry_crypto::{
    context::EncryptionContext,
    id::TenantId,
    sealer::{Content, Sealer, SealerError},
};
use proptest::{collection::btree_map, prelude::*};
use uuid::Uuid;

use crate::fake::{FakeVault, context, key, kid, open, replica, seal, start, tenant, version};

#[tokio::test]
async fn what_is_sealed_opens() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let opened = open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(opened.plaintext.expose(), b"payroll");
    assert_eq!(opened.kek, sealed.kek);
    assert_eq!(
        opened.kek.to_string(),
        format!("https://acme.vault.azure.net/keys/kek/{}", version(0))
    );
    let elsewhere = open(&replica(&vault), &tenant(), &sealed).await.unwrap();
    assert_eq!(elsewhere.plaintext.expose(), b"payroll");
}

#[tokio::test]
async fn a_replica_opens_what_it_sealed_without_asking_the_vault() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let before = vault.calls();
    open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(vault.calls(), before);
}

#[tokio::test]
async fn no_two_envelopes_are_alike() {
    let (_, sealer) = start();
    let one = seal(&sealer, &tenant()).await.unwrap();
    let other = seal(&sealer, &tenant()).await.unwrap();
    assert_eq!(kid(&one), kid(&other), "one lease");
    assert_ne!(one.envelope, other.envelope);
}

#[tokio::test]
async fn a_key_does_not_open_as_data_nor_data_as_a_key() {
    let (_, sealer) = start();
    let none = EncryptionContext::default();
    for (content, other) in [(Content::Key, Content::Data), (Content::Data, Content::Key)] {
        let sealed = sealer.seal(&tenant(), content, &none, b"x").await.unwrap();
        let opened = sealer.open(&tenant(), other, &none, &sealed.envelope).await;
        assert!(matches!(opened, Err(SealerError::WrongContent { found }) if found == content));
    }
}

#[tokio::test]
async fn another_context_does_not_open() {
    let (_, sealer) = start();
    let sealed = sealer
        .seal(&tenant(), Content::Data, &context(&[("app", "hr")]), b"x")
        .await
        .unwrap();
    for wrong in [
        &[][..],
        &[("app", "crm")],
        &[("APP", "hr")],
        &[("app", "hr"), ("b", "")],
        &[("ap", "phr")],
    ] {
        let opened = sealer
            .open(&tenant(), Content::Data, &context(wrong), &sealed.envelope)
            .await;
        assert!(matches!(opened, Err(SealerError::NotAuthentic)), "{wrong:?}");
    }
    let opened = sealer
        .open(&tenant(), Content::Data, &context(&[("app", "hr")]), &sealed.envelope)
        .await;
    assert_eq!(opened.unwrap().plaintext.expose(), b"x");
}

#[tokio::test]
async fn two_tenants_with_one_key_cannot_open_each_others_envelopes_cached_or_not() {
    let (vault, sealer) = start();
    let (acme, mut other) = (tenant(), tenant());
    other.tenant = TenantId(Uuid::from_u128(99));
    let sealed = seal(&sealer, &acme).await.unwrap();
    open(&sealer, &acme, &sealed).await.unwrap();
    for sealer in [sealer, replica(&vault)] {
        for _cold_then_hot in 0..2 {
            let opened = open(&sealer, &other, &sealed).await;
            assert!(matches!(opened, Err(SealerError::NotAuthentic)));
        }
        open(&sealer, &acme, &sealed).await.unwrap();
        assert!(matches!(
            open(&sealer, &other, &sealed).await,
            Err(SealerError::NotAuthentic)
        ));
    }
}

#[tokio::test]
async fn rewrapping_takes_no_envelope_over_from_another_tenant_cached_or_not() {
    let (vault, sealer) = start();
    let (acme, mut other) = (tenant(), tenant());
    other.tenant = TenantId(Uuid::from_u128(99));
    let sealed = seal(&sealer, &acme).await.unwrap();
    for sealer in [sealer, replica(&vault)] {
        for _cold_then_hot in 0..2 {
            let wraps = vault.wraps();
            let rewrapped = sealer.rewrap(&other, &sealed.envelope).await;
            assert!(matches!(rewrapped, Err(SealerError::NotAuthentic)));
            assert_eq!(vault.wraps(), wraps, "its data key is wrapped for nobody");
        }
        let rewrapped = sealer.rewrap(&acme, &sealed.envelope).await.unwrap();
        assert!(matches!(
            open(&sealer, &other, &rewrapped).await,
            Err(SealerError::NotAuthentic)
        ));
        open(&sealer, &acme, &rewrapped).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_not_the_tenants_is_never_asked_for() {
    let (vault, sealer) = start();
    let mut other = tenant();
    other.current = key("evil", "kek");
    let sealed = seal(&sealer, &other).await.unwrap();
    let before = vault.calls();
    assert!(matches!(
        open(&sealer, &tenant(), &sealed).await,
        Err(SealerError::ForeignKek)
    ));
    assert!(matches!(
        sealer.rewrap(&tenant(), &sealed.envelope).await,
        Err(SealerError::ForeignKek)
    ));
    assert_eq!(vault.calls(), before);
}

#[tokio::test]
async fn a_former_key_still_opens_and_a_removed_one_does_not_though_cached() {
    let (_, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let mut moved = tenant();
    moved.current = key("acme", "kek-2");
    moved.former = vec![key("acme", "kek")];
    assert_eq!(
        open(&sealer, &moved, &sealed).await.unwrap().plaintext.expose(),
        b"payroll"
    );
    moved.former.clear();
    assert!(matches!(
        open(&sealer, &moved, &sealed).await,
        Err(SealerError::ForeignKek)
    ));
}

#[tokio::test]
async fn more_than_the_longest_plaintext_is_refused() {
    let (vault, sealer) = start();
    let sealed = sealer
        .seal(
            &tenant(),
            Content::Data,
            &EncryptionContext::default(),
            &vec![0; Sealer::MAX_PLAINTEXT + 1],
        )
        .await;
    assert!(matches!(sealed, Err(SealerError::TooLarge)));
    assert_eq!(vault.wraps(), 0);
}

#[tokio::test]
async fn neither_keys_nor_plaintext_show_in_debug_output() {
    let (_, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    let opened = open(&sealer, &tenant(), &sealed).await.unwrap();
    assert_eq!(format!("{:?}", opened.plaintext), "SecretBytes(7 bytes)");
    assert!(format!("{sealer:?}").starts_with("Sealer(SealerStats"));
}

#[tokio::test]
async fn the_statistics_tell_what_happened() {
    let (vault, sealer) = start();
    let sealed = seal(&sealer, &tenant()).await.unwrap();
    open(&sealer, &tenant(), &sealed).await.unwrap();
    let elsewhere = replica(&vault);
    open(&elsewhere, &tenant(), &sealed).await.unwrap();
    open(&elsewhere, &tenant(), &sealed).await.unwrap();
    let (here, there) = (sealer.stats(), elsewhere.stats());
    assert_eq!(
        (here.vault_wraps, here.vault_unwraps, here.cache_hits, here.cache_misses),
        (1, 1, 1, 0)
    );
    assert_eq!(
        (
            there.vault_wraps,
            there.vault_unwraps,
            there.cache_hits,
            there.cache_misses
        ),
        (0, 1, 1, 1)
    );
    elsewhere.evict(tenant().tenant);
    assert_eq!(elsewhere.stats().evictions, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_plaintext_opens_again_under_any_context(
        plaintext in prop::collection::vec(any::<u8>(), 0..5000),
        map in btree_map(".{1,40}", ".{0,40}", 0..8),
        is_key in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let vault = FakeVault::new();
            let content = if is_key { Content::Key } else { Content::Data };
            let context = EncryptionContext::new(map).unwrap();
            let sealed = replica(&vault).seal(&tenant(), content, &context, &plaintext).await.unwrap();
            let opened = replica(&vault).open(&tenant(), content, &context, &sealed.envelope).await.unwrap();
            prop_assert_eq!(opened.plaintext.expose(), &plaintext[..]);
            Ok(())
        })?;
    }
}

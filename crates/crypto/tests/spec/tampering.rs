//! Every bit counts: of the envelope, of the tenant's id and of the context, whether the data key is cached or not.

use keyferry_crypto::{
    context::EncryptionContext,
    id::TenantId,
    sealer::{Content, Sealed, Sealer, SealerError},
    tenant::TenantKeys,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::fake::{context, open, replica, start, tenant};

const CONTEXT: [(&str, &str); 2] = [("app", "hr"), ("purpose", "payroll")];

async fn sealed(sealer: &Sealer) -> Sealed {
    sealer
        .seal(&tenant(), Content::Key, &context(&CONTEXT), &[9; 32])
        .await
        .unwrap()
}

async fn opens(sealer: &Sealer, tenant: &TenantKeys, context: &EncryptionContext, envelope: &[u8]) -> bool {
    sealer.open(tenant, Content::Key, context, envelope).await.is_ok()
}

#[tokio::test]
async fn each_flipped_bit_of_an_envelope_is_refused_with_the_data_key_in_the_cache() {
    let (_, sealer) = start();
    let sealed = sealed(&sealer).await;
    for bit in 0..sealed.envelope.len() * 8 {
        let mut flipped = sealed.envelope.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !opens(&sealer, &tenant(), &context(&CONTEXT), &flipped).await,
            "bit {bit}"
        );
        assert!(
            sealer.rewrap(&tenant(), &flipped).await.is_err() || is_payload(&sealed, bit),
            "rewrap, bit {bit}"
        );
    }
    assert!(opens(&sealer, &tenant(), &context(&CONTEXT), &sealed.envelope).await);
}

#[tokio::test]
async fn each_flipped_bit_of_an_envelope_is_refused_without_a_cached_data_key() {
    let (vault, sealer) = start();
    let sealed = sealed(&sealer).await;
    for bit in 0..sealed.envelope.len() * 8 {
        let mut flipped = sealed.envelope.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !opens(&replica(&vault), &tenant(), &context(&CONTEXT), &flipped).await,
            "bit {bit}"
        );
    }
    assert!(opens(&replica(&vault), &tenant(), &context(&CONTEXT), &sealed.envelope).await);
}

/// Rewrapping neither reads nor changes the payload: it cannot tell whether content type, IV, ciphertext or salt were
/// changed. Opening what it makes of them tells.
fn is_payload(sealed: &Sealed, bit: usize) -> bool {
    let head = b"\x81\x83\x43\xa1\x01\x29\xa6\x04\x50";
    let recipients = sealed
        .envelope
        .windows(head.len())
        .rposition(|window| window == head)
        .unwrap();
    let salt = recipients + head.len() + 16 + 3;
    bit / 8 < recipients || (salt..salt + 32).contains(&(bit / 8))
}

#[tokio::test]
async fn each_flipped_bit_of_the_tenants_id_is_refused_cached_or_not() {
    let (vault, sealer) = start();
    let sealed = sealed(&sealer).await;
    for bit in 0..128 {
        let mut other = tenant();
        other.tenant = TenantId(Uuid::from_u128(other.tenant.0.as_u128() ^ (1 << bit)));
        for sealer in [&*sealer, &*replica(&vault)] {
            assert!(
                !opens(sealer, &other, &context(&CONTEXT), &sealed.envelope).await,
                "bit {bit}"
            );
        }
    }
}

#[tokio::test]
async fn each_flipped_bit_of_the_context_is_refused_cached_or_not() {
    let (vault, sealer) = start();
    let sealed = sealed(&sealer).await;
    let mut tried = 0;
    for entry in 0..CONTEXT.len() {
        for part in 0..2 {
            let mut entries = CONTEXT.map(|(key, value)| [key.to_owned(), value.to_owned()]);
            for bit in 0..entries[entry][part].len() * 8 {
                let mut bytes = CONTEXT.map(|(key, value)| [key, value])[entry][part]
                    .as_bytes()
                    .to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(text) = String::from_utf8(bytes) else { continue };
                entries[entry][part] = text;
                let changed: Vec<_> = entries
                    .iter()
                    .map(|[key, value]| (key.as_str(), value.as_str()))
                    .collect();
                for sealer in [&*sealer, &*replica(&vault)] {
                    assert!(
                        !opens(sealer, &tenant(), &context(&changed), &sealed.envelope).await,
                        "{changed:?}"
                    );
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} contexts tried");
}

#[tokio::test]
async fn a_tampered_envelope_does_not_make_the_vault_busy() {
    let (vault, sealer) = start();
    let sealed = sealed(&sealer).await;
    let cold = replica(&vault);
    let mut flipped = sealed.envelope.clone();
    let commitment = flipped.len() - 10;
    flipped[commitment] ^= 1;
    for _ in 0..10 {
        let opened = cold.open(&tenant(), Content::Key, &context(&CONTEXT), &flipped).await;
        assert!(matches!(opened, Err(SealerError::NotAuthentic)));
    }
    assert!(
        opens(&cold, &tenant(), &context(&CONTEXT), &sealed.envelope).await,
        "the true one still opens"
    );
    assert_eq!(vault.unwraps(), 2);
}

#[tokio::test]
async fn a_truncated_envelope_is_malformed_at_every_length() {
    let (_, sealer) = start();
    let sealed = sealed(&sealer).await;
    for len in 0..sealed.envelope.len() {
        let opened = sealer
            .open(&tenant(), Content::Key, &context(&CONTEXT), &sealed.envelope[..len])
            .await;
        assert!(matches!(opened, Err(SealerError::Malformed)), "length {len}");
        let rewrapped = sealer.rewrap(&tenant(), &sealed.envelope[..len]).await;
        assert!(matches!(rewrapped, Err(SealerError::Malformed)), "length {len}");
    }
}

#[tokio::test]
async fn an_envelope_with_more_after_it_is_malformed() {
    let (_, sealer) = start();
    let mut sealed = sealed(&sealer).await;
    sealed.envelope.push(0);
    assert!(matches!(
        open(&sealer, &tenant(), &sealed).await,
        Err(SealerError::Malformed)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_change_to_any_envelope_is_refused(
        plaintext in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (vault, sealer) = start();
            let mut envelope =
                sealer.seal(&tenant(), Content::Key, &context(&CONTEXT), &plaintext).await.unwrap().envelope;
            let at = at.index(envelope.len());
            envelope[at] ^= 1 << bit;
            prop_assert!(!opens(&sealer, &tenant(), &context(&CONTEXT), &envelope).await);
            prop_assert!(!opens(&replica(&vault), &tenant(), &context(&CONTEXT), &envelope).await);
            Ok(())
        })?;
    }
}

//! Sealing and opening in process with a hot data key, beside bare ciphers of the same size.
//!
//! The bars are in `docs/performance.md`: an envelope of 64 bytes opens within 1.5 µs (never above 2.5), and sealing
//! 64 KiB keeps at least 0.40 (never below 0.30) of ring's bare speed.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use std::{hint::black_box, sync::Arc};

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keyferry_crypto::{
    context::EncryptionContext,
    id::{DirectoryId, KeyRef, TenantId},
    sealer::{Content, Sealer, SealerLimits},
    secret::DataKey,
    tenant::{Route, SealingPolicy, TenantKeys, VersionPolicy},
    vault::{KeyVault, Urgency, VaultError, WrappedDataKey},
};

/// A vault that answers at once, so that only our own cost is seen; its "wrapping" is the identity.
struct InstantVault;

#[async_trait]
impl KeyVault for InstantVault {
    async fn wrap(&self, tenant: &TenantKeys, data_key: &DataKey, _: Urgency) -> Result<WrappedDataKey, VaultError> {
        let mut bytes = vec![0x5a; 384];
        bytes[..32].copy_from_slice(data_key.expose());
        let version = "0123456789abcdef0123456789abcdef".parse().expect("a version");
        let kek = keyferry_crypto::id::KekId {
            key: tenant.current.clone(),
            version,
        };
        Ok(WrappedDataKey {
            kek,
            bytes: bytes.into(),
        })
    }

    async fn unwrap(&self, _: &TenantKeys, wrapped: &WrappedDataKey, _: Urgency) -> Result<DataKey, VaultError> {
        Ok(DataKey::from_unwrapped(wrapped.bytes[..32].to_vec()).expect("32 bytes"))
    }

    async fn newest(&self, tenant: &TenantKeys, _: Urgency) -> Result<keyferry_crypto::id::KekId, VaultError> {
        Ok(keyferry_crypto::id::KekId {
            key: tenant.current.clone(),
            version: "0123456789abcdef0123456789abcdef".parse().expect("a version"),
        })
    }

    fn forget(&self, _: &TenantKeys) {}
}

fn tenant() -> TenantKeys {
    TenantKeys {
        tenant: TenantId::generate(),
        directory: DirectoryId(uuid::Uuid::from_u128(1)),
        current: KeyRef {
            vault: "bench.vault.azure.net".parse().expect("a host"),
            name: "kek".parse().expect("a name"),
        },
        version: VersionPolicy::FollowLatest,
        former: Vec::new(),
        policy: SealingPolicy {
            cache_ttl: SealingPolicy::MAX_CACHE_TTL,
            ..SealingPolicy::default()
        },
        route: Route::Public,
    }
}

fn sealing(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let limits = SealerLimits {
        cached_data_keys: 10_000,
        cached_refusals: 1_000,
        leases: 1_000,
        ..SealerLimits::default()
    };
    let sealer = Sealer::new(Arc::new(InstantVault), limits);
    let (tenant, context) = (tenant(), EncryptionContext::default());
    for size in [64, 1024, 64 * 1024] {
        let plaintext = vec![7; size];
        let sealed = runtime
            .block_on(sealer.seal(&tenant, Content::Data, &context, &plaintext))
            .expect("sealed");
        let mut group = criterion.benchmark_group(format!("{size} bytes"));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("seal", |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                black_box(
                    sealer
                        .seal(&tenant, Content::Data, &context, black_box(&plaintext))
                        .await
                        .expect("sealed"),
                )
            });
        });
        group.bench_function("open, hot", |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                black_box(
                    sealer
                        .open(&tenant, Content::Data, &context, black_box(&sealed.envelope))
                        .await
                        .expect("open"),
                )
            });
        });
        group.bench_function("ring's bare seal", |bencher| {
            bencher.iter(|| ring_seal(black_box(&plaintext)));
        });
        group.finish();
    }
}

fn ring_seal(plaintext: &[u8]) -> Vec<u8> {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[9; 32]).expect("a key"));
    let mut out = Vec::with_capacity(plaintext.len() + 16);
    out.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([1; 12]), Aad::empty(), &mut out)
        .expect("sealed");
    out
}

criterion_group!(benches, sealing);
criterion_main!(benches);

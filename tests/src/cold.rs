//! Wrapped keys that no replica has ever held, each with a data key of its own, in any number: sealed as Keyferry seals, by
//! somebody who has the customer's RSA key at hand. So no vault is asked for them, and no limit is spent.

use std::sync::Arc;

use async_trait::async_trait;
use base64_simd::URL_SAFE_NO_PAD;
use keyferry_client::Tenant;
use keyferry_crypto::{
    context::EncryptionContext,
    id::{DirectoryId, KekId, KeyRef, TenantId},
    sealer::{Content, Sealer, SealerLimits},
    secret::DataKey,
    tenant::{Route, SealingPolicy, TenantKeys, VersionPolicy},
    vault::{Evidence, KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use keyferry_emulator::RsaKey;

/// What each of them holds.
pub const COLD_KEY: [u8; 32] = [7; 32];

/// So many keys of a tenant's, wrapped under that version of its key, of which this is the RSA key.
pub async fn cold_keys(tenant: &Tenant, key_id: &str, key: Arc<RsaKey>, count: usize) -> Vec<String> {
    let current = KeyRef {
        vault: tenant.vault.parse().unwrap(),
        name: tenant.key_name.parse().unwrap(),
    };
    let kek = current.kek_named(key_id).unwrap();
    let tenant = TenantKeys {
        tenant: TenantId(tenant.id.parse().unwrap()),
        directory: DirectoryId(tenant.directory_id.parse().unwrap()),
        current,
        version: VersionPolicy::FollowLatest,
        former: Vec::new(),
        policy: SealingPolicy {
            lease_max_messages: 1,
            lease_max_age: SealingPolicy::MAX_LEASE_AGE,
            ..SealingPolicy::default()
        },
        route: Route::Public,
    };
    let sealer = Sealer::new(Arc::new(Owner { key, kek }), SealerLimits::default());
    let (context, mut wrapped) = (EncryptionContext::default(), Vec::with_capacity(count));
    for _ in 0..count {
        let sealed = sealer.seal(&tenant, Content::Key, &context, &COLD_KEY);
        wrapped.push(URL_SAFE_NO_PAD.encode_to_string(sealed.await.unwrap().envelope));
    }
    wrapped
}

/// Who has the RSA key, and needs no vault.
struct Owner {
    key: Arc<RsaKey>,
    kek: KekId,
}

#[async_trait]
impl KeyVault for Owner {
    async fn wrap(&self, _: &TenantKeys, data_key: &DataKey, _: Urgency) -> Result<WrappedDataKey, VaultError> {
        let bytes = self.key.encrypt(ALGORITHM, data_key.expose()).unwrap();
        Ok(WrappedDataKey {
            kek: self.kek.clone(),
            bytes: bytes.into(),
        })
    }

    async fn unwrap(&self, _: &TenantKeys, wrapped: &WrappedDataKey, _: Urgency) -> Result<DataKey, VaultError> {
        let bytes = self.key.decrypt(ALGORITHM, &wrapped.bytes).unwrap();
        let broken = || VaultError::new(VaultCause::WrappedKeyInvalid, None, Evidence::default());
        DataKey::from_unwrapped(bytes).ok_or_else(broken)
    }

    async fn newest(&self, _: &TenantKeys, _: Urgency) -> Result<KekId, VaultError> {
        Ok(self.kek.clone())
    }

    fn forget(&self, _: &TenantKeys) {}
}

const ALGORITHM: &str = "RSA-OAEP-256";

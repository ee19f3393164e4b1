//! A customer's vault in memory, with as many keys as there are tenants.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_crypto::{
    canary::Canary,
    id::{KekId, TenantId},
    secret::DataKey,
    tenant::{TenantKeys, VersionPolicy},
    vault::{KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use keyferry_registry::key::ReplicaId;

use crate::world::TRY;

#[derive(Default)]
pub(crate) struct FakeVault {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    newest: BTreeMap<TenantId, u8>,
    /// What is answered in place of doing it, by tenant and version.
    fails_at: BTreeMap<(TenantId, Option<u8>), VaultCause>,
    hang: BTreeMap<TenantId, Duration>,
    /// Replicas without a way there.
    cut_off: BTreeSet<ReplicaId>,
    plants: Vec<KekId>,
    probes: Vec<(ReplicaId, TenantId)>,
}

impl FakeVault {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Makes a new version of a tenant's key.
    pub(crate) fn rotates(&self, tenant: &TenantKeys) -> KekId {
        let mut state = self.state();
        let newest = state.newest.entry(tenant.tenant).or_insert(1);
        *newest += 1;
        kek(tenant, *newest)
    }

    /// All that is asked for a tenant fails so, or nothing.
    pub(crate) fn fails(&self, tenant: TenantId, cause: impl Into<Option<VaultCause>>) {
        self.fails_at(tenant, None, cause);
    }

    /// The same, at one version.
    pub(crate) fn fails_at(&self, tenant: TenantId, version: Option<u8>, cause: impl Into<Option<VaultCause>>) {
        let fails_at = &mut self.state().fails_at;
        match cause.into() {
            Some(cause) => fails_at.insert((tenant, version), cause),
            None => fails_at.remove(&(tenant, version)),
        };
    }

    /// What is asked for a tenant is not answered within the time that a call may take.
    pub(crate) fn hangs(&self, tenant: TenantId) {
        self.hangs_for(tenant, TRY);
    }

    /// The same, and that it is not is said only after so long.
    pub(crate) fn hangs_for(&self, tenant: TenantId, time: Duration) {
        self.state().hang.insert(tenant, time);
    }

    pub(crate) fn is_cut_off(&self, replica: ReplicaId) {
        self.state().cut_off.insert(replica);
    }

    /// The versions that canaries were planted under.
    pub(crate) fn plants(&self) -> Vec<KekId> {
        self.state().plants.clone()
    }

    /// How often a tenant's canaries were asked for.
    pub(crate) fn probes(&self, tenant: TenantId) -> usize {
        self.state().probes.iter().filter(|(_, of)| *of == tenant).count()
    }

    pub(crate) async fn newest(&self, by: ReplicaId, tenant: &TenantKeys) -> Result<KekId, VaultError> {
        self.admit(by, tenant.tenant, None).await?;
        let version = self.state().newest.get(&tenant.tenant).copied().unwrap_or(1);
        Ok(kek(tenant, version))
    }

    pub(crate) async fn plant(&self, by: ReplicaId, tenant: &TenantKeys) -> Result<Canary, VaultError> {
        let newest = self.newest(by, tenant).await?;
        let kek = match &tenant.version {
            VersionPolicy::FollowLatest => newest,
            VersionPolicy::Pinned(version) => KekId {
                version: version.clone(),
                ..newest
            },
        };
        self.admit(by, tenant.tenant, Some(&kek)).await?;
        self.state().plants.push(kek.clone());
        Ok(Canary {
            kek,
            wrapped: Box::from([0; 4]),
            digest: [0; 32],
        })
    }

    pub(crate) async fn probe(&self, by: ReplicaId, tenant: &TenantKeys, canary: &Canary) -> Result<(), VaultError> {
        self.state().probes.push((by, tenant.tenant));
        self.admit(by, tenant.tenant, Some(&canary.kek)).await
    }

    /// The vault as one replica reaches it.
    pub(crate) fn reached_by(self: &Arc<Self>, replica: ReplicaId) -> Arc<dyn KeyVault> {
        Arc::new(Reached {
            vault: Arc::clone(self),
            replica,
        })
    }

    async fn admit(&self, by: ReplicaId, tenant: TenantId, kek: Option<&KekId>) -> Result<(), VaultError> {
        let (hangs, fails) = {
            let state = self.state();
            let is_cut_off = state.cut_off.contains(&by);
            let hangs = state.hang.get(&tenant).copied().or(is_cut_off.then_some(TRY));
            let all = state.fails_at.get(&(tenant, None));
            let version = kek.and_then(|kek| state.fails_at.get(&(tenant, Some(number(kek)))));
            (hangs, all.or(version).copied())
        };
        if let Some(time) = hangs {
            tokio::time::sleep(time).await;
            return Err(VaultCause::Timeout.into());
        }
        fails.map_or(Ok(()), |cause| Err(cause.into()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }
}

/// A vault with the way to it from one replica.
struct Reached {
    vault: Arc<FakeVault>,
    replica: ReplicaId,
}

#[async_trait]
impl KeyVault for Reached {
    async fn wrap(&self, tenant: &TenantKeys, data_key: &DataKey, _: Urgency) -> Result<WrappedDataKey, VaultError> {
        let kek = self.vault.newest(self.replica, tenant).await?;
        self.vault.admit(self.replica, tenant.tenant, Some(&kek)).await?;
        let mut bytes = vec![PAD; MODULUS];
        for (byte, plain) in bytes.iter_mut().zip(data_key.expose()) {
            *byte ^= plain;
        }
        Ok(WrappedDataKey {
            kek,
            bytes: bytes.into(),
        })
    }

    async fn unwrap(&self, tenant: &TenantKeys, wrapped: &WrappedDataKey, _: Urgency) -> Result<DataKey, VaultError> {
        let kek = Some(&wrapped.kek);
        self.vault.admit(self.replica, tenant.tenant, kek).await?;
        let plain = wrapped.bytes[..32].iter().map(|byte| byte ^ PAD).collect();
        Ok(DataKey::from_unwrapped(plain).expect("32 bytes"))
    }

    async fn newest(&self, tenant: &TenantKeys, _: Urgency) -> Result<KekId, VaultError> {
        self.vault.newest(self.replica, tenant).await
    }

    fn forget(&self, _: &TenantKeys) {}
}

const MODULUS: usize = 256;
const PAD: u8 = 0x5a;

/// A tenant's key at a version.
pub(crate) fn kek(tenant: &TenantKeys, version: u8) -> KekId {
    KekId {
        key: tenant.current.clone(),
        version: format!("{version:032x}").parse().expect("a version"),
    }
}

fn number(kek: &KekId) -> u8 {
    u8::from_str_radix(kek.version.as_str(), 16).expect("a small version")
}

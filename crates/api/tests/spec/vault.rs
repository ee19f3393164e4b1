//! A key vault that hides data keys behind a pad, and fails, panics, hangs and goes on as told.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use async_trait::async_trait;
use keyferry_crypto::{
    id::KekId,
    secret::DataKey,
    tenant::{TenantKeys, VersionPolicy},
    vault::{KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use tokio::sync::watch;

/// The one version of every key.
pub(crate) const VERSION: &str = "00000000000000000000000000000001";

pub(crate) struct FakeVault {
    failure: Mutex<Option<VaultError>>,
    panics: AtomicBool,
    hung: watch::Sender<Hung>,
    begun: watch::Sender<usize>,
}

/// Whose calls do not return.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hung {
    Nobodys,
    Everybodys,
    Vaults(&'static str),
}

impl FakeVault {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            failure: Mutex::default(),
            panics: AtomicBool::new(false),
            hung: watch::channel(Hung::Nobodys).0,
            begun: watch::channel(0).0,
        })
    }

    /// Every call that begins from now on fails so.
    pub(crate) fn fails(&self, error: impl Into<VaultError>) {
        *self.failure.lock().unwrap() = Some(error.into());
    }

    /// No call fails any more.
    pub(crate) fn works(&self) {
        *self.failure.lock().unwrap() = None;
    }

    /// Whether every call panics.
    pub(crate) fn panics(&self, panics: bool) {
        self.panics.store(panics, SeqCst);
    }

    /// Calls do not return until [`Self::goes_on`].
    pub(crate) fn hangs(&self) {
        self.hung.send_replace(Hung::Everybodys);
    }

    /// The same, for calls to the vault of that name only.
    pub(crate) fn hangs_at(&self, vault: &'static str) {
        self.hung.send_replace(Hung::Vaults(vault));
    }

    pub(crate) fn goes_on(&self) {
        self.hung.send_replace(Hung::Nobodys);
    }

    /// The calls so far, those under way included.
    pub(crate) fn calls(&self) -> usize {
        *self.begun.borrow()
    }

    /// Waits until more than `before` calls have begun.
    pub(crate) async fn called_since(&self, before: usize) {
        self.begun.subscribe().wait_for(|&calls| calls > before).await.unwrap();
    }

    async fn admit(&self, tenant: &TenantKeys) -> Result<(), VaultError> {
        self.begun.send_modify(|calls| *calls += 1);
        assert!(!self.panics.load(SeqCst), "as told");
        let failure = self.failure.lock().unwrap().clone();
        let vault = tenant.current.vault.as_str();
        let is_let = |hung: &Hung| match hung {
            Hung::Nobodys => true,
            Hung::Everybodys => false,
            Hung::Vaults(name) => !vault.starts_with(name),
        };
        self.hung.subscribe().wait_for(is_let).await.unwrap();
        failure.map_or(Ok(()), Err)
    }
}

#[async_trait]
impl KeyVault for FakeVault {
    async fn wrap(&self, tenant: &TenantKeys, data_key: &DataKey, _: Urgency) -> Result<WrappedDataKey, VaultError> {
        self.admit(tenant).await?;
        let version = match &tenant.version {
            VersionPolicy::FollowLatest => VERSION.parse().unwrap(),
            VersionPolicy::Pinned(version) => version.clone(),
        };
        let mut bytes = vec![0; MODULUS];
        for (hidden, plain) in bytes.iter_mut().zip(data_key.expose()) {
            *hidden = plain ^ PAD;
        }
        let kek = KekId {
            key: tenant.current.clone(),
            version,
        };
        Ok(WrappedDataKey {
            kek,
            bytes: bytes.into(),
        })
    }

    async fn unwrap(&self, tenant: &TenantKeys, wrapped: &WrappedDataKey, _: Urgency) -> Result<DataKey, VaultError> {
        self.admit(tenant).await?;
        let (hidden, rest) = wrapped.bytes.split_at(32);
        if rest.iter().any(|&byte| byte != 0) {
            return Err(VaultCause::WrappedKeyInvalid.into());
        }
        let plain = hidden.iter().map(|hidden| hidden ^ PAD).collect();
        Ok(DataKey::from_unwrapped(plain).unwrap())
    }

    async fn newest(&self, tenant: &TenantKeys, _: Urgency) -> Result<KekId, VaultError> {
        self.admit(tenant).await?;
        let version = match &tenant.version {
            VersionPolicy::FollowLatest => VERSION.parse().unwrap(),
            VersionPolicy::Pinned(version) => version.clone(),
        };
        Ok(KekId {
            key: tenant.current.clone(),
            version,
        })
    }

    fn forget(&self, _: &TenantKeys) {}
}

const MODULUS: usize = 256;
const PAD: u8 = 0x5a;

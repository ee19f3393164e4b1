//! A key vault in memory, which counts its calls and can be made to fail, refuse and hang; and a tenant to use it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_crypto::{
    context::EncryptionContext,
    id::{DirectoryId, KekId, KeyRef, TenantId},
    sealer::{Content, Opened, Sealed, Sealer, SealerError, SealerLimits},
    secret::DataKey,
    tenant::{Route, SealingPolicy, TenantKeys, VersionPolicy},
    vault::{Call, KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The most calls of one tenant on a replica.
pub(crate) const MOST_CALLS: usize = 512;

/// The vault. It does not look at tenants: whoever may call it can unwrap, so what keeps tenants apart is not its doing.
pub(crate) struct FakeVault {
    state: Mutex<State>,
    hung: watch::Sender<Hung>,
    begun: watch::Sender<Calls>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) wraps: usize,
    pub(crate) unwraps: usize,
}

/// Which calls do not return.
#[derive(Clone, Copy, Default)]
struct Hung {
    wraps: bool,
    /// The first unwrap of what was wrapped.
    proofs: bool,
    /// All further ones.
    unwraps: bool,
}

#[derive(Default)]
struct State {
    wrapped: HashMap<Box<[u8]>, (KekId, [u8; 32])>,
    unwrapped: HashSet<Box<[u8]>>,
    versions: HashSet<KekId>,
    latest: u8,
    wrap_fails: Option<VaultCause>,
    unwrap_fails: Option<VaultCause>,
    newest_fails: Option<VaultCause>,
    is_full: bool,
    lags: bool,
    unheard_of: usize,
    asked: Vec<(Call, Urgency)>,
    version_fails: Option<(String, VaultCause)>,
    wraps_under: Option<KekId>,
    mixes_up: bool,
    forgotten: usize,
}

impl FakeVault {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            hung: watch::channel(Hung::default()).0,
            begun: watch::channel(Calls::default()).0,
        })
    }

    /// The calls so far, those under way included.
    pub(crate) fn calls(&self) -> Calls {
        *self.begun.borrow()
    }

    pub(crate) fn wraps(&self) -> usize {
        self.calls().wraps
    }

    pub(crate) fn unwraps(&self) -> usize {
        self.calls().unwraps
    }

    /// How often it was told to forget what was got for a tenant.
    pub(crate) fn forgotten(&self) -> usize {
        self.state().forgotten
    }

    /// Waits until that many calls have begun.
    pub(crate) async fn begun(&self, wraps: usize, unwraps: usize) {
        let enough = |calls: &Calls| calls.wraps >= wraps && calls.unwraps >= unwraps;
        self.begun.subscribe().wait_for(enough).await.unwrap();
    }

    /// Every call that begins from now on fails so, or none.
    pub(crate) fn fails(&self, cause: impl Into<Option<VaultCause>>) {
        let cause = cause.into();
        self.fails_to_wrap(cause);
        self.fails_to_unwrap(cause);
        self.fails_to_tell(cause);
    }

    pub(crate) fn fails_to_wrap(&self, cause: impl Into<Option<VaultCause>>) {
        self.state().wrap_fails = cause.into();
    }

    pub(crate) fn fails_to_unwrap(&self, cause: impl Into<Option<VaultCause>>) {
        self.state().unwrap_fails = cause.into();
    }

    /// Whoever asks for the newest version is answered so.
    pub(crate) fn fails_to_tell(&self, cause: impl Into<Option<VaultCause>>) {
        self.state().newest_fails = cause.into();
    }

    /// The vault is so near to its limits that calls that can wait are not made.
    pub(crate) fn is_full(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// How urgent the calls were, those that were not made included.
    pub(crate) fn urgencies(&self, call: Call) -> Vec<Urgency> {
        let asked = &self.state().asked;
        let of_this = asked.iter().filter(|(asked, _)| *asked == call);
        of_this.map(|&(_, urgency)| urgency).collect()
    }

    /// Every unwrap under that version fails so.
    pub(crate) fn fails_at_version(&self, kek: &KekId, cause: VaultCause) {
        self.state().version_fails = Some((kek.version.as_str().into(), cause));
    }

    /// Calls do not return until [`Self::goes_on`]. What they will return is settled when they begin.
    pub(crate) fn hangs(&self) {
        self.hung.send_replace(Hung {
            wraps: true,
            proofs: true,
            unwraps: true,
        });
    }

    /// The same, of wraps alone.
    pub(crate) fn hangs_to_wrap(&self) {
        self.hung.send_replace(Hung {
            wraps: true,
            ..Hung::default()
        });
    }

    /// The same, of the first unwrap alone of whatever was wrapped.
    pub(crate) fn hangs_to_prove(&self) {
        self.hung.send_replace(Hung {
            proofs: true,
            ..Hung::default()
        });
    }

    pub(crate) fn goes_on(&self) {
        self.hung.send_replace(Hung::default());
    }

    /// The customer rotates its key.
    pub(crate) fn rotates(&self) {
        self.state().latest += 1;
    }

    /// The machine that wraps has not heard of the last rotation.
    pub(crate) fn lags(&self, lags: bool) {
        self.state().lags = lags;
    }

    /// So many wraps that name a version meet a machine that has not heard of it.
    pub(crate) fn knows_no_version(&self, times: usize) {
        self.state().unheard_of = times;
    }

    /// Wraps are answered as if made under this key.
    pub(crate) fn wraps_under(&self, kek: KekId) {
        self.state().wraps_under = Some(kek);
    }

    /// Whatever is wrapped from now on unwraps to another key.
    pub(crate) fn mixes_keys_up(&self) {
        self.state().mixes_up = true;
    }

    /// The vault unwraps these bytes to that key.
    pub(crate) fn knows(&self, wrapped: &[u8], kek: KekId, data_key: [u8; 32]) {
        let mut state = self.state();
        state.versions.insert(kek.clone());
        state.wrapped.insert(wrapped.into(), (kek, data_key));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn wrap_now(&self, tenant: &TenantKeys, data_key: &DataKey) -> Result<WrappedDataKey, VaultError> {
        let mut state = self.state();
        if let Some(cause) = state.wrap_fails {
            return Err(cause.into());
        }
        if state.unheard_of > 0 && matches!(tenant.version, VersionPolicy::Pinned(_)) {
            state.unheard_of -= 1;
            return Err(VaultCause::KeyNotFound.into());
        }
        let version = match &tenant.version {
            VersionPolicy::FollowLatest => version(state.latest - u8::from(state.lags)),
            VersionPolicy::Pinned(version) => version.as_str().into(),
        };
        let asked = kek(tenant, &version);
        let kek = state.wraps_under.clone().unwrap_or(asked);
        let mut bytes = vec![0; 256];
        bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        let bytes: Box<[u8]> = bytes.into();
        state.versions.insert(kek.clone());
        let kept = if state.mixes_up { [0; 32] } else { *data_key.expose() };
        state.wrapped.insert(bytes.clone(), (kek.clone(), kept));
        Ok(WrappedDataKey { kek, bytes })
    }

    fn unwrap_now(&self, wrapped: &WrappedDataKey) -> Result<DataKey, VaultError> {
        let state = self.state();
        if let Some(cause) = state.unwrap_fails {
            return Err(cause.into());
        }
        if let Some((version, cause)) = &state.version_fails
            && wrapped.kek.version.as_str() == version
        {
            return Err((*cause).into());
        }
        if !state.versions.contains(&wrapped.kek) {
            return Err(VaultCause::KeyNotFound.into());
        }
        let known = state.wrapped.get(&wrapped.bytes).filter(|(kek, _)| *kek == wrapped.kek);
        let (_, data_key) = known.ok_or(VaultCause::WrappedKeyInvalid)?;
        Ok(DataKey::from_unwrapped(data_key.to_vec()).unwrap())
    }

    /// Notes a call. If it should leave the vault to others, it is not made: it waits as long as calls hang, and is refused.
    async fn admit(&self, call: Call, urgency: Urgency) -> Result<(), VaultError> {
        let gives_way = {
            let mut state = self.state();
            state.asked.push((call, urgency));
            state.is_full && matches!(urgency, Urgency::Background | Urgency::Bulk)
        };
        if !gives_way {
            return Ok(());
        }
        self.hung.subscribe().wait_for(|hung| !hung.unwraps).await.unwrap();
        Err(VaultCause::QuotaSpent.into())
    }

    async fn answer<T>(&self, count: impl FnOnce(&mut Calls), hangs: impl Fn(&Hung) -> bool, answer: T) -> T {
        self.begun.send_modify(count);
        self.hung.subscribe().wait_for(|hung| !hangs(hung)).await.unwrap();
        answer
    }
}

#[async_trait]
impl KeyVault for FakeVault {
    async fn wrap(
        &self,
        tenant: &TenantKeys,
        data_key: &DataKey,
        urgency: Urgency,
    ) -> Result<WrappedDataKey, VaultError> {
        self.admit(Call::Wrap, urgency).await?;
        let answer = self.wrap_now(tenant, data_key);
        self.answer(|calls| calls.wraps += 1, |hung| hung.wraps, answer).await
    }

    async fn unwrap(&self, _: &TenantKeys, wrapped: &WrappedDataKey, urgency: Urgency) -> Result<DataKey, VaultError> {
        self.admit(Call::Unwrap, urgency).await?;
        let answer = self.unwrap_now(wrapped);
        let is_first = self.state().unwrapped.insert(wrapped.bytes.clone());
        let count = |calls: &mut Calls| calls.unwraps += 1;
        let hangs = |hung: &Hung| if is_first { hung.proofs } else { hung.unwraps };
        self.answer(count, hangs, answer).await
    }

    async fn newest(&self, tenant: &TenantKeys, _: Urgency) -> Result<KekId, VaultError> {
        let state = self.state();
        if let Some(cause) = state.newest_fails {
            return Err(cause.into());
        }
        let version = match &tenant.version {
            VersionPolicy::FollowLatest => version(state.latest),
            VersionPolicy::Pinned(version) => version.as_str().into(),
        };
        Ok(kek(tenant, &version))
    }

    fn forget(&self, _: &TenantKeys) {
        self.state().forgotten += 1;
    }
}

/// A replica: a sealer on a vault. It believes every refusal at once.
pub(crate) fn replica(vault: &Arc<FakeVault>) -> Arc<Sealer> {
    replica_with(vault, |_| {})
}

/// A replica with other limits.
pub(crate) fn replica_with(vault: &Arc<FakeVault>, change: impl FnOnce(&mut SealerLimits)) -> Arc<Sealer> {
    let mut limits = SealerLimits {
        cached_data_keys: 10_000,
        cached_refusals: 1000,
        leases: 1_000,
        confirmation: Duration::ZERO,
        calls_per_tenant: MOST_CALLS,
        ..SealerLimits::default()
    };
    change(&mut limits);
    Arc::new(Sealer::new(Arc::clone(vault) as Arc<dyn KeyVault>, limits))
}

/// A vault, and a replica on it.
pub(crate) fn start() -> (Arc<FakeVault>, Arc<Sealer>) {
    let vault = FakeVault::new();
    let sealer = replica(&vault);
    (vault, sealer)
}

pub(crate) fn tenant() -> TenantKeys {
    TenantKeys {
        tenant: TenantId(Uuid::from_u128(7)),
        directory: DirectoryId(Uuid::from_u128(8)),
        current: key("acme", "kek"),
        version: VersionPolicy::FollowLatest,
        former: vec![],
        policy: SealingPolicy::default(),
        route: Route::Public,
    }
}

/// The tenant under another policy.
pub(crate) fn tenant_with(change: impl FnOnce(&mut SealingPolicy)) -> TenantKeys {
    let mut tenant = tenant();
    change(&mut tenant.policy);
    tenant
}

pub(crate) fn key(vault: &str, name: &str) -> KeyRef {
    KeyRef {
        vault: format!("{vault}.vault.azure.net").parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

/// The tenant's current key at a version.
pub(crate) fn kek(tenant: &TenantKeys, version: &str) -> KekId {
    let current = &tenant.current;
    current.kek_named(&format!("{current}/{version}")).unwrap()
}

pub(crate) fn version(number: u8) -> String {
    format!("{number:032x}")
}

pub(crate) fn context(entries: &[(&str, &str)]) -> EncryptionContext {
    let map: BTreeMap<_, _> = entries.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    EncryptionContext::new(map).unwrap()
}

pub(crate) async fn seal(sealer: &Sealer, tenant: &TenantKeys) -> Result<Sealed, SealerError> {
    sealer
        .seal(tenant, Content::Data, &EncryptionContext::default(), b"payroll")
        .await
}

pub(crate) async fn open(sealer: &Sealer, tenant: &TenantKeys, sealed: &Sealed) -> Result<Opened, SealerError> {
    let context = EncryptionContext::default();
    sealer.open(tenant, Content::Data, &context, &sealed.envelope).await
}

/// Opens on a task of its own.
pub(crate) fn opening(
    sealer: &Arc<Sealer>,
    tenant: &TenantKeys,
    sealed: &Sealed,
) -> tokio::task::JoinHandle<Result<Opened, SealerError>> {
    let (sealer, tenant, sealed) = (Arc::clone(sealer), tenant.clone(), sealed.clone());
    tokio::spawn(async move { open(&sealer, &tenant, &sealed).await })
}

/// Seals on a task of its own.
pub(crate) fn sealing(
    sealer: &Arc<Sealer>,
    tenant: &TenantKeys,
) -> tokio::task::JoinHandle<Result<Sealed, SealerError>> {
    let (sealer, tenant) = (Arc::clone(sealer), tenant.clone());
    tokio::spawn(async move { seal(&sealer, &tenant).await })
}

/// Lets all that can go on do so, while the clock stands still.
pub(crate) async fn all_wait() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The id of the data key that an envelope was sealed with.
pub(crate) fn kid(sealed: &Sealed) -> [u8; 16] {
    let head = b"\x81\x83\x43\xa1\x01\x29\xa6\x04\x50";
    let at = sealed
        .envelope
        .windows(head.len())
        .rposition(|window| window == head)
        .unwrap()
        + head.len();
    sealed.envelope[at..at + 16].try_into().unwrap()
}

/// An envelope under a version that no key has, as anybody could make it: one for each number.
pub(crate) fn made_up(sealed: &Sealed, number: u32) -> Sealed {
    let version = sealed.kek.version.as_str().as_bytes();
    let windows = &mut sealed.envelope.windows(version.len());
    let at = windows.rposition(|window| window == version).unwrap();
    let mut made_up = sealed.clone();
    made_up.envelope[at..at + version.len()].copy_from_slice(format!("f{number:031x}").as_bytes());
    made_up
}

/// The cause, if the vault is why.
pub(crate) fn cause<T>(result: Result<T, SealerError>) -> Option<VaultCause> {
    match result {
        Err(SealerError::Vault(error)) => Some(error.cause()),
        Ok(_) | Err(_) => None,
    }
}

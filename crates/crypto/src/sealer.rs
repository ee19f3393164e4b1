//! The whole use case: seal, open and rewrap for a tenant. Everything else in this crate serves these three.
//!
//! [`Sealer::seal`] and [`Sealer::open`] are one call each. Whoever seals so much at once that the cipher must not run where
//! others wait takes them in two steps: [`Sealer::key_to_seal`] and [`Sealer::key_to_open`] wait for the vault where they
//! must, and what they give needs nothing but a processor, on any thread.
//!
//! ```
//! # use keyferry_crypto::{context::EncryptionContext, sealer::*, tenant::TenantKeys};
//! # async fn example(sealer: &Sealer, tenant: &TenantKeys, data: Vec<u8>) -> Result<Sealed, Box<dyn std::error::Error>> {
//! let key = sealer.key_to_seal(tenant).await?;
//! let sealed = tokio::task::spawn_blocking(move || key.seal(Content::Data, &EncryptionContext::default(), &data)).await??;
//! # Ok(sealed)
//! # }
//! ```

mod keys;

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::broadcast,
    time::{Instant, MissedTickBehavior},
};

pub use self::keys::{OpeningKey, SealingKey};
use crate::{
    aead::{NotAuthentic, TooLong},
    canary::Canary,
    cbor::NotCanonical,
    commitment::Commitment,
    context::EncryptionContext,
    envelope::{Envelope, Wrapping},
    id::{KekId, TenantId},
    keyring::Keyring,
    news::{News, Refusal},
    random::{self, NoRandomness},
    secret::SecretBytes,
    standstill::{Standstill, wall_clock},
    tenant::TenantKeys,
    vault::{KeyVault, Urgency, VaultError},
};
pub use crate::{envelope::Content, keyring::SealerLimits, stats::SealerStats};

/// Seals and opens for every tenant of a replica. Its methods need a tokio runtime.
pub struct Sealer {
    keyring: Arc<Keyring>,
}

/// A sealed message.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The envelope's bytes: a tagged `COSE_Encrypt`.
    pub envelope: Vec<u8>,
    /// The key encryption key that its data key is wrapped under.
    pub kek: KekId,
}

/// An opened message.
#[derive(Debug)]
pub struct Opened {
    /// What was sealed.
    pub plaintext: SecretBytes,
    /// The key encryption key that its data key was wrapped under.
    pub kek: KekId,
}

/// Why a message was not sealed, opened or rewrapped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealerError {
    /// Not an envelope of ours: wrong structure, algorithm or length, or not in its one canonical form.
    #[error("not a Keyferry envelope, or damaged on its way")]
    Malformed,
    /// An envelope that holds a key was given where data is expected, or the reverse.
    #[error("the envelope holds {}", match found { Content::Key => "a key: unwrap it", Content::Data => "data: decrypt it" })]
    WrongContent {
        /// What the envelope says it holds.
        found: Content,
    },
    /// The envelope names a key that was never registered for this tenant. Nothing was sent anywhere.
    #[error("the envelope names a key encryption key that is not registered for this tenant")]
    ForeignKek,
    /// Authentication failed: another tenant's envelope, another encryption context, or changed bytes. Which one is not told.
    #[error("the envelope does not open for this tenant with this encryption context")]
    NotAuthentic,
    /// The plaintext is longer than [`Sealer::MAX_PLAINTEXT`].
    #[error("the plaintext is longer than {} bytes", Sealer::MAX_PLAINTEXT)]
    TooLarge,
    /// The key vault did not do as asked.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The operating system gave no random bytes. Nothing is sealed without them.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl Sealer {
    /// The longest plaintext in bytes: 64 MiB. (AES-GCM's own limit is 2^36 - 32, NIST SP 800-38D §5.2.1.1.)
    pub const MAX_PLAINTEXT: usize = 64 << 20;

    /// A sealer that reaches tenants' keys through `vault`.
    #[must_use]
    pub fn new(vault: Arc<dyn KeyVault>, limits: SealerLimits) -> Self {
        Self {
            keyring: Arc::new(Keyring::new(vault, limits)),
        }
    }

    /// Seals `plaintext` for `tenant`. Waits for the vault only if the tenant has no usable lease.
    pub async fn seal(
        &self,
        tenant: &TenantKeys,
        content: Content,
        context: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Sealed, SealerError> {
        if plaintext.len() > Self::MAX_PLAINTEXT {
            return Err(SealerError::TooLarge);
        }
        self.key_to_seal(tenant).await?.seal(content, context, plaintext)
    }

    /// Opens an envelope that `tenant` sealed with the same context. Waits for the vault only if its data key is not in
    /// the cache.
    pub async fn open(
        &self,
        tenant: &TenantKeys,
        content: Content,
        context: &EncryptionContext,
        envelope: &[u8],
    ) -> Result<Opened, SealerError> {
        let envelope = keys::parsed(content, envelope)?;
        let key = self.key_of(tenant, &envelope, Urgency::Request).await?;
        key.open_parsed(context, &envelope)
    }

    /// The first step of [`Sealer::seal`]: a data key for one message of `tenant`'s. Waits for the vault only if the tenant
    /// has no usable lease.
    pub async fn key_to_seal(&self, tenant: &TenantKeys) -> Result<SealingKey, SealerError> {
        Ok(SealingKey::new(tenant.tenant, self.keyring.lease(tenant).await?))
    }

    /// The first step of [`Sealer::open`]: the data key of an envelope of `tenant`'s. Waits for the vault only if it is not in
    /// the cache.
    pub async fn key_to_open(
        &self,
        tenant: &TenantKeys,
        content: Content,
        envelope: &[u8],
    ) -> Result<OpeningKey, SealerError> {
        let envelope = keys::parsed(content, envelope)?;
        self.key_of(tenant, &envelope, Urgency::Request).await
    }

    /// The data key that an envelope carries, which must be committed to it.
    async fn key_of(
        &self,
        tenant: &TenantKeys,
        envelope: &Envelope<'_>,
        urgency: Urgency,
    ) -> Result<OpeningKey, SealerError> {
        let kek = registered(tenant, envelope.wrapping.kek)?;
        let unwrapped = self.keyring.unwrapped(tenant, &kek, &envelope.wrapping, urgency);
        let held = unwrapped.await?;
        held.prove(tenant.tenant, &envelope.wrapping)?;
        Ok(OpeningKey::new(tenant.tenant, held, kek))
    }

    /// The key encryption key that an envelope's data key is wrapped under, if it is one of the tenant's. Asks nobody.
    pub fn kek_of(tenant: &TenantKeys, envelope: &[u8]) -> Result<KekId, SealerError> {
        registered(tenant, Envelope::parse(envelope)?.wrapping.kek)
    }

    /// Wraps an envelope's data key under the tenant's current key, at the version that wraps now; the payload is neither read nor
    /// changed, and stays bound to its tenant and context. The data key and its id stay the same.
    ///
    /// The data key is unwrapped, if it is not in the cache, and must be the tenant's. It is wrapped once, however many envelopes
    /// carry it: what it was wrapped to serves for the others, at most as long as the tenant lets a lease last, and no longer
    /// than nothing is evicted or refused there and no newer version is heard of. An envelope that is under that version
    /// already comes back as it is, and if a wrap was done under it in the last ten seconds, none is asked for. So whoever rewraps
    /// the same again, having been interrupted, changes nothing.
    ///
    /// All of it is as urgent as [`Urgency::Bulk`]: who rewraps very many leaves room for what seals and opens meanwhile.
    pub async fn rewrap(&self, tenant: &TenantKeys, envelope: &[u8]) -> Result<Sealed, SealerError> {
        let parsed = Envelope::parse(envelope)?;
        let key = self.key_of(tenant, &parsed, Urgency::Bulk).await?;
        let Wrapping { kid, .. } = parsed.wrapping;
        let rewrapped = self.keyring.rewrapped(tenant, key.held(), key.kek(), &parsed.wrapping);
        let Some(wrapped) = rewrapped.await? else {
            return Ok(Sealed {
                envelope: envelope.to_vec(),
                kek: key.kek().clone(),
            });
        };
        let kek = wrapped.kek.to_string();
        let commitment = Commitment::to(key.data_key(), tenant.tenant, kid, &kek);
        let envelope = parsed.rewrapped(&Wrapping {
            kid,
            kek: &kek,
            wrapped: &wrapped.bytes,
            commitment: commitment.as_bytes(),
        });
        Ok(Sealed {
            envelope,
            kek: wrapped.kek,
        })
    }

    /// Forgets all that is kept of a tenant: cached data keys, refusals and its lease. No request that comes after is
    /// answered with what was known before, not even by a call to the vault that is still under way. The keys' memory
    /// is wiped two to three seconds later, while [`Sealer::maintain`] runs.
    pub fn evict(&self, tenant: TenantId) {
        self.keyring.evict(tenant);
    }

    /// The same for every tenant: for whoever does not know whom a change was about.
    pub fn evict_all(&self) {
        self.keyring.evict_all();
    }

    /// Forgets what another replica learnt that the customer refuses, as if it had been refused here: evicts all that the refusal
    /// means, and answers with it for a moment; one that may be of that replica's address
    /// ([`VaultCause::is_of_an_address`](crate::vault::VaultCause::is_of_an_address)) only evicts, and the next who needs a key asks.
    /// No news is made of it. Tokens that were got for the tenant are forgotten, too.
    pub fn obey(&self, tenant: &TenantKeys, refusal: &Refusal) {
        self.keyring.obey(tenant, refusal, !refusal.cause.is_of_an_address());
    }

    /// The same of what was told a while ago, and could not be heard until now. The customer may have taken it back since: so it only
    /// evicts, and the next who needs a key asks.
    pub fn obey_late(&self, tenant: &TenantKeys, refusal: &Refusal) {
        self.keyring.obey(tenant, refusal, false);
    }

    /// Takes it that all was heard, up to `at`, that others learnt of customers' keys.
    pub fn heard(&self, at: Instant) {
        self.keyring.watch().heard(at);
    }

    /// Takes it that these tenants' keys, and no others, are not known to serve just now: before what is held of them is used, the
    /// vault is asked. Until the time that is given with each, what is held is used meanwhile, and the vault is asked in the
    /// background.
    pub fn mistrust(&self, tenants: HashMap<TenantId, Instant>) {
        self.keyring.watch().mistrust(tenants);
    }

    /// The tenants of whom anything is held: a data key for opening, or a lease.
    #[must_use]
    pub fn holding(&self) -> Vec<TenantId> {
        self.keyring.holding()
    }

    /// The tenants of whom anything is held under a version of a key that is not known to be looked at: whatever else is heard, it is
    /// used on the vault's own word alone.
    #[must_use]
    pub fn holding_unwatched(&self) -> Vec<TenantId> {
        self.keyring.holding_unwatched()
    }

    /// Takes it that a tenant's keys are looked at under these versions, and no others, of those under which anything is held now.
    pub fn watch_versions(&self, tenant: TenantId, versions: &[KekId]) {
        self.keyring.watch_versions(tenant, versions);
    }

    /// What is learnt of customers' keys from now on. Whoever lags behind misses some.
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.keyring.news()
    }

    /// Wraps a new canary under the tenant's current key, and unwraps it once as proof: past all that is remembered, and though as
    /// many calls are under way as there may be. What it teaches is learnt as from any other call.
    pub async fn plant(&self, tenant: &TenantKeys) -> Result<Canary, SealerError> {
        self.keyring.plant(tenant).await
    }

    /// Unwraps a canary that was planted for the tenant: past every cache and all that is remembered, and though as many calls are
    /// under way as there may be. What it teaches is learnt as from any other call: a refusal evicts; and if it unwraps, the
    /// refusals that this disproves are forgotten at once. Fails as [`VaultCause::AnswerInvalid`](crate::vault::VaultCause) if it
    /// unwraps to something else, or not at all though nobody refuses.
    pub async fn probe(&self, tenant: &TenantKeys, canary: &Canary) -> Result<(), VaultError> {
        self.keyring.probe(tenant, canary).await
    }

    /// The version of the tenant's current key that would wrap now: the newest, or the pinned one. It is for whoever watches to
    /// have it followed, once a canary unwraps under it. To read a key is a right that a customer need not give; who is refused it
    /// learns nothing about sealing and opening.
    pub async fn newest(&self, tenant: &TenantKeys) -> Result<KekId, VaultError> {
        self.keyring.newest(tenant).await
    }

    /// Has the tenant sealed for under `newest` from now on, or under a newer one, if it follows its key's versions: a lease under
    /// another version is used no more by whoever comes after, and none that is still being made under one. No request fails for
    /// it; another lease is made at once, in the background, and who comes before it is there waits for it. What was sealed opens
    /// as before. To say the same again does nothing.
    pub fn follow(&self, tenant: &TenantKeys, newest: &KekId) {
        self.keyring.follow(tenant, newest);
    }

    /// A new random key for a caller, `len` bytes long.
    pub fn draw_key(len: usize) -> Result<SecretBytes, SealerError> {
        let mut key = vec![0; len];
        random::fill(&mut key)?;
        Ok(SecretBytes::new(key))
    }

    /// What this sealer has done and what it holds.
    #[must_use]
    pub fn stats(&self) -> SealerStats {
        self.keyring.stats()
    }

    /// Runs until cancelled (dropped). Every second it wipes expired and evicted keys from memory, whether or not anyone asks
    /// for them; and it forgets all, once the wall clock shows that the machine stood still for a while, as then nobody knows
    /// how old anything is.
    pub async fn maintain(&self) {
        self.maintain_by(wall_clock).await;
    }

    /// The same by another wall clock, which a test can turn.
    pub async fn maintain_by(&self, wall_clock: impl Fn() -> SystemTime + Send + Sync) {
        let mut standstill = Standstill::since(wall_clock(), Instant::now());
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if standstill.is_noticed(wall_clock(), Instant::now()) {
                tracing::warn!("the machine stood still for a while: all cached keys are evicted");
                self.keyring.evict_all_after_standstill();
            }
            self.keyring.tidy().await;
        }
    }
}

/// Finds an envelope's untrusted KEK identifier among the tenant's keys.
fn registered(tenant: &TenantKeys, untrusted: &str) -> Result<KekId, SealerError> {
    std::iter::once(&tenant.current)
        .chain(&tenant.former)
        .find_map(|key| key.kek_named(untrusted))
        .ok_or(SealerError::ForeignKek)
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({:?})", self.stats())
    }
}

impl From<NotCanonical> for SealerError {
    fn from(_: NotCanonical) -> Self {
        Self::Malformed
    }
}

impl From<NotAuthentic> for SealerError {
    fn from(_: NotAuthentic) -> Self {
        Self::NotAuthentic
    }
}

impl From<TooLong> for SealerError {
    fn from(_: TooLong) -> Self {
        Self::TooLarge
    }
}

impl From<NoRandomness> for SealerError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

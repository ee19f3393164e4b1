//! Refusals, kept for a moment so that they are not asked for again and again.
//!
//! How long is said once, for each cause, in [`lifetime`]. They are of three kinds, each bounded by itself, so that who makes up
//! versions of a key, or bytes, which anybody who may open can do without end, pushes out no customer's refusal; nor does a
//! customer's refusal push out what spares the vault from them. And where a customer refuses a whole vault, or all, a version that
//! nobody here knows is answered with that, and not asked for.
//!
//! A refusal is remembered under a [`Standing`], like all else: an eviction ends it. So does a canary that unwraps, of whatever
//! that proves (see [`Keyring::probe`](crate::keyring::Keyring::probe)); so a customer who puts things right need not wait for
//! the time to be over.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use tokio::time::Instant;

use crate::{
    cache::Slot,
    id::TenantId,
    standing::{Standing, StandingId},
    vault::{Call, Reach, VaultCause, VaultError},
};

/// The refusals that are remembered.
pub(crate) struct Refusals {
    /// What customers refuse of their keys.
    customers: Cache<StandingId, Arc<Refusal>>,
    /// Under which standing a tenant last refused to unwrap anything in a vault, or anything at all.
    all: Cache<TenantId, Arc<Standing>>,
    /// What is refused at versions that nobody here knows: an envelope may name any.
    unknown_versions: Cache<StandingId, Arc<Refusal>>,
    /// Bytes that do not unwrap.
    bytes: Cache<(StandingId, Slot), Arc<Refusal>>,
}

/// What a refusal at a version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The key has it, or none was named.
    Known,
    /// Perhaps somebody made it up.
    Unknown,
}

struct Refusal {
    error: VaultError,
    until: Instant,
    /// Held, so that the same standing is found as long as the refusal is remembered.
    _standing: Arc<Standing>,
}

impl Refusals {
    /// Keeps at most `max` of each kind.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            customers: Cache::builder().max_capacity(max).time_to_live(LONGEST).build(),
            all: Cache::builder().max_capacity(max).time_to_live(LONGEST).build(),
            unknown_versions: Cache::builder().max_capacity(max).time_to_live(LONGEST).build(),
            bytes: Cache::builder().max_capacity(max).time_to_live(LONGEST).build(),
        }
    }

    /// What the vault refused a moment ago under this standing, for every wrapped key or for the one in `slot`.
    pub(crate) fn recall(&self, standing: &Standing, slot: Option<Slot>, now: Instant) -> Option<VaultError> {
        let id = standing.id();
        let of_all = self.customers.get(&id).or_else(|| self.unknown_versions.get(&id));
        let is_remembered = |refusal: &Arc<Refusal>| now < refusal.until;
        let refusal = of_all
            .filter(is_remembered)
            .or_else(|| self.bytes.get(&(id, slot?)).filter(is_remembered))?;
        Some(refusal.error.clone())
    }

    /// What the tenant refused a moment ago at a known version, if it reaches everything that is in the same vault as this
    /// standing's key.
    pub(crate) fn recall_of_all(&self, standing: &Standing, now: Instant) -> Option<VaultError> {
        let refused = self.all.get(&standing.tenant())?;
        let error = self.recall(&refused, None, now)?;
        let reach = error.cause().reach()?;
        let is_meant = !refused.is_withdrawn() && refused.subject().concerns(standing.subject(), reach);
        is_meant.then_some(error)
    }

    /// Remembers that all under a standing is refused, as long as the cause is worth it.
    pub(crate) fn remember(&self, standing: Arc<Standing>, version: Version, error: VaultError) {
        let kind = match version {
            Version::Known => &self.customers,
            Version::Unknown => &self.unknown_versions,
        };
        let reaches_all = matches!(error.cause().reach(), Some(Reach::Vault | Reach::Directory));
        if version == Version::Known && reaches_all && standing.subject().call == Call::Unwrap {
            self.all.insert(standing.tenant(), Arc::clone(&standing));
        }
        let id = standing.id();
        if let Some(refusal) = Refusal::new(standing, error) {
            kind.insert(id, refusal);
        }
    }

    /// Remembers that the bytes in `slot` do not unwrap.
    pub(crate) fn remember_bytes(&self, standing: Arc<Standing>, slot: Slot, error: VaultError) {
        let id = standing.id();
        if let Some(refusal) = Refusal::new(standing, error) {
            self.bytes.insert((id, slot), refusal);
        }
    }

    /// Forgets what is remembered of all under a standing, if its cause is one of those that have turned out to be over.
    pub(crate) fn end(&self, standing: &Standing, is_over: impl Fn(VaultCause) -> bool) {
        for kind in [&self.customers, &self.unknown_versions] {
            if kind
                .get(&standing.id())
                .is_some_and(|refusal| is_over(refusal.error.cause()))
            {
                kind.invalidate(&standing.id());
            }
        }
    }

    /// Removes what has expired.
    pub(crate) fn remove_expired(&self) {
        self.customers.run_pending_tasks();
        self.all.run_pending_tasks();
        self.unknown_versions.run_pending_tasks();
        self.bytes.run_pending_tasks();
    }
}

impl Refusal {
    fn new(standing: Arc<Standing>, error: VaultError) -> Option<Arc<Self>> {
        let refusal = Self {
            until: Instant::now() + lifetime(error.cause())?,
            error,
            _standing: standing,
        };
        Some(Arc::new(refusal))
    }
}

/// How long a refusal for this cause is remembered; `None` if it is not: unavailable is not refused.
///
/// Long enough to spare the vault, short enough that a customer who has put things right hardly notices, though no canary is
/// there to tell. `docs/azure.md` has the same table, with the reasons for whoever wonders.
fn lifetime(cause: VaultCause) -> Option<Duration> {
    match cause {
        VaultCause::KeyDisabled
        | VaultCause::KeyNotFound
        | VaultCause::KeyNotUsable
        | VaultCause::KeyOperationForbidden => Some(SWITCH),
        VaultCause::RoleMissing | VaultCause::AccessPolicyMissing | VaultCause::AccessDenied => Some(GRANT),
        VaultCause::PrivateEndpointClosed => Some(UNASKED),
        VaultCause::FirewallDenied | VaultCause::PublicAccessDisabled => Some(NETWORK),
        VaultCause::ConsentMissing
        | VaultCause::PrincipalDisabled
        | VaultCause::ConditionalAccess
        | VaultCause::DirectoryNotFound
        | VaultCause::WrongDirectory
        | VaultCause::KeyVaultPrincipalMissing => Some(DIRECTORY),
        VaultCause::WrappedKeyInvalid => Some(BYTES),
        VaultCause::Throttled
        | VaultCause::VaultFailed
        | VaultCause::Timeout
        | VaultCause::ConnectionFailed
        | VaultCause::VaultNotFound
        | VaultCause::CertificateInvalid
        | VaultCause::AnswerInvalid
        | VaultCause::TokenNotVerifiable
        | VaultCause::EntraThrottled
        | VaultCause::EntraUnavailable
        | VaultCause::Busy
        | VaultCause::QuotaSpent
        | VaultCause::AppSecretInvalid
        | VaultCause::AppSecretExpired
        | VaultCause::AppAssertionInvalid
        | VaultCause::AppCredentialUnavailable
        | VaultCause::TokenRejected
        | VaultCause::RequestRejected => None,
    }
}

/// A switch that the customer turns, and that the vault obeys within seconds.
const SWITCH: Duration = Duration::from_secs(5);
/// What the customer grants spreads over the vault's machines in its own time; the first that grants is to be found soon.
const GRANT: Duration = Duration::from_secs(5);
/// Nobody is asked: it costs nothing to find out again.
const UNASKED: Duration = Duration::from_secs(5);
/// Networks change in minutes.
const NETWORK: Duration = Duration::from_secs(10);
/// Directories change in minutes, and Entra throttles who asks for the same in vain.
const DIRECTORY: Duration = Duration::from_secs(10);
/// Bytes never change.
const BYTES: Duration = Duration::from_mins(1);
/// The longest of all.
const LONGEST: Duration = BYTES;

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;
    use uuid::Uuid;

    use super::*;
    use crate::{
        id::KeyRef,
        standing::{Standings, Subject},
    };

    const GUIDE: &str = include_str!("../../../docs/azure.md");

    /// Standings of so many versions of a key.
    fn versions(standings: &Standings, count: u128) -> Vec<Arc<Standing>> {
        let key = KeyRef {
            vault: "acme.vault.azure.net".parse().unwrap(),
            name: "kek".parse().unwrap(),
        };
        let subject = |number| Subject {
            call: Call::Unwrap,
            key: key.clone(),
            version: Some(format!("{number:032x}").parse().unwrap()),
        };
        (0..count)
            .map(|number| standings.of(TenantId(Uuid::nil()), subject(number)))
            .collect()
    }

    fn slot(number: u128) -> Slot {
        let mut slot = [0; 32];
        slot[..16].copy_from_slice(&number.to_be_bytes());
        Slot::from(slot)
    }

    #[tokio::test]
    async fn what_anybody_can_make_up_pushes_out_no_customers_refusal_nor_the_reverse() {
        let (refusals, standings) = (Refusals::new(10), Standings::new());
        let all = versions(&standings, 1000);
        let [customers, made_up, bytes] = [&all[0], &all[1], &all[2]];
        let fill = |version, cause: VaultCause| {
            for standing in &all[10..] {
                refusals.remember(Arc::clone(standing), version, cause.into());
            }
            refusals.remove_expired();
        };
        let fill_bytes = || {
            for number in 10..1000 {
                let error = VaultCause::WrappedKeyInvalid.into();
                refusals.remember_bytes(Arc::clone(bytes), slot(number), error);
            }
            refusals.remove_expired();
        };
        let now = Instant::now();
        refusals.remember(Arc::clone(customers), Version::Known, VaultCause::RoleMissing.into());
        fill(Version::Unknown, VaultCause::RoleMissing);
        fill_bytes();
        assert!(refusals.recall(customers, None, now).is_some());
        let refusals = Refusals::new(10);
        refusals.remember(Arc::clone(made_up), Version::Unknown, VaultCause::KeyNotFound.into());
        refusals.remember_bytes(Arc::clone(bytes), slot(1), VaultCause::WrappedKeyInvalid.into());
        for standing in &all[10..] {
            refusals.remember(Arc::clone(standing), Version::Known, VaultCause::RoleMissing.into());
        }
        refusals.remove_expired();
        assert!(refusals.recall(made_up, None, now).is_some());
        assert!(refusals.recall(bytes, Some(slot(1)), now).is_some());
        assert!(refusals.customers.entry_count() <= 10);
    }

    #[tokio::test]
    async fn bytes_that_do_not_unwrap_say_nothing_of_others() {
        let (refusals, standings) = (Refusals::new(10), Standings::new());
        let [standing] = versions(&standings, 1).try_into().ok().unwrap();
        refusals.remember_bytes(Arc::clone(&standing), slot(1), VaultCause::WrappedKeyInvalid.into());
        let recalled =
            [Some(slot(1)), Some(slot(2)), None].map(|slot| refusals.recall(&standing, slot, Instant::now()).is_some());
        assert_eq!(recalled, [true, false, false]);
    }

    #[tokio::test]
    async fn only_what_is_over_is_ended() {
        let (refusals, standings) = (Refusals::new(10), Standings::new());
        let [standing] = versions(&standings, 1).try_into().ok().unwrap();
        refusals.remember(Arc::clone(&standing), Version::Known, VaultCause::KeyDisabled.into());
        refusals.end(&standing, |cause| cause == VaultCause::RoleMissing);
        assert!(refusals.recall(&standing, None, Instant::now()).is_some());
        refusals.end(&standing, |cause| cause == VaultCause::KeyDisabled);
        assert!(refusals.recall(&standing, None, Instant::now()).is_none());
    }

    #[test]
    fn refusals_and_what_no_vault_could_unwrap_are_remembered_and_nothing_else() {
        for &cause in VaultCause::VARIANTS {
            let is_remembered = cause.is_refusal() || cause == VaultCause::WrappedKeyInvalid;
            assert_eq!(lifetime(cause).is_some(), is_remembered, "{cause:?}");
            assert!(lifetime(cause).is_none_or(|lifetime| lifetime <= LONGEST), "{cause:?}");
        }
    }

    #[test]
    fn the_guide_tells_how_long_each_refusal_is_remembered() {
        let (_, section) = GUIDE.split_once("## How long a refusal is remembered").unwrap();
        let section = section.split("\n## ").next().unwrap();
        for &cause in VaultCause::VARIANTS {
            let named = format!("`{cause:?}`");
            let row = section
                .lines()
                .find(|line| line.starts_with('|') && line.contains(&named));
            let told = row.map(|row| row.split('|').nth(2).unwrap().trim().to_owned());
            let expected = lifetime(cause).map(|lifetime| format!("{} s", lifetime.as_secs()));
            assert_eq!(told, expected, "{cause:?}");
        }
    }
}

//! What is wrong with the tenants' vaults just now, kept so that a change is told once, and not with every call.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use tokio::time::Instant;

use crate::{
    id::{TenantId, VaultHost},
    standing::{Standing, Subject},
    vault::{Call, Reach, VaultCause},
};

/// The troubles with tenants' vaults, as calls to them find them.
pub(crate) struct Troubles(Cache<(TenantId, Place), Arc<Mutex<Trouble>>>);

/// Where there is trouble. An envelope may name any version of a key; so only what a vault says of a version that it has is
/// kept by version, else a caller could have the same told again and again.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    Key(Subject),
    Vault(VaultHost, Call),
}

/// The trouble at one place.
#[derive(Default)]
struct Trouble {
    /// Why the last call failed, and whether that was told; `None` if it did not fail.
    last: Option<(VaultCause, bool)>,
    /// Each cause that was told of, and when.
    told: Vec<(VaultCause, Instant)>,
}

impl Troubles {
    /// Keeps at most `max` of them.
    pub(crate) fn new(max: u64) -> Self {
        Self(Cache::builder().max_capacity(max).time_to_live(REMINDER).build())
    }

    /// Notes that a call under this standing failed. Whether that is to be told: it is another cause than before, or was
    /// told long ago. Where calls fail and succeed by turns, a cause is told once in a [`PAUSE`].
    pub(crate) fn are_news(&self, standing: &Standing, cause: VaultCause, now: Instant) -> bool {
        let place = match cause.reach() {
            Some(Reach::Key) if !standing.has_served() => any_version(standing),
            Some(Reach::Version | Reach::Key) => key(standing),
            _ => vault(standing),
        };
        let trouble = self.0.get_with(place, Arc::default);
        let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = trouble.last.is_some_and(|(last, _)| last == cause);
        let lately = |&(told, at): &(VaultCause, Instant)| told == cause && now.saturating_duration_since(at) < PAUSE;
        let is_news = !goes_on && !trouble.told.iter().any(lately);
        if is_news {
            trouble.told.retain(|&(told, _)| told != cause);
            trouble.told.push((cause, now));
        }
        let told = is_news || trouble.last.is_some_and(|(_, told)| goes_on && told);
        trouble.last = Some((cause, told));
        is_news
    }

    /// Notes that a call under this standing did what it should. The cause of the trouble that is over, if it was told.
    pub(crate) fn are_over(&self, standing: &Standing) -> Option<VaultCause> {
        let [vault, key] = [vault(standing), key(standing)].map(|place| self.is_over(&place));
        vault.or(key)
    }

    fn is_over(&self, place: &(TenantId, Place)) -> Option<VaultCause> {
        let trouble = self.0.get(place)?;
        let last = trouble.lock().unwrap_or_else(PoisonError::into_inner).last.take();
        last.and_then(|(cause, told)| told.then_some(cause))
    }
}

fn key(standing: &Standing) -> (TenantId, Place) {
    (standing.tenant(), Place::Key(standing.subject().clone()))
}

fn any_version(standing: &Standing) -> (TenantId, Place) {
    let subject = Subject {
        version: None,
        ..standing.subject().clone()
    };
    (standing.tenant(), Place::Key(subject))
}

fn vault(standing: &Standing) -> (TenantId, Place) {
    let Subject { call, key, .. } = standing.subject();
    (standing.tenant(), Place::Vault(key.vault.clone(), *call))
}

/// How long a cause that comes and goes is not told again.
const PAUSE: Duration = Duration::from_mins(1);
/// How long a cause that stays is not told again.
const REMINDER: Duration = Duration::from_hours(1);

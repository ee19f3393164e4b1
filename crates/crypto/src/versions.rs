//! Which versions tenants' keys have, as far as it matters here: which wraps now, which wrapped before, and which are known to be
//! no caller's invention.
//!
//! Versions have no order that one could read off them. Which is the newest is told by whoever looks
//! ([`Sealer::follow`](crate::sealer::Sealer::follow)), and what was seen here until then is former from then on. That a wrap
//! was done under another version makes neither of them former: which of two answers is the later one, nobody knows.
//!
//! What is told may be outdated when it is heard: the key was rotated after it was found, and a wrap came back here under the
//! newer version already. So what decides is the order in which versions were first seen here:
//! - A version that was never seen here is newer than all that were. (If it is not, the wrap that saw a newer one has been a hint
//!   to look, and that one is told next.)
//! - One that was seen here before another is not newer than this other while a wrap has come back under that within
//!   [`TOLD_WITHIN`], in which what was found is heard. Being told of it makes nothing former, nor is it former itself: it is the
//!   vault that says, by what it wraps under, until the next is told.
//! - Later than that, what is told is newer than what was seen.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::time::Instant;

use crate::{
    id::{KekId, KeyRef, KeyVersion, TenantId},
    lease,
    standing::{Standing, Subject},
    tenant::{TenantKeys, VersionPolicy},
    vault::Call,
};

/// The versions of tenants' keys.
pub(crate) struct Versions {
    seen: Cache<(TenantId, KeyRef), Arc<Mutex<Seen>>>,
    known: Cache<(TenantId, KekId), ()>,
}

/// What is known of the versions of a key that a tenant follows.
#[derive(Default)]
struct Seen {
    /// The newest that was told of, unless what was told last contradicts what was seen.
    newest: Option<KeyVersion>,
    /// The versions in the order in which they were first seen here, by being told of or by a wrap.
    sights: Vec<Sight>,
    /// The one that a wrap was done under last, and when.
    wrapped: Option<(KeyVersion, Instant)>,
}

/// A version that was seen.
struct Sight {
    version: KeyVersion,
    /// Whether another one is known to be newer.
    is_former: bool,
    /// When a wrap that named none was last done under it.
    wrapped: Option<Instant>,
}

impl Seen {
    /// Sees a version, now or again.
    fn see(&mut self, version: &KeyVersion) -> &mut Sight {
        let position = self.sights.iter().position(|sight| sight.version == *version);
        let position = position.unwrap_or_else(|| {
            if self.sights.len() == MOST_SEEN {
                self.sights.remove(0);
            }
            self.sights.push(Sight {
                version: version.clone(),
                is_former: false,
                wrapped: None,
            });
            self.sights.len() - 1
        });
        &mut self.sights[position]
    }

    fn is_former(&self, version: &KeyVersion) -> bool {
        let mut former = self.sights.iter().filter(|sight| sight.is_former);
        former.any(|sight| sight.version == *version)
    }

    /// Whether a version that is told of was seen here before another one, under which a wrap was done so lately that what is told
    /// may have been found before.
    fn is_outdated(&self, told: &KeyVersion, now: Instant) -> bool {
        let mut others = self.sights.iter().skip_while(|sight| sight.version != *told).skip(1);
        others.any(|sight| {
            let wrapped = sight.wrapped;
            wrapped.is_some_and(|at| now.saturating_duration_since(at) < TOLD_WITHIN)
        })
    }
}

impl Versions {
    /// Keeps those of at most `max_tenants` tenants, and at most `max_known` that are known.
    pub(crate) fn new(max_tenants: u64, max_known: u64) -> Self {
        Self {
            seen: Cache::builder()
                .max_capacity(max_tenants)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            known: Cache::builder()
                .max_capacity(max_known)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(KNOWN_FOR)
                .build(),
        }
    }

    /// Notes that the key has the version of a standing.
    pub(crate) fn note_known(&self, standing: &Standing) {
        if let Some(known) = known(standing)
            && !self.known.contains_key(&known)
        {
            self.known.insert(known, ());
        }
    }

    /// Whether it is known that the key has the version of a standing. Where none is named, none is made up.
    pub(crate) fn is_known(&self, standing: &Standing) -> bool {
        let is_named_by_an_envelope = standing.subject().call == Call::Unwrap;
        !is_named_by_an_envelope || known(standing).is_none_or(|known| self.known.contains_key(&known))
    }

    /// Notes which version is the newest of a key that the tenant follows, what was seen until now being former. If that is news,
    /// and not outdated, does what must be done at the same time, and says so.
    pub(crate) fn follow<T>(
        &self,
        tenant: &TenantKeys,
        newest: &KeyVersion,
        sealing: Option<&KeyVersion>,
        then: impl FnOnce() -> T,
    ) -> Option<T> {
        let seen = self.seen_of(tenant);
        let mut seen = lock(&seen);
        if seen.newest.as_ref() == Some(newest) {
            return None;
        }
        if seen.is_outdated(newest, Instant::now()) {
            seen.see(newest).is_former = false;
            seen.newest = None;
            return None;
        }
        for version in sealing.into_iter().chain([newest]) {
            seen.see(version);
        }
        for sight in &mut seen.sights {
            sight.is_former = sight.version != *newest;
        }
        seen.newest = Some(newest.clone());
        seen.wrapped = None;
        Some(then())
    }

    /// Notes under which version a wrap was done that named none. The newest one if that was a former one; what was asked for
    /// before a newer one was told of, and is for those who asked then, is let be.
    pub(crate) fn note_wrapped(
        &self,
        tenant: &TenantKeys,
        standing: &Standing,
        version: &KeyVersion,
    ) -> Option<KeyVersion> {
        if tenant.version != VersionPolicy::FollowLatest {
            return None;
        }
        let seen = self.seen_of(tenant);
        let mut seen = lock(&seen);
        if standing.is_withdrawn() {
            return None;
        }
        if seen.is_former(version)
            && let Some(newest) = &seen.newest
        {
            return Some(newest.clone());
        }
        let now = Instant::now();
        seen.see(version).wrapped = Some(now);
        seen.wrapped = Some((version.clone(), now));
        None
    }

    /// The version that would wrap now, if one is known: the pinned one; else that of a wrap that is not older than the tenant
    /// lets a lease grow; else the newest that was told of.
    pub(crate) fn current(&self, tenant: &TenantKeys, now: Instant) -> Option<KeyVersion> {
        if let VersionPolicy::Pinned(version) = &tenant.version {
            return Some(version.clone());
        }
        let seen = self.seen.get(&(tenant.tenant, tenant.current.clone()))?;
        let seen = lock(&seen);
        let max_age = lease::max_age(&tenant.policy);
        let wrapped = seen.wrapped.as_ref();
        let lately = wrapped.filter(|(_, at)| now.saturating_duration_since(*at) < max_age);
        lately.map(|(version, _)| version).or(seen.newest.as_ref()).cloned()
    }

    /// The version that a wrap would be done under if it were asked for now: the pinned one, or that of a wrap a few seconds ago.
    pub(crate) fn wraps_now(&self, tenant: &TenantKeys, now: Instant) -> Option<KeyVersion> {
        if let VersionPolicy::Pinned(version) = &tenant.version {
            return Some(version.clone());
        }
        let seen = self.seen.get(&(tenant.tenant, tenant.current.clone()))?;
        let seen = lock(&seen);
        let (version, at) = seen.wrapped.as_ref()?;
        (now.saturating_duration_since(*at) < JUST_NOW).then(|| version.clone())
    }

    fn seen_of(&self, tenant: &TenantKeys) -> Arc<Mutex<Seen>> {
        self.seen
            .get_with((tenant.tenant, tenant.current.clone()), Arc::default)
    }
}

fn known(standing: &Standing) -> Option<(TenantId, KekId)> {
    let Subject { key, version, .. } = standing.subject();
    let kek = KekId {
        key: key.clone(),
        version: version.clone()?,
    };
    Some((standing.tenant(), kek))
}

/// Nothing here is ever left half-changed, so a panic elsewhere does not spoil it.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many versions of a key are told apart, the newest included: a machine of the vault's that lags behind has one of the last.
const MOST_SEEN: usize = 9;
/// How long after a version was found to be the newest it may be that this is heard here.
const TOLD_WITHIN: Duration = Duration::from_mins(1);
/// How long one wrap tells how the next would be done. A customer that rotates its key and rewraps at once waits no longer.
const JUST_NOW: Duration = Duration::from_secs(10);
/// How long a version is known for having been used once.
const KNOWN_FOR: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        id::DirectoryId,
        standing::Standings,
        tenant::{Route, SealingPolicy},
    };

    fn tenant(policy: VersionPolicy) -> TenantKeys {
        TenantKeys {
            tenant: TenantId(Uuid::nil()),
            directory: DirectoryId(Uuid::nil()),
            current: KeyRef {
                vault: "acme.vault.azure.net".parse().unwrap(),
                name: "kek".parse().unwrap(),
            },
            version: policy,
            former: vec![],
            policy: SealingPolicy::default(),
            route: Route::Public,
        }
    }

    fn version(number: u8) -> KeyVersion {
        format!("{number:032x}").parse().unwrap()
    }

    struct World {
        versions: Versions,
        standings: Standings,
        tenant: TenantKeys,
    }

    impl World {
        fn new() -> Self {
            Self {
                versions: Versions::new(10, 10),
                standings: Standings::new(),
                tenant: tenant(VersionPolicy::FollowLatest),
            }
        }

        fn wrapping(&self) -> Arc<Standing> {
            self.standings.of(self.tenant.tenant, Subject::wrap(&self.tenant))
        }

        /// Whether that is news.
        fn follow(&self, newest: u8, sealing: Option<u8>) -> bool {
            let sealing = sealing.map(version);
            let news = self
                .versions
                .follow(&self.tenant, &version(newest), sealing.as_ref(), || {});
            news.is_some()
        }

        /// Under which version to wrap again.
        fn wrapped(&self, number: u8) -> Option<KeyVersion> {
            self.versions
                .note_wrapped(&self.tenant, &self.wrapping(), &version(number))
        }

        fn current(&self) -> Option<KeyVersion> {
            self.versions.current(&self.tenant, Instant::now())
        }
    }

    #[tokio::test]
    async fn the_newest_is_news_once() {
        let world = World::new();
        let news = [1, 1, 2, 2, 1].map(|number| world.follow(number, None));
        assert_eq!(news, [true, false, true, false, true]);
    }

    #[tokio::test]
    async fn what_was_sealed_under_before_is_former_and_what_nobody_told_of_is_newer() {
        let world = World::new();
        world.follow(2, Some(1));
        let again = [1, 2, 3].map(|number| world.wrapped(number));
        assert_eq!(again, [Some(version(2)), None, None]);
        world.follow(4, None);
        let again = [1, 2, 3].map(|number| world.wrapped(number));
        assert_eq!(again, [4; 3].map(|number| Some(version(number))));
    }

    #[tokio::test]
    async fn a_former_version_that_is_the_newest_again_is_not_former() {
        let world = World::new();
        for newest in [1, 2, 1] {
            world.follow(newest, None);
        }
        let again = [1, 2].map(|number| world.wrapped(number));
        assert_eq!(again, [None, Some(version(1))]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_wrapped_lately_is_not_former_for_being_told_of_what_was_seen_before_it() {
        let world = World::new();
        world.wrapped(1);
        world.wrapped(2);
        assert!(!world.follow(1, Some(1)), "it was found before the second was there");
        let again = [2, 1, 2].map(|number| world.wrapped(number));
        assert_eq!(again, [None, None, None], "nor is the first former");
        assert_eq!(world.current(), Some(version(2)));
        assert!(world.follow(2, Some(2)));
        assert_eq!(world.wrapped(1), Some(version(2)));
        tokio::time::advance(TOLD_WITHIN).await;
        assert!(world.follow(1, Some(2)), "so late it is news");
        assert_eq!(world.wrapped(2), Some(version(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_against_what_was_seen_leaves_no_former_version_to_fail_by() {
        let world = World::new();
        world.follow(1, None);
        world.follow(2, None);
        world.wrapped(2);
        assert_eq!(world.wrapped(1), Some(version(2)));
        assert!(!world.follow(1, None));
        assert_eq!(world.wrapped(1), None, "the key may be restored from a backup");
        assert!(world.follow(2, None), "told again, it is news again");
        assert_eq!(world.wrapped(1), Some(version(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrap_by_a_machine_that_lags_behind_keeps_nobody_from_following() {
        let world = World::new();
        for number in [1, 2, 1] {
            world.wrapped(number);
        }
        assert!(world.follow(2, Some(1)));
        let again = [1, 2].map(|number| world.wrapped(number));
        assert_eq!(again, [Some(version(2)), None]);
    }

    #[tokio::test]
    async fn as_many_versions_are_told_apart_as_a_machine_may_lag_behind() {
        let world = World::new();
        for newest in 1..=10 {
            world.follow(newest, None);
        }
        let again = [2, 9, 1].map(|number| world.wrapped(number));
        assert_eq!(again, [Some(version(10)), Some(version(10)), None]);
    }

    #[tokio::test]
    async fn of_two_wraps_neither_makes_the_other_former() {
        let world = World::new();
        let again = [1, 2, 1, 2].map(|number| world.wrapped(number));
        assert_eq!(again, [None, None, None, None]);
    }

    #[tokio::test]
    async fn a_wrap_that_was_asked_for_before_says_nothing_after() {
        let world = World::new();
        let before = world.wrapping();
        let anew = || world.standings.renew(world.tenant.tenant, Subject::wrap(&world.tenant));
        world.versions.follow(&world.tenant, &version(2), None, anew);
        let again = world.versions.note_wrapped(&world.tenant, &before, &version(1));
        assert_eq!((again, world.current()), (None, Some(version(2))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrap_tells_what_is_current_for_a_leases_age_and_how_the_next_is_done_for_a_moment() {
        let world = World::new();
        let wraps_now = || world.versions.wraps_now(&world.tenant, Instant::now());
        assert_eq!((world.current(), wraps_now()), (None, None));
        world.follow(1, None);
        assert_eq!((world.current(), wraps_now()), (Some(version(1)), None));
        world.wrapped(2);
        assert_eq!((world.current(), wraps_now()), (Some(version(2)), Some(version(2))));
        tokio::time::advance(JUST_NOW).await;
        assert_eq!((world.current(), wraps_now()), (Some(version(2)), None));
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(world.current(), Some(version(1)));
    }

    #[tokio::test]
    async fn a_pinned_version_is_current_whatever_others_are() {
        let world = World::new();
        let pinned = tenant(VersionPolicy::Pinned(version(7)));
        world.follow(2, Some(7));
        let now = Instant::now();
        assert_eq!(world.versions.current(&pinned, now), Some(version(7)));
        assert_eq!(world.versions.wraps_now(&pinned, now), Some(version(7)));
        let again = world.versions.note_wrapped(&pinned, &world.wrapping(), &version(7));
        assert_eq!(again, None);
    }

    #[tokio::test]
    async fn a_version_is_known_once_it_was_used() {
        let world = World::new();
        let of_version = |number| {
            let kek = KekId {
                key: world.tenant.current.clone(),
                version: version(number),
            };
            world.standings.of(world.tenant.tenant, Subject::unwrap(&kek))
        };
        world.versions.note_known(&of_version(1));
        let known = [of_version(1), of_version(2), world.wrapping()].map(|standing| world.versions.is_known(&standing));
        assert_eq!(known, [true, false, true]);
    }
}

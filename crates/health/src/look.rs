//! One look at a key: what the vault's answers make of what was known. Pure, so that every case can be tried.
//!
//! The canary under the version that seals decides how the key is. What other versions answer concerns only what was sealed
//! under them: a refusal is told and obeyed for that version, and the key's state stays.

mod state;

use std::{collections::HashMap, time::Duration};

use keyferry_crypto::{
    canary::Canary,
    id::KekId,
    news::Refusal,
    sealer::SealerError,
    tenant::{TenantKeys, VersionPolicy},
    vault::{Call, VaultCause, VaultError},
};
use keyferry_registry::key::{Claimed, KeyHealth, KeyNews, KeyState, Looked, Newest};
use time::OffsetDateTime;

pub(crate) use self::state::Outcome;
use crate::jitter;

/// What the vault answered.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Which version is the newest; absent if that was not asked.
    pub(crate) newest: Option<Result<KekId, VaultError>>,
    /// Whether each canary unwrapped, those of the tenant's keys in their order.
    pub(crate) probed: Vec<(Canary, Result<(), VaultError>)>,
    /// The canary that was planted; absent if none was wanted.
    pub(crate) planted: Option<Result<Canary, SealerError>>,
}

/// What a look is judged by.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Between looks at a key that is held, or that is in trouble.
    pub(crate) period: Duration,
    /// Between looks at others.
    pub(crate) idle_period: Duration,
    /// How old the newest version may be known to be.
    pub(crate) version_period: Duration,
    /// How many other replicas live.
    pub(crate) others: u32,
    /// When the answers came.
    pub(crate) now: OffsetDateTime,
}

/// The refusals that are told already, by version: those that this replica's last look at the key met.
pub(crate) type Refused = HashMap<KekId, VaultCause>;

/// What a look comes to.
#[derive(Debug)]
pub(crate) struct Judged {
    /// What is saved, with what happened to the key's state and version.
    pub(crate) looked: Looked,
    /// The withdrawals that are to be told.
    pub(crate) withdrawn: Vec<Refusal>,
    /// The refusals that are told by then.
    pub(crate) refused: Refused,
    /// What decided.
    pub(crate) outcome: Outcome,
}

/// The canaries that are still worth unwrapping: those of the tenant's keys, newest first.
pub(crate) fn watched(tenant: &TenantKeys, health: &KeyHealth) -> Vec<Canary> {
    let is_the_tenants = |canary: &&Canary| canary.kek.key == tenant.current || tenant.former.contains(&canary.kek.key);
    health.canaries.iter().filter(is_the_tenants).cloned().collect()
}

/// The versions under which the key is looked at, and goes on to be until it is rotated. Nothing as long as the one that seals has no
/// canary: it is planted yet, and may take the place of another.
pub(crate) fn watched_versions(tenant: &TenantKeys, health: &KeyHealth) -> Option<Vec<KekId>> {
    let sealing = target(tenant, health, &Found::default())?;
    let versions: Vec<_> = watched(tenant, health).into_iter().map(|canary| canary.kek).collect();
    versions.contains(&sealing).then_some(versions)
}

/// Whether it is to be asked which version is the newest: by the next look it would be known for too long.
pub(crate) fn looks_up(tenant: &TenantKeys, health: &KeyHealth, terms: &Terms) -> bool {
    match (&tenant.version, known_newest(tenant, health)) {
        (VersionPolicy::Pinned(_), _) => false,
        (VersionPolicy::FollowLatest, None) => true,
        (VersionPolicy::FollowLatest, Some(newest)) => {
            terms.now + terms.period >= newest.seen_at + terms.version_period
        }
    }
}

/// Whether a canary is to be planted: the version that seals has none, or one that unwraps to something else.
pub(crate) fn wants_planting(tenant: &TenantKeys, health: &KeyHealth, found: &Found) -> bool {
    let Some(target) = target(tenant, health, found) else {
        // Not if the vault gives no answer: wrapping would wait in vain as well. A refusal may be of looking up only.
        return !matches!(&found.newest, Some(Err(error)) if !error.cause().is_refusal());
    };
    match answer_of(found, &target) {
        None => true,
        Some(Ok(())) => false,
        Some(Err(error)) => matches!(error.cause(), VaultCause::AnswerInvalid | VaultCause::WrappedKeyInvalid),
    }
}

/// What a look comes to that found this.
pub(crate) fn judged(tenant: &TenantKeys, claimed: Claimed, found: Found, told: &Refused, terms: &Terms) -> Judged {
    let Claimed { health, is_held } = claimed;
    let sealing = sealing_version(tenant, &health, &found);
    let outcome = outcome(&found, sealing.as_ref());
    let state = state::next(&health.state, &outcome);
    let mut news = Vec::new();
    let is_changed = state::is_news(&health.state, &state);
    if is_changed {
        news.push(KeyNews::State(state.clone()));
    }
    let newest = newest(tenant, &health, sealing.as_ref(), &found, &outcome, terms);
    if let Some(version) = new_version(tenant, &health, sealing.as_ref(), &outcome) {
        news.push(KeyNews::Version(version));
    }
    let (withdrawn, refused) = refusals(&health, &found, sealing.as_ref(), told);
    let failures = match &outcome {
        Outcome::Serves | Outcome::Refuses(_) => 0,
        Outcome::InVain(_) | Outcome::Failed(_) => health.failures.saturating_add(1),
        Outcome::NotAsked => health.failures,
    };
    let served = found.probed.iter().any(|(_, answer)| answer.is_ok()) || matches!(found.planted, Some(Ok(_)));
    // Of what was not asked nothing is known: a look that leaves a version out is none, whatever the others say.
    let is_asked = !matches!(outcome, Outcome::NotAsked) && !found.probed.iter().any(was_not_asked);
    let is_first = health.checked_at.is_none();
    let was_refused = matches!(health.state, KeyState::Refused(_));
    // Of a refusal that another replica may not meet, one other tries at once; what two of them met is waited with.
    let is_tried_at_once = match &outcome {
        Outcome::Refuses(_) => !was_refused,
        _ => failures <= terms.others,
    };
    let after = KeyHealth {
        since: if is_changed { terms.now } else { health.since },
        checked_at: if is_asked { Some(terms.now) } else { health.checked_at },
        served_at: if served { Some(terms.now) } else { health.served_at },
        newest,
        canaries: canaries(found),
        failures,
        state,
        ..health
    };
    let keeps = !(terms.others > 0 && outcome.may_be_this_replicas());
    let due_in = match &outcome {
        // Each of the others tries at once, and then they take turns.
        _ if !keeps && is_tried_at_once => Duration::ZERO,
        _ if !is_asked => terms.period / 4,
        _ => pause(&after, is_held, is_first, terms),
    };
    Judged {
        looked: Looked {
            health: after,
            due_in,
            keeps,
            news,
        },
        withdrawn,
        refused,
        outcome,
    }
}

/// The version that wraps, as far as is known.
fn target(tenant: &TenantKeys, health: &KeyHealth, found: &Found) -> Option<KekId> {
    match (&tenant.version, &found.newest) {
        (VersionPolicy::Pinned(version), _) => Some(KekId {
            key: tenant.current.clone(),
            version: version.clone(),
        }),
        (VersionPolicy::FollowLatest, Some(Ok(newest))) if newest.key == tenant.current => Some(newest.clone()),
        (VersionPolicy::FollowLatest, _) => known_version(tenant, health),
    }
}

/// The same, once a canary was planted: that tells.
fn sealing_version(tenant: &TenantKeys, health: &KeyHealth, found: &Found) -> Option<KekId> {
    match &found.planted {
        Some(Ok(canary)) => Some(canary.kek.clone()),
        Some(Err(_)) | None => target(tenant, health, found),
    }
}

/// The newest version that was known before, of the key that is the current one now.
fn known_newest<'a>(tenant: &TenantKeys, health: &'a KeyHealth) -> Option<&'a Newest> {
    health.newest.as_ref().filter(|newest| newest.kek.key == tenant.current)
}

/// The version that sealed before, of the key that is the current one now.
fn known_version(tenant: &TenantKeys, health: &KeyHealth) -> Option<KekId> {
    let seen = known_newest(tenant, health).map(|newest| &newest.kek);
    let planted = || health.canaries.iter().map(|canary| &canary.kek);
    seen.or_else(|| planted().find(|kek| kek.key == tenant.current))
        .cloned()
}

fn answer_of<'a>(found: &'a Found, kek: &KekId) -> Option<&'a Result<(), VaultError>> {
    let probe = found.probed.iter().find(|(canary, _)| canary.kek == *kek);
    probe.map(|(_, answer)| answer)
}

/// What decides how the key is: what was planted just now, the canary under the version that seals, or that not even the
/// version is to be had.
fn outcome(found: &Found, sealing: Option<&KekId>) -> Outcome {
    match (
        &found.planted,
        sealing.and_then(|kek| answer_of(found, kek)),
        &found.newest,
    ) {
        (Some(Ok(_)), _, _) | (None, Some(Ok(())), _) => Outcome::Serves,
        (Some(Err(SealerError::Vault(error))), _, _) | (None, Some(Err(error)), _) | (None, None, Some(Err(error))) => {
            Outcome::from(error)
        }
        (Some(Err(error)), _, _) => Outcome::Failed(error.to_string()),
        (None, None, _) => Outcome::NotAsked,
    }
}

/// What is known of the newest version after the look. One that does not serve yet is not taken for known: it is asked for again.
fn newest(
    tenant: &TenantKeys,
    health: &KeyHealth,
    sealing: Option<&KekId>,
    found: &Found,
    outcome: &Outcome,
    terms: &Terms,
) -> Option<Newest> {
    let is_seen = matches!(found.newest, Some(Ok(_))) || matches!(found.planted, Some(Ok(_)));
    let known = known_newest(tenant, health);
    match (sealing, outcome) {
        (Some(kek), _) if is_seen && (*outcome == Outcome::Serves || known.is_some_and(|known| known.kek == *kek)) => {
            Some(Newest {
                kek: kek.clone(),
                seen_at: terms.now,
            })
        }
        _ => known.cloned(),
    }
}

/// The version that the tenant is to be sealed for under from now on, if that is not known to be the one before. It is told the
/// first time, too: by then there may have been a rotation, and some replica may hold what was made before that.
fn new_version(tenant: &TenantKeys, health: &KeyHealth, sealing: Option<&KekId>, outcome: &Outcome) -> Option<KekId> {
    let (before, now) = (known_version(tenant, health), sealing?);
    let is_new =
        tenant.version == VersionPolicy::FollowLatest && *outcome == Outcome::Serves && before.as_ref() != Some(now);
    is_new.then(|| now.clone())
}

/// The withdrawals to be told, and the refusals that are told by then. A refusal is told once while it lasts: it was met by the
/// last look here, or it is the state that another left. It is told again if somebody has said since then that it holds something:
/// it may have got that while nobody looked.
fn refusals(health: &KeyHealth, found: &Found, sealing: Option<&KekId>, told: &Refused) -> (Vec<Refusal>, Refused) {
    let is_held_anew = match (health.held_at, health.checked_at) {
        (Some(held_at), Some(checked_at)) => held_at + CLOCKS_DIFFER >= checked_at,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let known = |kek: &KekId, cause| {
        let seals = sealing == Some(kek);
        let was_so = matches!(&health.state, KeyState::Refused(trouble) if trouble.cause == cause) && seals;
        (told.get(kek) == Some(&cause) || was_so) && !(seals && is_held_anew)
    };
    let (mut withdrawn, mut refused) = (Vec::<Refusal>::new(), Refused::new());
    // What decides comes first: it may say all that the others would.
    let (deciding, others): (Vec<_>, Vec<_>) = found
        .probed
        .iter()
        .partition(|(canary, _)| sealing == Some(&canary.kek));
    for (canary, answer) in deciding.into_iter().chain(others) {
        let Some(refusal) = answer.as_ref().err().and_then(|error| refusal(&canary.kek, error)) else {
            continue;
        };
        if !known(&canary.kek, refusal.cause) && !withdrawn.iter().any(|said| says_as_much(said, &refusal)) {
            withdrawn.push(refusal.clone());
        }
        refused.insert(canary.kek.clone(), refusal.cause);
    }
    (withdrawn, refused)
}

fn was_not_asked((_, answer): &(Canary, Result<(), VaultError>)) -> bool {
    answer.as_ref().is_err_and(|error| state::is_unasked(error.cause()))
}

fn refusal(kek: &KekId, error: &VaultError) -> Option<Refusal> {
    error.cause().is_refusal().then(|| Refusal {
        call: Call::Unwrap,
        key: kek.key.clone(),
        version: Some(kek.version.clone()),
        cause: error.cause(),
        evidence: error.evidence().clone(),
    })
}

/// Whether a refusal that was said takes all that the other would.
fn says_as_much(said: &Refusal, other: &Refusal) -> bool {
    let is_of_versions = matches!(
        said.cause,
        VaultCause::KeyDisabled | VaultCause::KeyNotUsable | VaultCause::KeyOperationForbidden
    );
    let is_of_keys = said.cause == VaultCause::KeyNotFound;
    said.cause == other.cause
        && !is_of_versions
        && said.key.vault == other.key.vault
        && (!is_of_keys || said.key == other.key)
}

/// The canaries to be kept: what was planted first, in the place of one under the same version.
fn canaries(found: Found) -> Vec<Canary> {
    let planted = found.planted.and_then(Result::ok);
    let mut canaries: Vec<_> = found.probed.into_iter().map(|(canary, _)| canary).collect();
    if let Some(planted) = planted {
        canaries.retain(|canary| canary.kek != planted.kek);
        canaries.insert(0, planted);
    }
    canaries.truncate(KeyHealth::MAX_CANARIES);
    canaries
}

/// How long until the next look. Trouble is looked at as often as what is held, so that its end is noticed; but not for ever, where
/// nobody needs the key.
fn pause(health: &KeyHealth, is_held: bool, is_first: bool, terms: &Terms) -> Duration {
    let is_troubled = health.state.trouble().is_some() && terms.now - health.since < LONG_TROUBLE;
    let pause = if is_held || is_troubled {
        terms.period
    } else {
        terms.idle_period
    };
    if is_first {
        jitter::spread(pause, health.tenant, terms.now)
    } else {
        jitter::shortened(pause, health.tenant, terms.now)
    }
}

/// By how much a replica's clock may differ from the registry's.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);
/// After which trouble with a key that nobody holds is no news.
const LONG_TROUBLE: time::Duration = time::Duration::DAY;

#[cfg(test)]
mod tests;

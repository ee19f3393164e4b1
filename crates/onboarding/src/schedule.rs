//! When the checks are made next.

use std::time::Duration;

use keyferry_crypto::id::TenantId;
use keyferry_registry::onboarding::{CheckName, EndpointState, Onboarding, Schedule, Stage};
use time::OffsetDateTime;

use crate::finding;

/// The schedule of an onboarding whose checks were made at `now` and, or not, found something else than before.
pub(crate) fn after(onboarding: &Onboarding, is_changed: bool, now: OffsetDateTime) -> Schedule {
    let idle_rounds = if is_changed {
        0
    } else {
        onboarding.schedule.idle_rounds.saturating_add(1)
    };
    let pause = match onboarding.stage {
        Stage::Open => {
            let grown = FIRST_PAUSE.saturating_mul(1 << idle_rounds.min(10)).min(LONGEST_PAUSE);
            if is_spreading(onboarding) {
                grown.min(SPREADING_PAUSE)
            } else {
                grown
            }
        }
        Stage::Active { .. } if is_being_made(onboarding) => {
            FIRST_PAUSE.saturating_mul(1 << idle_rounds.min(10)).min(ENDPOINT_PAUSE)
        }
        Stage::Active { .. } if onboarding.endpoint.is_some() => ENDPOINT_PAUSE,
        Stage::Active { .. } => ACTIVE_PAUSE,
        Stage::Closing { .. } => SPREADING_PAUSE,
        Stage::Closed { .. } => {
            return Schedule {
                due_at: None,
                idle_rounds,
            };
        }
    };
    Schedule {
        due_at: Some(now + jittered(onboarding.tenant, pause)),
        idle_rounds,
    }
}

/// The schedule of an onboarding that somebody changed: at once, and as if nothing had been looked at.
pub(crate) fn at_once(now: OffsetDateTime) -> Schedule {
    Schedule {
        due_at: Some(now),
        idle_rounds: 0,
    }
}

/// Whether an active onboarding's checks are due, besides its endpoint's.
pub(crate) fn is_full_round_due(onboarding: &Onboarding, now: OffsetDateTime) -> bool {
    let made = onboarding.checks.get(&CheckName::Verification);
    let is_old = made.is_none_or(|made| now >= made.checked_at + jittered(onboarding.tenant, ACTIVE_PAUSE));
    is_old || onboarding.schedule.idle_rounds == 0
}

/// Whether Azure spreads something, or a person is expected to approve something.
fn is_spreading(onboarding: &Onboarding) -> bool {
    CheckName::ALL
        .into_iter()
        .filter_map(|check| finding::kind(onboarding, check))
        .any(finding::Kind::is_spreading)
}

/// Whether there is an endpoint that nobody but Azure keeps from being used or approved.
fn is_being_made(onboarding: &Onboarding) -> bool {
    onboarding.endpoint.as_ref().is_some_and(|endpoint| {
        matches!(endpoint.state, EndpointState::Requested | EndpointState::Approved) && !endpoint.is_proven
    })
}

/// Up to a tenth shorter, by the tenant: those that began together do not stay together.
fn jittered(tenant: TenantId, pause: Duration) -> Duration {
    let last = tenant.0.as_bytes()[15];
    pause.saturating_sub(pause / 10 * u32::from(last) / 255)
}

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// While Azure spreads consent or roles, or an endpoint is on its way.
const SPREADING_PAUSE: Duration = Duration::from_secs(30);
/// Between looks at an active tenant's endpoint: a rejection is seen within it.
const ENDPOINT_PAUSE: Duration = Duration::from_mins(1);
const ACTIVE_PAUSE: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keyferry_crypto::{id::Cloud, tenant::SealingPolicy};
    use keyferry_registry::{
        Revision,
        onboarding::{Answers, Check, Endpoint, EndpointPolicy, Link},
    };
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::finding::Kind;

    const NOW: OffsetDateTime = datetime!(2026-07-01 12:00 UTC);

    fn onboarding() -> Onboarding {
        Onboarding {
            // The last byte is the jitter.
            tenant: TenantId(Uuid::nil()),
            slug: "acme".parse().unwrap(),
            display_name: "Acme".parse().unwrap(),
            cloud: Cloud::Public,
            policy: SealingPolicy::default(),
            endpoint_policy: EndpointPolicy::Off,
            allows_public_path: false,
            answers: Answers::default(),
            confirmed_directory: None,
            canary: None,
            endpoint: None,
            was_private: false,
            checks: BTreeMap::new(),
            link: Link {
                serial: 1,
                expires_at: NOW,
            },
            consent: None,
            stage: Stage::Open,
            schedule: at_once(NOW),
            revision: Revision(1),
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn pause(onboarding: &Onboarding, is_changed: bool) -> time::Duration {
        after(onboarding, is_changed, NOW).due_at.unwrap() - NOW
    }

    #[test]
    fn pauses_grow_while_nothing_changes_and_begin_anew_when_something_does() {
        let mut onboarding = onboarding();
        let mut pauses = Vec::new();
        for _ in 0..9 {
            onboarding.schedule = after(&onboarding, false, NOW);
            pauses.push((onboarding.schedule.due_at.unwrap() - NOW).whole_seconds());
        }
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(pause(&onboarding, true).whole_seconds(), 5);
        onboarding.schedule.idle_rounds = u32::MAX;
        assert_eq!(pause(&onboarding, false).whole_seconds(), 600);
    }

    #[test]
    fn what_spreads_is_looked_at_often() {
        let mut onboarding = onboarding();
        onboarding.schedule.idle_rounds = 20;
        let check = Check::after(None, Kind::NoAccessYet.observed(), NOW);
        onboarding.checks.insert(CheckName::Wrap, check);
        assert_eq!(pause(&onboarding, false).whole_seconds(), 30);
    }

    #[test]
    fn an_active_one_is_looked_at_rarely_and_its_endpoint_each_minute() {
        let mut onboarding = onboarding();
        onboarding.stage = Stage::Active { since: NOW };
        onboarding.schedule.idle_rounds = 1;
        assert_eq!(pause(&onboarding, false), time::Duration::HOUR);
        let check = Check::after(None, Kind::Verified.observed(), NOW);
        onboarding.checks.insert(CheckName::Verification, check);
        onboarding.endpoint = Some(Endpoint {
            name: "e".into(),
            target: "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.KeyVault/vaults/acme"
                .parse()
                .unwrap(),
            state: EndpointState::Approved,
            description: None,
            address: None,
            is_proven: true,
            since: NOW,
        });
        assert_eq!(pause(&onboarding, false), time::Duration::MINUTE);
        onboarding.endpoint.as_mut().unwrap().is_proven = false;
        assert_eq!(
            pause(&onboarding, true),
            time::Duration::seconds(5),
            "while it is being made"
        );
        assert!(!is_full_round_due(&onboarding, NOW + time::Duration::minutes(59)));
        assert!(is_full_round_due(&onboarding, NOW + time::Duration::HOUR));
    }

    #[test]
    fn a_closed_one_is_never_due() {
        let mut onboarding = onboarding();
        onboarding.stage = Stage::Closed { at: NOW };
        assert_eq!(after(&onboarding, true, NOW).due_at, None);
    }

    #[test]
    fn a_pause_is_shortened_by_a_tenth_at_most() {
        let shortest = jittered(TenantId(Uuid::from_u128(u128::MAX)), ACTIVE_PAUSE);
        assert_eq!(shortest, ACTIVE_PAUSE * 9 / 10);
    }
}

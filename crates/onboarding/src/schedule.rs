//! When the checks are made next.

use std::time::Duration;

use keyferry_crypto::id::TenantId;
use keyferry_registry::onboarding::{CheckName, Onboarding, Schedule, Stage};
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

/// Up to a tenth shorter, by the tenant: those that began together do not stay together.
fn jittered(tenant: TenantId, pause: Duration) -> Duration {
    let last = tenant.0.as_bytes()[15];
    pause - pause / 10 * u32::from(last) / 255
}

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// While Azure spreads consent or roles, or an endpoint is on its way.
const SPREADING_PAUSE: Duration = Duration::from_secs(30);
/// Between looks at an active tenant's endpoint: a rejection is seen within it.
const ENDPOINT_PAUSE: Duration = Duration::from_mins(1);
const ACTIVE_PAUSE: Duration = Duration::from_hours(1);

//! What must be so, whatever was wrong.

use std::time::Duration;

use keyferry_crypto::vault::VaultCause;
use keyferry_registry::{Revision, key::KeyNews};
use tokio::time::Instant;

use crate::{
    clock::clock,
    plan::{Fault, What, Withdrawal},
    replica::Replica,
    requests::Answered,
    terms::{AFTERMATH, CONFIRMATION, DEAF, HEARS, PERIOD, SECOND, TRY, WATCHED_WITHIN},
    world::World,
};

/// How long after the withdrawal the last request was sent that succeeded, by what the replica that did was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Longest {
    pub(crate) hears: Duration,
    pub(crate) deaf: Duration,
    pub(crate) no_answer: Duration,
}

impl Longest {
    pub(crate) fn include(&mut self, other: Self) {
        self.hears = self.hears.max(other.hears);
        self.deaf = self.deaf.max(other.deaf);
        self.no_answer = self.no_answer.max(other.no_answer);
    }
}

/// All that is not as it must be.
pub(crate) fn judged(world: &mut World) -> (Vec<String>, Longest) {
    let mut wrong = Vec::new();
    let answered = world.requests.answered();
    let hearings: Vec<_> = world.replicas.iter_mut().map(Replica::hearings).collect();
    let mut longest = Longest::default();
    if let Some(withdrawal) = world.plan.withdrawal {
        longest = nothing_succeeds_later_than_the_bound(world, withdrawal, &answered, &hearings, &mut wrong);
    }
    nothing_fails_without_a_reason(world, &answered, &mut wrong);
    all_serves_in_the_end(world, &answered, &mut wrong);
    every_replica_has_acknowledged(world, &hearings, &mut wrong);
    one_looks(world, &mut wrong);
    for replica in world.living().filter(|replica| !replica.is_whole()) {
        wrong.push(format!("replica {}: its watch has broken off", replica.number));
    }
    (wrong, longest)
}

fn nothing_succeeds_later_than_the_bound(
    world: &World,
    withdrawal: Withdrawal,
    answered: &[Answered],
    hearings: &[Vec<Instant>],
    wrong: &mut Vec<String>,
) -> Longest {
    let act = world.began + withdrawal.at;
    let returns = withdrawal.returns.map(|at| world.began + at);
    let policy = world.plan.policy;
    // The last line.
    let held = policy.cache_ttl.max(policy.lease_max_age) + policy.outage_grace;
    let mut longest = Longest::default();
    let successes = answered
        .iter()
        .filter(|request| request.failure.is_none() && request.began > act);
    for request in successes.filter(|request| returns.is_none_or(|returns| request.ended < returns)) {
        let after = request.began - act;
        let is_deaf = !hearings[request.by].iter().any(|at| (act..=request.began).contains(at));
        let (bound, counts) = if is_deaf {
            (DEAF, &mut longest.deaf)
        } else {
            (HEARS, &mut longest.hears)
        };
        // For as long as that a vault which gives no answer is taken to go on so.
        // Asked for this request, too, if it waited for that.
        let in_vain = world.customer.last_in_vain(request.by, request.ended);
        let no_answer = in_vain.map(|at| (at + PERIOD + TRY + CONFIRMATION).saturating_duration_since(act));
        let counts = match no_answer {
            Some(no_answer) if no_answer > Duration::ZERO => &mut longest.no_answer,
            _ => counts,
        };
        *counts = after.max(*counts);
        let limit = no_answer.unwrap_or_default().max(bound).min(held.max(bound));
        if after > limit {
            wrong.push(format!(
                "replica {}: a success ({:?}) of a request that began {after:?} after the withdrawal, of at most {limit:?}",
                request.by, request.asked
            ));
        }
    }
    longest
}

/// A request fails only if the customer refuses, or the vault has not answered or has disagreed with itself, a short while ago.
fn nothing_fails_without_a_reason(world: &World, answered: &[Answered], wrong: &mut Vec<String>) {
    let mut reasons: Vec<_> = world.plan.faults.iter().filter_map(felt).collect();
    if let Some(withdrawal) = world.plan.withdrawal {
        let until = withdrawal.returns.map_or(world.plan.end, |_| world.plan.over());
        reasons.push((withdrawal.at, until + AFTERMATH));
    }
    for request in answered {
        let (from, until) = (request.began - world.began, request.ended - world.began);
        let is_excused = reasons.iter().any(|(began, ended)| *began <= until && from <= *ended);
        // A call that was under way when its machine stood still has no time left when that goes on.
        let stood_still = |fault: &&Fault| {
            matches!(fault.what, What::Pauses(_)) && (fault.until..=fault.until + TRY).contains(&until)
        };
        let has_run_out =
            request.failure == Some(VaultCause::Timeout) && world.plan.faults.iter().any(|fault| stood_still(&fault));
        if let Some(failure) = request.failure
            && !is_excused
            && !has_run_out
        {
            wrong.push(format!(
                "replica {}: {:?} at {from:?} fails though nothing is wrong with the key: {failure:?}",
                request.by, request.asked
            ));
        }
    }
}

/// When a fault may be felt by who asks, if ever: whatever happens to the registry is felt by nobody.
fn felt(fault: &Fault) -> Option<(Duration, Duration)> {
    match fault.what {
        What::Vault(_) => Some((fault.from, fault.until + AFTERMATH)),
        What::Registry(_) | What::FailsOver | What::Dies(_) | What::Pauses(_) | What::Rotates => None,
    }
}

fn all_serves_in_the_end(world: &World, answered: &[Answered], wrong: &mut Vec<String>) {
    let Some(from) = world.plan.serves_from() else { return };
    let from = world.began + from;
    for replica in world.living() {
        let theirs = || {
            answered
                .iter()
                .filter(|request| request.by == replica.number && request.began > from)
        };
        if theirs().next().is_none() {
            wrong.push(format!("replica {}: answers nothing in the end", replica.number));
        }
        if let Some(failed) = theirs().find(|request| request.failure.is_some()) {
            wrong.push(format!(
                "replica {}: does not serve in the end: {failed:?}",
                replica.number
            ));
        }
    }
}

/// All that was told of early enough, and was not lost since.
fn every_replica_has_acknowledged(world: &World, hearings: &[Vec<Instant>], wrong: &mut Vec<String>) {
    let server = world.database.server();
    let is_failover = |fault: &&Fault| fault.what == What::FailsOver;
    let failovers = world.plan.faults.iter().filter(is_failover);
    let lost_until = failovers.map(|fault| world.began + fault.until).max();
    let late = Instant::now() - SECOND * 15;
    if world.plan.over() + SECOND * 15 > world.plan.end {
        return;
    }
    for event in server.feed(Revision(0)).0 {
        let KeyNews::Withdrawn(_) = event.what else { continue };
        let told = world.began + (event.at - world.tenant.created_at).unsigned_abs();
        // Of what was told before it heard anything, and before it noticed that the registry had forgotten, a replica is not told.
        let is_kept = lost_until.is_none_or(|at| told > at + SECOND * 15);
        for replica in world.living() {
            let has_heard = hearings[replica.number].first().is_some_and(|first| *first < told);
            let is_due = told < late && has_heard && is_kept;
            if is_due && !server.acknowledged(event.revision).contains(&replica.id) {
                wrong.push(format!(
                    "replica {}: has not acknowledged {:?}",
                    replica.number, event.revision
                ));
            }
        }
    }
}

/// While nothing is wrong a key is looked at, by one replica.
fn one_looks(world: &World, wrong: &mut Vec<String>) {
    let Some(before) = world.looks_before else { return };
    let server = world.database.server();
    let checked_at = server.health(world.tenant.keys.tenant).checked_at;
    if checked_at.is_none_or(|at| at + WATCHED_WITHIN + SECOND * 5 < clock()) {
        wrong.push(format!("nobody looks at the key any more: {checked_at:?}"));
    }
    let looks = server.looks();
    let mut by: Vec<_> = looks[before..].iter().map(|(by, _)| *by).collect();
    by.dedup();
    if by.len() > 1 {
        wrong.push(format!("several replicas look at the key: {by:?}"));
    }
}

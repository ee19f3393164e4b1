//! What must be so, whatever was wrong.

use std::time::Duration;

use keyferry_crypto::{
    news::Refusal,
    vault::{Call, VaultCause},
};
use keyferry_registry::{
    Revision,
    key::{KeyEvent, KeyNews, KeyState},
};
use tokio::time::Instant;

use crate::{
    clock::clock,
    customer::{self, Trouble},
    plan::{Fault, Taken, What, Withdrawal},
    replica::Replica,
    requests::{Answered, Asked},
    terms::{SECOND, Terms},
    vouching,
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
    for withdrawn in Withdrawn::all(world) {
        longest.include(nothing_succeeds_later_than_the_bound(
            world, &withdrawn, &answered, &hearings, &mut wrong,
        ));
        vouching::who_has_acknowledged_uses_nothing(world, &withdrawn, &answered, &mut wrong);
        it_is_told(world, &withdrawn, &answered, &mut wrong);
    }
    vouching::nothing_is_used_for_which_nobody_vouches(world, &answered, &hearings, &mut wrong);
    vouching::nothing_is_used_that_was_refused(world, &answered, &mut wrong);
    nothing_fails_without_a_reason(world, &answered, &mut wrong);
    all_serves_in_the_end(world, &answered, &mut wrong);
    every_replica_has_acknowledged(world, &hearings, &mut wrong);
    one_looks(world, &mut wrong);
    the_state_is_right_in_the_end(world, &mut wrong);
    for replica in world.living().filter(|replica| !replica.is_whole()) {
        wrong.push(format!("replica {}: its watch has broken off", replica.number));
    }
    (wrong, longest)
}

/// A withdrawal that happened.
pub(crate) struct Withdrawn {
    pub(crate) plan: Withdrawal,
    /// The version that was taken away; none if it was the key.
    version: Option<u8>,
    /// Whether there is a canary of it. There is none of a version that was the newest between two looks only: it is relied on by
    /// nobody but who asks, and what takes it may be told by nobody.
    is_watched: bool,
    pub(crate) act: Instant,
    pub(crate) returns: Option<Instant>,
}

impl Withdrawn {
    fn all(world: &World) -> Vec<Self> {
        let all = world.plan.withdrawals.iter().zip(&world.former);
        // Where there is no former version, nothing was taken.
        let happened = all.filter(|(plan, former)| plan.taken == Taken::Key || former.is_some());
        let health = world.database.server().health(world.tenant.keys.tenant);
        let watched: Vec<_> = health
            .canaries
            .iter()
            .map(|canary| customer::number(&canary.kek))
            .collect();
        let withdrawn = happened.map(|(plan, former)| Self {
            plan: *plan,
            version: *former,
            is_watched: former.is_none_or(|former| watched.contains(&former)),
            act: world.began + plan.at,
            returns: plan.returns.map(|at| world.began + at),
        });
        withdrawn.collect()
    }

    /// Whether what is under that version was taken away.
    pub(crate) fn takes(&self, version: Option<u8>) -> bool {
        self.version.is_none() || self.version == version
    }

    /// Whether a refusal that was told is of this, or may be.
    pub(crate) fn is_told_by(&self, refusal: &Refusal) -> bool {
        refusal.call == Call::Unwrap && refusal.cause == self.plan.cause && self.takes(refused_version(refusal))
    }

    /// Whether all of this lies within the withdrawal.
    pub(crate) fn lasts(&self, from: Instant, until: Instant) -> bool {
        self.act < from && self.returns.is_none_or(|returns| until < returns)
    }
}

pub(crate) fn refused_version(refusal: &Refusal) -> Option<u8> {
    let kek = refusal.key.clone();
    let version = refusal.version.clone();
    version.map(|version| customer::number(&keyferry_crypto::id::KekId { key: kek, version }))
}

/// When something was told.
pub(crate) fn told_at(world: &World, event: &KeyEvent) -> Instant {
    world.began + (event.at - world.tenant.created_at).unsigned_abs()
}

fn nothing_succeeds_later_than_the_bound(
    world: &World,
    withdrawn: &Withdrawn,
    answered: &[Answered],
    hearings: &[Vec<Instant>],
    wrong: &mut Vec<String>,
) -> Longest {
    let (act, policy, terms) = (withdrawn.act, world.plan.policy, &world.plan.terms);
    // The last line.
    let held = policy.cache_ttl.max(policy.lease_max_age) + policy.outage_grace;
    let mut longest = Longest::default();
    let successes = answered.iter().filter(|request| request.failure.is_none());
    let taken = successes.filter(|request| withdrawn.takes(request.version));
    for request in taken.filter(|request| withdrawn.lasts(request.began, request.ended)) {
        let after = request.began - act;
        let is_deaf = !hearings[request.by].iter().any(|at| (act..=request.began).contains(at));
        let (bound, counts) = if is_deaf {
            (terms.deaf(), &mut longest.deaf)
        } else {
            (terms.hears(), &mut longest.hears)
        };
        // For as long as that a vault which gives no answer is taken to go on so.
        // Asked for this request, too, if it waited for that.
        let calls = world.customer.ended(request.by);
        let mut in_vain = calls
            .iter()
            .filter(|call| call.is_in_vain() && call.ended <= request.ended);
        let goes_on = terms.period + terms.try_limit + terms.confirmation;
        let no_answer = in_vain
            .next_back()
            .map(|call| (call.ended + goes_on).saturating_duration_since(act));
        let counts = match no_answer {
            Some(no_answer) if no_answer > Duration::ZERO => &mut longest.no_answer,
            _ => counts,
        };
        *counts = after.max(*counts);
        let limit = no_answer.unwrap_or_default().max(bound).min(held.max(bound));
        if after > limit {
            wrong.push(format!(
                "replica {}: a success ({:?}) of a request that began {after:?} after {:?}, of at most {limit:?}",
                request.by, request.asked, withdrawn.plan
            ));
        }
    }
    longest
}

/// A request fails only if the customer refuses, or the vault has not answered or has disagreed with itself, a short while ago.
fn nothing_fails_without_a_reason(world: &World, answered: &[Answered], wrong: &mut Vec<String>) {
    let (plan, terms) = (&world.plan, &world.plan.terms);
    let mut reasons: Vec<_> = plan.faults.iter().filter_map(|fault| felt(fault, terms)).collect();
    let of_the_key = |withdrawal: &&Withdrawal| withdrawal.taken == Taken::Key;
    for withdrawal in plan.withdrawals.iter().filter(of_the_key) {
        let until = withdrawal.returns.map_or(plan.end, |_| plan.over());
        reasons.push((withdrawal.at, until + terms.aftermath()));
    }
    // What a machine was answered while it stood still it hears when it goes on.
    for pause in plan.faults.iter().filter(|fault| matches!(fault.what, What::Pauses(_))) {
        let heard_late = reasons
            .iter_mut()
            .filter(|(from, until)| *from <= pause.until && pause.from <= *until);
        heard_late.for_each(|(_, until)| *until = (*until).max(pause.until + terms.aftermath()));
    }
    let versions: Vec<_> = Withdrawn::all(world)
        .into_iter()
        .filter(|it| it.version.is_some())
        .collect();
    for request in answered {
        let (from, until) = (request.began - world.began, request.ended - world.began);
        let is_excused = reasons.iter().any(|(began, ended)| *began <= until && from <= *ended);
        let is_taken = |withdrawn: &Withdrawn| match request.asked {
            Asked::Open => {
                let returns = withdrawn.returns.map(|returns| returns + terms.aftermath());
                let is_over = returns.is_some_and(|over| over < request.began);
                withdrawn.takes(request.version) && withdrawn.act <= request.ended && !is_over
            }
            // It had a lease under that version, and learns only now that the key was rotated.
            Asked::Seal => {
                let calls = world.customer.ended(request.by);
                let mut during = calls
                    .iter()
                    .filter(|call| (request.began..=request.ended).contains(&call.ended));
                during.any(|call| withdrawn.takes(call.unwrapping) && call.failure == request.failure)
            }
        };
        // A call that was under way when its machine stood still has no time left when that goes on.
        let stood_still = |fault: &&Fault| {
            matches!(fault.what, What::Pauses(_)) && (fault.until..=fault.until + terms.try_limit).contains(&until)
        };
        // So has one that came with all the others that waited for it to go on.
        let has_run_out = matches!(request.failure, Some(VaultCause::Timeout | VaultCause::Busy))
            && world.plan.faults.iter().any(|fault| stood_still(&fault));
        if let Some(failure) = request.failure
            && !is_excused
            && !has_run_out
            && !versions.iter().any(is_taken)
        {
            wrong.push(format!(
                "replica {}: {:?} at {from:?} fails though nothing is wrong with the key: {failure:?}",
                request.by, request.asked
            ));
        }
    }
}

/// When a fault may be felt by who asks, if ever: whatever happens to the registry is felt by nobody.
fn felt(fault: &Fault, terms: &Terms) -> Option<(Duration, Duration)> {
    match fault.what {
        What::Vault(_) => Some((fault.from, fault.until + terms.aftermath())),
        What::Registry(_) | What::FailsOver | What::Dies(_) | What::Pauses(_) | What::Rotates => None,
    }
}

fn all_serves_in_the_end(world: &World, answered: &[Answered], wrong: &mut Vec<String>) {
    let Some(from) = world.plan.serves_from() else { return };
    let from = world.began + from;
    let versions: Vec<_> = Withdrawn::all(world)
        .into_iter()
        .filter(|withdrawn| withdrawn.version.is_some() && withdrawn.returns.is_none())
        .collect();
    let is_gone = |request: &Answered| {
        request.asked == Asked::Open && versions.iter().any(|withdrawn| withdrawn.takes(request.version))
    };
    for replica in world.living() {
        let theirs = || {
            answered
                .iter()
                .filter(|request| request.by == replica.number && request.began > from)
        };
        if theirs().next().is_none() {
            wrong.push(format!("replica {}: answers nothing in the end", replica.number));
        }
        if let Some(failed) = theirs().find(|request| request.failure.is_some() && !is_gone(request)) {
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
        let told = told_at(world, &event);
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
    if checked_at.is_none_or(|at| at + world.plan.terms.watched_within() + SECOND * 5 < clock()) {
        wrong.push(format!("nobody looks at the key any more: {checked_at:?}"));
    }
    let looks = server.looks();
    let mut by: Vec<_> = looks[before..].iter().map(|(by, _)| *by).collect();
    by.dedup();
    if by.len() > 1 {
        wrong.push(format!("several replicas look at the key: {by:?}"));
    }
}

/// What the customer has taken away is told to all, whoever found it out: unless it was given back before, or lost since.
fn it_is_told(world: &World, withdrawn: &Withdrawn, answered: &[Answered], wrong: &mut Vec<String>) {
    let (plan, terms) = (&world.plan, &world.plan.terms);
    // What is refused before, for the same reason, is not told again.
    let is_obscured = |fault: &Fault| matches!(fault.what, What::FailsOver | What::Vault(Trouble::Disagrees(..)));
    let from = plan.over().max(withdrawn.plan.at) + terms.watched_within() + terms.try_limit + terms.confirmation;
    let until = withdrawn.plan.returns.unwrap_or(plan.end).min(plan.end);
    let is_other = |other: &Withdrawal| other.taken != withdrawn.plan.taken && other.at <= until;
    let is_meant = |request: &Answered| request.began < withdrawn.act && withdrawn.takes(request.version);
    // Of a version under which nothing was sealed, or that no look has met, nobody knows.
    if !answered.iter().any(is_meant) || !withdrawn.is_watched || !was_seen_to_serve(world, withdrawn) {
        return;
    }
    if plan.faults.iter().any(is_obscured) || plan.withdrawals.iter().any(is_other) || from > until {
        return;
    }
    let (feed, _) = world.database.server().feed(Revision(0));
    let tells = |event: &KeyEvent| match &event.what {
        KeyNews::Withdrawn(refusal) => told_at(world, event) > withdrawn.act && withdrawn.is_told_by(refusal),
        KeyNews::State(_) | KeyNews::Version(_) => false,
    };
    if !feed.iter().any(|event| tells(event)) {
        wrong.push(format!("nobody is told of {:?}", withdrawn.plan));
    }
}

/// Whether anybody has seen that the key served, if it was taken away before: else it is gone as it was.
fn was_seen_to_serve(world: &World, withdrawn: &Withdrawn) -> bool {
    let before = world
        .plan
        .withdrawals
        .iter()
        .filter(|before| before.at < withdrawn.plan.at);
    let Some(since) = before.filter_map(|before| before.returns).max() else {
        return true;
    };
    let mut numbers = 0..world.replicas.len();
    numbers.any(|number| {
        let calls = world.customer.ended(number);
        calls
            .iter()
            .any(|call| call.unwrapping.is_some() && call.failure.is_none() && call.ended > world.began + since)
    })
}

/// What the registry says of the key is what the customer did last.
fn the_state_is_right_in_the_end(world: &World, wrong: &mut Vec<String>) {
    let (plan, terms) = (&world.plan, &world.plan.terms);
    let gone = plan.withdrawals.iter().find(|withdrawal| withdrawal.is_for_good());
    let from = gone.map_or(plan.over(), |withdrawal| withdrawal.at.max(plan.over()));
    if from + terms.watched_within() + terms.try_limit + terms.confirmation + SECOND > plan.end {
        return;
    }
    let state = world.database.server().health(world.tenant.keys.tenant).state;
    let is_right = match gone {
        Some(_) => matches!(state, KeyState::Refused(_)),
        None => state == KeyState::Healthy,
    };
    if !is_right {
        wrong.push(format!("the registry takes the key for {}", state.slug()));
    }
}

//! Why a request may have succeeded, by what its replica knew just then. This holds at any time, whether or not anything was
//! withdrawn, so it finds what the bound is too generous for.

use futures::FutureExt as _;
use keyferry_crypto::vault::VaultCause;
use keyferry_registry::{Revision, key::KeyNews};
use tokio::time::Instant;

use crate::{
    customer::Outcome,
    judge::{Withdrawn, refused_version, told_at},
    requests::Answered,
    world::World,
};

/// Each success has one who vouches for it: the replica heard within H, or the vault did as asked there, under that version, within
/// P; or else the vault gave no answer.
pub(crate) fn nothing_is_used_for_which_nobody_vouches(
    world: &World,
    answered: &[Answered],
    hearings: &[Vec<Instant>],
    wrong: &mut Vec<String>,
) {
    let terms = &world.plan.terms;
    for replica in &world.replicas {
        let calls = world.customer.ended(replica.number);
        for request in successes(answered, replica.number) {
            let since = |span| request.began.checked_sub(span).unwrap_or(world.began);
            let mut heard = hearings[replica.number].iter();
            let is_heard = heard.any(|at| (since(terms.hearing)..=request.ended).contains(at));
            let vouches = |call: &Outcome| {
                let has_served = call.failure.is_none() && concerns(call.unwrapping, request.version);
                call.ended <= request.ended
                    && (has_served && call.began >= since(terms.period)
                        || call.is_in_vain() && call.ended >= since(terms.period))
            };
            if !is_heard && !calls.iter().any(vouches) {
                wrong.push(format!("replica {}: nobody vouches for {request:?}", replica.number));
            }
        }
    }
}

/// Once the vault has refused a replica, nothing that the refusal reaches is used there before the vault has done as asked again:
/// neither after a refusal that is believed nor while one is confirmed. One that is confirmed counts from when it was first said: what
/// the vault gave since is newer, and is used on its word.
pub(crate) fn nothing_is_used_that_was_refused(world: &World, answered: &[Answered], wrong: &mut Vec<String>) {
    for replica in &world.replicas {
        let calls = world.customer.ended(replica.number);
        let confirmation = world.plan.terms.confirmation;
        let first_said = |refused: &Outcome| {
            let before = Some(confirmation).filter(|_| is_doubtful(refused)).unwrap_or_default();
            refused.began.checked_sub(before).unwrap_or(refused.began)
        };
        for request in successes(answered, replica.number) {
            let reaches = |call: &&Outcome| {
                let cause = call.failure.filter(|cause| cause.is_refusal());
                call.ended < request.began
                    && cause.is_some_and(|cause| {
                        call.unwrapping.is_some() && (is_of_all(cause) || concerns(call.unwrapping, request.version))
                    })
            };
            let Some(refused) = calls.iter().rfind(reaches) else {
                continue;
            };
            let settles = |call: &Outcome| {
                let has_served = call.failure.is_none() && concerns(call.unwrapping, request.version);
                // Of calls that overlap it is not known which the vault answered last.
                let is_since = (first_said(refused)..=request.ended).contains(&call.ended);
                is_since && (has_served || is_doubtful(refused) && decides(call))
            };
            if !calls.iter().any(settles) {
                wrong.push(format!(
                    "replica {}: {request:?} uses what was refused: {refused:?}",
                    replica.number
                ));
            }
        }
    }
}

/// Who has acknowledged a withdrawal uses nothing of it any more.
pub(crate) fn who_has_acknowledged_uses_nothing(
    world: &World,
    withdrawn: &Withdrawn,
    answered: &[Answered],
    wrong: &mut Vec<String>,
) {
    let server = world.database.server();
    for event in server.feed(Revision(0)).0 {
        let KeyNews::Withdrawn(refusal) = &event.what else {
            continue;
        };
        if !withdrawn.is_told_by(refusal) || !withdrawn.lasts(told_at(world, &event), told_at(world, &event)) {
            continue;
        }
        let store = server.reached_by(event.by);
        let said = store.acknowledgements(event.revision).now_or_never();
        for said in said.expect("at once").expect("there") {
            // Who tells has obeyed before, and that may have been before the customer's act.
            let replica = world.replicas.iter().find(|replica| replica.id == said.replica);
            let Some(replica) = replica.filter(|replica| replica.id != event.by) else {
                continue;
            };
            let at = world.began + (said.at - world.tenant.created_at).unsigned_abs();
            let uses = successes(answered, replica.number).find(|request| {
                let is_reached = is_of_all(refusal.cause) || concerns(refused_version(refusal), request.version);
                request.began > at && withdrawn.lasts(request.began, request.ended) && is_reached
            });
            if let Some(request) = uses {
                wrong.push(format!(
                    "replica {}: {request:?} though {:?} was acknowledged",
                    replica.number, event.revision
                ));
            }
        }
    }
}

fn successes(answered: &[Answered], by: usize) -> impl Iterator<Item = &Answered> {
    let theirs = answered.iter().filter(move |request| request.by == by);
    theirs.filter(|request| request.failure.is_none())
}

/// Whether a refusal to unwrap under one version is one of all, also of versions that this replica has never met.
fn is_of_all(cause: VaultCause) -> bool {
    !matches!(cause, VaultCause::KeyDisabled | VaultCause::KeyNotFound)
}

/// Whether it is a refusal that may pass.
fn is_doubtful(call: &Outcome) -> bool {
    call.failure.is_some_and(VaultCause::is_doubtful)
}

/// Whether it answers whether a refusal passes, under whichever version: by serving, or by refusing for another cause.
fn decides(call: &Outcome) -> bool {
    call.unwrapping.is_some() && !is_doubtful(call) && !call.is_in_vain()
}

fn concerns(unwrapping: Option<u8>, version: Option<u8>) -> bool {
    unwrapping.is_some() && unwrapping == version
}

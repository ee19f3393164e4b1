//! A batch on its way: sent until each of its lines is rewrapped or refused for good.

use std::{sync::Arc, time::Duration};

use keyferry_client::{BatchItem, Envelope, Error, Fault, Problem, Rewrapped, TenantClient};
use tokio::time::Instant;

use super::{
    input::{Batch, Position},
    pace::Pace,
    record::{Record, Reject, Rewritten},
};
use crate::failure::Failure;

/// Sends batches.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    pub(super) tenant: TenantClient,
    pub(super) pace: Arc<Pace>,
    /// How long a batch may get nowhere.
    pub(super) patience: Duration,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Done {
    /// Of each line, in order, what it is now.
    pub(super) lines: Vec<Result<Rewritten, Reject>>,
    /// Where the input is read up to with them.
    pub(super) end: Position,
}

/// A line that is under way, by its place in the batch.
struct Open {
    place: usize,
    line: u64,
    record: Record,
}

impl Sending {
    /// Has a batch rewrapped. What may pass is tried again, and of a batch only what is still open. Fails where nothing may be
    /// sent at all, or got anywhere for too long: then nothing is known of the batch, and it can be sent again.
    pub(super) async fn rewrap(self, batch: Batch) -> Result<Done, Failure> {
        let mut settled: Vec<Option<Result<Rewritten, Reject>>> = Vec::new();
        let mut open = Vec::new();
        for (place, line) in batch.lines.into_iter().enumerate() {
            settled.push(line.record.map_or_else(
                |reject| Some(Err(reject)),
                |record| {
                    open.push(Open {
                        place,
                        line: line.number,
                        record,
                    });
                    None
                },
            ));
        }
        let (mut size, mut failures, mut progress) = (open.len(), 0, Instant::now());
        while !open.is_empty() {
            self.pace.ready().await;
            let later = open.split_off(size.clamp(1, open.len()));
            let envelopes: Vec<&Envelope> = open.iter().map(|line| &line.record.envelope).collect();
            let sent = open.len();
            let (mut again, hindrance) = match self.tenant.rewrap_batch(&envelopes).await {
                Ok(results) => sort(open, results, &mut settled)?,
                Err(Error::Problem(problem)) if is_too_large(&problem) => {
                    if let [only] = open.as_slice() {
                        settle(&mut settled, only.place, Err(Reject::refused(only.line, problem)));
                        open.clear();
                    }
                    size = sent / 2;
                    open.extend(later);
                    continue;
                }
                Err(error) if may_pass(&error) => (open, Some(error)),
                Err(error) => return Err(error.into()),
            };
            if again.len() < sent {
                (failures, progress) = (0, Instant::now());
            }
            if let Some(error) = hindrance {
                failures += 1;
                let asked = error.problem().and_then(Problem::retry_after);
                // Whoever gives up after a while need not be asked to wait for longer.
                let asked = asked.map(|asked| asked.min(self.patience));
                self.pace.hold(asked, failures);
                if progress.elapsed() > self.patience {
                    return Err(Failure::unavailable(format!(
                        "nothing came of the same lines for {} s: {error}",
                        self.patience.as_secs()
                    )));
                }
            }
            again.extend(later);
            open = again;
        }
        Ok(Done {
            lines: settled.into_iter().flatten().collect(),
            end: batch.end,
        })
    }
}

/// Settles what is done or refused for good. Answers what is to be sent again, and what stands in its way.
fn sort(
    sent: Vec<Open>,
    results: Vec<BatchItem<Rewrapped>>,
    settled: &mut [Option<Result<Rewritten, Reject>>],
) -> Result<(Vec<Open>, Option<Error>), Failure> {
    let (mut again, mut hindrance): (_, Option<Box<Problem>>) = (Vec::new(), None);
    for (line, result) in sent.into_iter().zip(results) {
        match result.into_result() {
            Ok(rewrapped) => {
                let text = line.record.with(&rewrapped.envelope);
                let text = text.ok_or(Error::Unexpected("an envelope of the other kind"))?;
                settle(settled, line.place, Ok(text));
            }
            Err(problem) if problem.retry_after.is_some() => {
                again.push(line);
                // The longest wait counts.
                if hindrance
                    .as_ref()
                    .is_none_or(|known| known.retry_after < problem.retry_after)
                {
                    hindrance = Some(problem);
                }
            }
            // Not this line's fault, and no line would fare better.
            Err(problem) if problem.fault == Fault::Service => return Err(Error::Problem(problem).into()),
            Err(problem) => settle(settled, line.place, Err(Reject::refused(line.line, problem))),
        }
    }
    Ok((again, hindrance.map(Error::Problem)))
}

fn settle(settled: &mut [Option<Result<Rewritten, Reject>>], place: usize, outcome: Result<Rewritten, Reject>) {
    if let Some(open) = settled.get_mut(place) {
        *open = Some(outcome);
    }
}

/// Whether fewer lines at once may do.
fn is_too_large(problem: &Problem) -> bool {
    matches!(problem.slug(), "body-too-large" | "batch-too-large")
}

/// Whether the same request may do later.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Problem(problem) => {
            problem.retry_after.is_some() || matches!(problem.status, 408 | 429 | 502 | 503 | 504)
        }
        Error::Unreachable(_) | Error::NoIdentityProvider(_) => true,
        Error::Unexpected(_) | Error::Token(_) => false,
    }
}

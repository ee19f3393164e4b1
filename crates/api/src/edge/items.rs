//! How a batch's items ended. A batch is answered with 200 whatever becomes of them, so what failed in it would show nowhere
//! if it were not carried to the edge, which counts and logs it.

use crate::problem::{Kind, Problem};

/// How a batch's items ended: travels with the answer to the edge.
#[derive(Clone)]
pub(crate) struct Items {
    /// How many were done.
    pub(super) done: u64,
    /// Of each kind of problem the first, and how many there were.
    pub(super) failed: Vec<(Problem, u64)>,
}

impl Items {
    /// The outcomes of these items.
    pub(crate) fn of<'a, T: 'a>(results: impl IntoIterator<Item = &'a Result<T, Problem>>) -> Self {
        let mut items = Self {
            done: 0,
            failed: Vec::new(),
        };
        for result in results {
            match result {
                Ok(_) => items.done += 1,
                Err(problem) => items.fail(problem),
            }
        }
        items
    }

    fn fail(&mut self, problem: &Problem) {
        match self.of_kind(problem.kind()) {
            Some(count) => *count += 1,
            None => self.failed.push((problem.clone(), 1)),
        }
    }

    fn of_kind(&mut self, kind: Kind) -> Option<&mut u64> {
        let mut failed = self.failed.iter_mut();
        let (_, count) = failed.find(|(problem, _)| problem.kind() == kind)?;
        Some(count)
    }
}

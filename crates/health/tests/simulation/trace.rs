//! What happens in a run, so that two runs can be compared and one can be read.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use tokio::time::Instant;

/// One run at a time is traced on a thread: its own.
struct Trace {
    began: Instant,
    /// Of what happens in the same instant the order is left out: it says nothing.
    sum: u64,
    is_told: bool,
}

thread_local! {
    static TRACE: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

pub(crate) fn begin(is_told: bool) {
    let trace = Trace {
        began: Instant::now(),
        sum: 0,
        is_told,
    };
    TRACE.with_borrow_mut(|current| *current = Some(trace));
}

pub(crate) fn note(what: fmt::Arguments<'_>) {
    TRACE.with_borrow_mut(|trace| {
        let trace = trace.as_mut().expect("a run has begun");
        let at = trace.began.elapsed();
        let mut words = Words(DefaultHasher::new());
        at.hash(&mut words.0);
        words.write_fmt(what).expect("it takes all");
        trace.sum = trace.sum.wrapping_add(words.0.finish());
        if trace.is_told {
            println!("{:10.3} {what}", at.as_secs_f64());
        }
    });
}

/// Hashes what is written.
struct Words(DefaultHasher);

impl fmt::Write for Words {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        self.0.write(words.as_bytes());
        Ok(())
    }
}

/// The same of runs in which the same happened at the same times.
pub(crate) fn sum() -> u64 {
    TRACE.with_borrow(|trace| trace.as_ref().expect("a run has begun").sum)
}

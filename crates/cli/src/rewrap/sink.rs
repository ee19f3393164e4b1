//! Where batches end, one after the other.

use std::{fmt::Write, io, time::Duration};

use tokio::time::Instant;

use super::{
    checkpoint::Checkpoint,
    files::{Disk, Part},
    sending::Done,
};
use crate::output::plain;

/// Writes what is done, in the input's order, and now and then how far that is.
pub(super) struct Sink<D> {
    disk: D,
    at: Checkpoint,
    /// How often the disk is waited for.
    period: Duration,
    flushed: Instant,
    is_flushed: bool,
}

impl<D: Disk> Sink<D> {
    /// Goes on where a checkpoint is.
    pub(super) fn new(disk: D, at: Checkpoint, period: Duration) -> Self {
        Self {
            disk,
            at,
            period,
            flushed: Instant::now(),
            is_flushed: false,
        }
    }

    /// How far it has come.
    pub(super) fn at(&self) -> &Checkpoint {
        &self.at
    }

    /// Writes what became of a batch.
    pub(super) fn take(&mut self, done: Done) -> io::Result<()> {
        let mut next = Checkpoint {
            input: done.end,
            ..self.at.clone()
        };
        let (mut output, mut rejects) = (String::new(), String::new());
        for line in &done.lines {
            match line {
                Ok(line) => {
                    output.push_str(&line.text);
                    output.push('\n');
                    next.done += 1;
                    next.unchanged += u64::from(line.is_unchanged);
                }
                Err(reject) => {
                    let told = match self.at.rejects_bytes {
                        Some(_) => serde_json::to_string(reject)?,
                        None => plain(&reject.to_string()),
                    };
                    // Writing to a text does not fail.
                    let _ = writeln!(rejects, "{told}");
                    next.rejected += 1;
                }
            }
        }
        self.disk.append(Part::Output, output.as_bytes())?;
        self.disk.append(Part::Rejects, rejects.as_bytes())?;
        next.output_bytes += output.len() as u64;
        next.rejects_bytes = next.rejects_bytes.map(|bytes| bytes + rejects.len() as u64);
        self.at = next;
        self.is_flushed = false;
        if self.flushed.elapsed() >= self.period {
            self.flush()?;
        }
        Ok(())
    }

    /// Has all that was written reach the disk, and then says so.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.is_flushed {
            self.disk.sync(Part::Output)?;
            self.disk.sync(Part::Rejects)?;
            self.disk.checkpoint(&self.at)?;
            self.is_flushed = true;
        }
        self.flushed = Instant::now();
        Ok(())
    }
}

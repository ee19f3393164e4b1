//! `keyferry rewrap`

mod checkpoint;
mod files;
mod input;
mod pace;
mod progress;
mod record;
mod sending;
mod sink;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read, stdin},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Args;
use futures::{StreamExt, stream::FuturesOrdered};
use tokio::sync::mpsc;

use self::{
    checkpoint::Checkpoint,
    files::{Disk, Files, are_same},
    input::{Batch, Input},
    pace::Pace,
    progress::{Progress, say},
    sending::Sending,
    sink::Sink,
};
use crate::{access::AccessOptions, failure::Failure, serve::Signals};

/// Brings many envelopes under the newest version of a tenant's key.
///
/// Reads and writes NDJSON: each line an object with a `wrapped_key` or a `ciphertext`; all else in it stays as it is.
#[derive(Args, Debug)]
pub(crate) struct Rewrap {
    #[command(flatten)]
    access: AccessOptions,
    /// The tenant's slug
    #[arg(long, value_name = "SLUG")]
    tenant: String,
    /// What is rewrapped; `-` is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// Where it is written, in the same order; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Go on where a run with the same files was cut off
    #[arg(long)]
    resume: bool,
    /// Where it is written which lines are not in the output, and why; standard error if left out
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// End once more lines than that are rejected
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    max_rejects: u64,
    /// How many lines are sent at once
    #[arg(long, value_name = "LINES", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    batch: u16,
    /// How many batches are under way at once
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Give up when nothing comes of a batch for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
}

/// Bounds of a run.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The most lines in a batch.
    batch: usize,
    /// The most batches under way.
    concurrency: usize,
    /// The most rejects.
    rejects: u64,
}

/// An input at the place where a run goes on, and what it writes to.
struct Begun {
    input: Input<Box<dyn Read + Send>>,
    /// How long the input is, if that is known.
    total: Option<u64>,
    files: Files,
    at: Checkpoint,
}

impl Rewrap {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let tenant = self.access.client()?.tenant(&self.tenant);
        let Begun {
            input,
            total,
            files,
            at,
        } = self.begin()?;
        let mut signals = Signals::listen()?;
        let bounds = Bounds {
            batch: self.batch.into(),
            concurrency: self.concurrency.into(),
            rejects: self.max_rejects,
        };
        let pace = Arc::new(Pace::new(FIRST_WAIT));
        let progress = Progress::new(&at, total, Arc::clone(&pace));
        let sending = Sending {
            tenant,
            pace,
            patience: Duration::from_secs(self.patience),
        };
        let mut sink = Sink::new(files, at, FLUSH);
        let ended = tokio::select! {
            ended = work(input, sending, bounds, &mut sink, &progress) => ended,
            () = progress.tell() => Ok(()),
            () = signals.stop() => Err(Failure::interrupted("ended before the input did")),
        };
        progress.end();
        sink.flush().map_err(unwritten)?;
        let at = sink.at();
        say(&told(at));
        match ended {
            Err(failure) if self.has_checkpoint() => Err(failure.with("the same command with --resume goes on there")),
            Ok(()) if at.rejected > 0 => Err(Failure::refused(format!(
                "{} lines were rejected, and are not in the output",
                at.rejected
            ))),
            ended => ended,
        }
    }

    fn output(&self) -> Option<&Path> {
        named(&self.output)
    }

    /// Only what is read from a file and written to one can be taken up again. A pipe or a device has a name, too, and no place
    /// beside it.
    fn has_checkpoint(&self) -> bool {
        let is_kept = |path: &Path| path.metadata().map_or(true, |meta| meta.is_file());
        named(&self.input).is_some_and(is_kept) && self.output().is_some_and(is_kept)
    }

    fn begin(&self) -> Result<Begun, Failure> {
        self.keep_files_apart()?;
        let (source, total): (Box<dyn Read + Send>, _) = match named(&self.input) {
            None => (Box::new(stdin()), None),
            Some(path) => {
                let cannot = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
                let file = File::open(path).map_err(cannot)?;
                let meta = file.metadata().map_err(cannot)?;
                (Box::new(file), meta.is_file().then_some(meta.len()))
            }
        };
        let mut input = Input::new(source);
        let rejects = self.rejects.as_deref();
        if let (true, Some(output)) = (self.resume, self.output())
            && let Some(at) = Checkpoint::read(&Checkpoint::beside(output))?
        {
            let is_same = input.skip_to(&at.input).map_err(unread)?;
            if !is_same || at.tenant != self.tenant {
                return Err(Failure::usage(
                    "the run that was cut off had another input or another tenant: nothing was changed",
                ));
            }
            let files = Files::resume(output, rejects, &at)?;
            return Ok(Begun {
                input,
                total,
                files,
                at,
            });
        }
        let files = Files::begin(self.output(), rejects, self.has_checkpoint())?;
        let at = Checkpoint::new(&self.tenant, input.position(), rejects.is_some());
        Ok(Begun {
            input,
            total,
            files,
            at,
        })
    }

    /// Refuses what would overwrite what is read, or one of the files with another.
    fn keep_files_apart(&self) -> Result<(), Failure> {
        let checkpoint = self.output().filter(|_| self.has_checkpoint()).map(Checkpoint::beside);
        let files = [
            named(&self.input),
            self.output(),
            self.rejects.as_deref(),
            checkpoint.as_deref(),
        ];
        let files: Vec<_> = files.into_iter().flatten().collect();
        for (place, file) in files.iter().enumerate() {
            if let Some(other) = files.iter().skip(place + 1).find(|other| are_same(file, other)) {
                return Err(Failure::usage(format!(
                    "{} and {} are the same file",
                    file.display(),
                    other.display()
                )));
            }
        }
        if self.resume && !self.has_checkpoint() {
            return Err(Failure::usage("--resume needs an input and an output that are files"));
        }
        Ok(())
    }
}

/// Rewraps an input to its end: several batches are under way at once, and written in their order.
async fn work<R: Read + Send + 'static, D: Disk>(
    input: Input<R>,
    sending: Sending,
    bounds: Bounds,
    sink: &mut Sink<D>,
    progress: &Progress,
) -> Result<(), Failure> {
    // So that a run that is cut off before anything is written is known to have begun.
    sink.flush().map_err(unwritten)?;
    let (to, mut batches) = mpsc::channel::<io::Result<Batch>>(1);
    // It may wait for a read that never ends, and is not waited for.
    thread::spawn(move || input.read_all(bounds.batch, &to));
    let (mut under_way, mut is_read) = (FuturesOrdered::new(), false);
    loop {
        tokio::select! {
            batch = batches.recv(), if !is_read && under_way.len() < bounds.concurrency => match batch {
                Some(batch) => under_way.push_back(sending.clone().rewrap(batch.map_err(unread)?)),
                None => is_read = true,
            },
            Some(done) = under_way.next() => {
                sink.take(done?).map_err(unwritten)?;
                progress.note(sink.at());
                if sink.at().rejected > bounds.rejects {
                    return Err(Failure::refused(format!(
                        "more than {} lines were rejected (--max-rejects)",
                        bounds.rejects
                    )));
                }
            }
            else => return sink.flush().map_err(unwritten),
        }
    }
}

/// How it ended.
fn told(at: &Checkpoint) -> String {
    let unchanged = match at.unchanged {
        0 => String::new(),
        unchanged => format!(", {unchanged} were under the newest version already"),
    };
    format!(
        "{} rewrapped, {} rejected{unchanged}",
        at.done - at.unchanged,
        at.rejected
    )
}

fn named(path: &Path) -> Option<&Path> {
    (path != Path::new("-")).then_some(path)
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
fn unread(error: io::Error) -> Failure {
    Failure::start(format!("the input cannot be read: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for `map_err`")]
fn unwritten(error: io::Error) -> Failure {
    Failure::start(format!("the output cannot be written: {error}"))
}

/// How often the disk is waited for.
const FLUSH: Duration = Duration::from_secs(1);
/// How long is waited after a failure that asks for no time.
const FIRST_WAIT: Duration = Duration::from_millis(250);

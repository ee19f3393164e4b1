//! The files that a run writes, opened so that nothing of them is doubled or lost.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::checkpoint::Checkpoint;
use crate::failure::Failure;

/// What a run writes to. Each step may be its last.
pub(super) trait Disk {
    /// Adds to what was written; it is on the disk only once that is [synced](Self::sync).
    fn append(&mut self, part: Part, bytes: &[u8]) -> io::Result<()>;

    /// Has all that was added reach the disk.
    fn sync(&mut self, part: Part) -> io::Result<()>;

    /// Says how far the run has come.
    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> io::Result<()>;
}

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The rewrapped lines.
    Output,
    /// What is told of the others.
    Rejects,
}

/// The real ones.
pub(super) struct Files {
    output: Option<File>,
    rejects: Option<File>,
    checkpoint: Option<PathBuf>,
}

impl Files {
    /// Opens files for a run that begins. An output, or a file of rejects, that has something in it is left alone.
    pub(super) fn begin(output: Option<&Path>, rejects: Option<&Path>, has_checkpoint: bool) -> Result<Self, Failure> {
        let opened = Self::open(output, rejects, has_checkpoint)?;
        for (file, path) in [(&opened.output, output), (&opened.rejects, rejects)] {
            let (Some(file), Some(path)) = (file, path) else {
                continue;
            };
            let meta = file.metadata().map_err(|error| cannot("read", path, &error))?;
            // A pipe or a device takes what comes.
            if meta.is_file() && meta.len() > 0 {
                return Err(Failure::usage(format!(
                    "{} is there already. --resume continues a run that was cut off; else give another file, or remove it",
                    path.display()
                )));
            }
        }
        Ok(opened)
    }

    /// Opens the files of a run that was cut off, and takes away what was added to them after its checkpoint.
    pub(super) fn resume(output: &Path, rejects: Option<&Path>, checkpoint: &Checkpoint) -> Result<Self, Failure> {
        match (checkpoint.rejects_bytes, rejects) {
            (Some(_), None) => return Err(Failure::usage("the run was begun with --rejects: give the same file")),
            (None, Some(_)) => return Err(Failure::usage("the run was begun without --rejects: leave it out")),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let opened = Self::open(Some(output), rejects, true)?;
        // It was read before the output was ours: another run may have gone on, and come to its end, in between.
        if Checkpoint::read(&Checkpoint::beside(output))?.as_ref() != Some(checkpoint) {
            return Err(Failure::usage(
                "another run has gone on just now: nothing was changed. The same command again goes on behind it",
            ));
        }
        let parts = [
            (&opened.output, Some(output), checkpoint.output_bytes),
            (&opened.rejects, rejects, checkpoint.rejects_bytes.unwrap_or_default()),
        ];
        for (file, path, bytes) in parts {
            let (Some(mut file), Some(path)) = (file.as_ref(), path) else {
                continue;
            };
            let meta = file.metadata().map_err(|error| cannot("read", path, &error))?;
            // What went to a pipe or a device is gone.
            if !meta.is_file() {
                continue;
            }
            let len = meta.len();
            if len < bytes {
                return Err(Failure::usage(format!(
                    "{} has {len} bytes, and the checkpoint tells of {bytes}: it is not the file that the run wrote",
                    path.display()
                )));
            }
            file.set_len(bytes)
                .and_then(|()| file.seek(SeekFrom::Start(bytes)))
                .map_err(|error| cannot("write", path, &error))?;
        }
        Ok(opened)
    }

    fn open(output: Option<&Path>, rejects: Option<&Path>, has_checkpoint: bool) -> Result<Self, Failure> {
        let checkpoint = output.filter(|_| has_checkpoint).map(Checkpoint::beside);
        Ok(Self {
            output: output.map(open).transpose()?,
            rejects: rejects.map(open).transpose()?,
            checkpoint,
        })
    }
}

impl Disk for Files {
    fn append(&mut self, part: Part, bytes: &[u8]) -> io::Result<()> {
        match (part, &mut self.output, &mut self.rejects) {
            (Part::Output, Some(file), _) | (Part::Rejects, _, Some(file)) => file.write_all(bytes),
            (Part::Output, None, _) => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            (Part::Rejects, _, None) => io::stderr().lock().write_all(bytes),
        }
    }

    fn sync(&mut self, part: Part) -> io::Result<()> {
        let file = match part {
            Part::Output => &self.output,
            Part::Rejects => &self.rejects,
        };
        match file {
            Some(file) if file.metadata()?.is_file() => file.sync_data(),
            Some(_) | None => Ok(()),
        }
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.checkpoint.as_ref().map_or(Ok(()), |file| checkpoint.replace(file))
    }
}

/// Whether two paths lead to the same file, by whatever names.
pub(super) fn are_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    one == other || (id(one).is_some() && id(one) == id(other))
}

/// Opens a file to be written by nobody else meanwhile.
fn open(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|error| cannot("write", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::usage(format!(
            "another run writes to {} just now",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot("lock", path, &error)),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot {what} {}: {error}", path.display()))
}

//! How far a run has come: a small file beside the output, by which it is taken up again.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::input::Position;
use crate::failure::Failure;

/// How far a run has come. All that it tells of is on the disk before it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    /// The tenant's slug.
    pub(super) tenant: String,
    /// Where the input is read up to.
    pub(super) input: Position,
    /// How long the output is.
    pub(super) output_bytes: u64,
    /// How long the file of rejects is, if there is one.
    pub(super) rejects_bytes: Option<u64>,
    /// How many lines are in the output.
    pub(super) done: u64,
    /// Of them, how many were under the newest version already.
    pub(super) unchanged: u64,
    /// How many are rejected.
    pub(super) rejected: u64,
}

impl Checkpoint {
    /// That of a run that begins.
    pub(super) fn new(tenant: &str, begin: Position, has_rejects: bool) -> Self {
        Self {
            tenant: tenant.to_owned(),
            input: begin,
            output_bytes: 0,
            rejects_bytes: has_rejects.then_some(0),
            done: 0,
            unchanged: 0,
            rejected: 0,
        }
    }

    /// Where the checkpoint of an output is.
    pub(super) fn beside(output: &Path) -> PathBuf {
        let mut name = OsString::from(output);
        name.push(".checkpoint");
        name.into()
    }

    /// Reads one, if it is there.
    pub(super) fn read(file: &Path) -> Result<Option<Self>, Failure> {
        match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| Failure::usage(format!("{} is no checkpoint: {error}", file.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::usage(format!("cannot read {}: {error}", file.display()))),
        }
    }

    /// Replaces what is in a file: afterwards it holds this, whatever happens, and until then what it held before.
    pub(super) fn replace(&self, file: &Path) -> io::Result<()> {
        let dir = match file.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer(&mut new, self)?;
        new.write_all(b"\n")?;
        new.as_file().sync_all()?;
        new.persist(file).map_err(|error| error.error)?;
        fs::File::open(dir)?.sync_all()
    }
}

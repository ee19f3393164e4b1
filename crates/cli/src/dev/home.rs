//! The directory where `keyferry dev` keeps everything. Its owner alone may read it.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use keyferry_client::Client;
use serde::{Serialize, de::DeserializeOwned};

use crate::{access::AccessOptions, failure::Failure};

/// The directory, by its absolute path.
pub(super) struct Home(PathBuf);

impl Home {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .and_then(|()| path.canonicalize())
            .map(Self)
            .map_err(|error| Failure::start(format!("{} cannot be used: {error}", path.display())))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn emulator(&self) -> PathBuf {
        self.0.join("emulator")
    }

    pub(super) fn database(&self) -> String {
        format!("sqlite:{}", self.0.join("registry.db").display())
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    pub(super) fn client_secret(&self) -> PathBuf {
        self.0.join("client-secret")
    }

    pub(super) fn access(&self, who: &str) -> PathBuf {
        self.0.join(format!("{who}.json"))
    }

    pub(super) fn write_ca(&self, pem: &str) -> Result<(), Failure> {
        self.write(&self.ca(), pem.as_bytes())
    }

    pub(super) fn write_config(&self, text: &str) -> Result<PathBuf, Failure> {
        let file = self.0.join("keyferry.toml");
        self.write(&file, text.as_bytes())?;
        Ok(file)
    }

    pub(super) fn write_json(&self, file: &Path, value: &impl Serialize) -> Result<(), Failure> {
        self.write(file, &serde_json::to_vec_pretty(value).map_err(Failure::start)?)
    }

    pub(super) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.0.join(name)).ok()?).ok()
    }

    /// A client with the operator's access file, which was written for this start's ports.
    pub(super) fn operator_client(&self) -> Result<Client, Failure> {
        AccessOptions::of_file(self.access("operator")).client()
    }

    /// Written beside and renamed: a kill leaves the old file or the new one.
    pub(super) fn write(&self, file: &Path, text: &[u8]) -> Result<(), Failure> {
        let beside = file.with_extension("new");
        let written = || -> io::Result<()> {
            let mut out = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            out.write_all(text)?;
            out.sync_all()?;
            fs::rename(&beside, file)
        };
        written().map_err(|error| Failure::start(format!("{} cannot be written: {error}", file.display())))
    }
}

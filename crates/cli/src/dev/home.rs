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

/// The application's secret, in a file of its own as the configuration wants it.
pub(super) const CLIENT_SECRET: &str = "client-secret";

/// What signs links to customers' pages, likewise.
pub(super) const LINK_KEY: &str = "link-key";

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
        self.0.join(CLIENT_SECRET)
    }

    pub(super) fn link_key(&self) -> PathBuf {
        self.0.join(LINK_KEY)
    }

    pub(super) fn write_ca(&self, pem: &str) -> Result<(), Failure> {
        self.write("ca.pem", pem.as_bytes())
    }

    pub(super) fn write_config(&self, text: &str) -> Result<PathBuf, Failure> {
        self.write("keyferry.toml", text.as_bytes())?;
        Ok(self.0.join("keyferry.toml"))
    }

    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        self.write(name, &serde_json::to_vec_pretty(value).map_err(Failure::start)?)
    }

    /// What a file holds, if it is there. One that cannot be read is not taken for none.
    pub(super) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let file = self.0.join(name);
        let read = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        read.map_err(|error| {
            let (file, home) = (file.display(), self.0.display());
            Failure::start(format!(
                "{file} cannot be read: {error}. Restore it, or remove {home} to begin anew"
            ))
        })
    }

    /// A client with the operator's access file, which was written for this start's ports.
    pub(super) fn operator_client(&self) -> Result<Client, Failure> {
        AccessOptions::of_file(self.0.join("operator.json")).client()
    }

    /// Written beside and renamed: a kill leaves the old file or the new one.
    pub(super) fn write(&self, name: &str, text: &[u8]) -> Result<(), Failure> {
        let (file, beside) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let written = || -> io::Result<()> {
            let mut out = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            out.write_all(text)?;
            out.sync_all()?;
            fs::rename(&beside, &file)
        };
        written().map_err(|error| Failure::start(format!("{} cannot be written: {error}", file.display())))
    }
}

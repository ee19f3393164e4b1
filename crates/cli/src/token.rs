//! `keyferry token`

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    access::{Access, DEV_ACCESS},
    failure::Failure,
};

/// Prints a token. Whoever has it has the caller's rights until it expires: do not paste it where it stays.
#[derive(Args, Debug)]
pub(crate) struct Token {
    /// A file that says how to get a token (docs/command.md); `keyferry dev` writes one
    #[arg(long, env = "KEYFERRY_ACCESS")]
    access: Option<PathBuf>,
}

impl Token {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let access = Access::read(self.access.as_deref().unwrap_or(Path::new(DEV_ACCESS)))?;
        println!("{}", access.credentials(access.http()?).token().await?.expose());
        Ok(())
    }
}

//! `keyferry token`

use clap::Args;

use crate::{access::AccessOptions, failure::Failure};

/// Prints a token. Whoever has it has the caller's rights until it expires: do not paste it where it stays.
#[derive(Args, Debug)]
pub(crate) struct Token {
    #[command(flatten)]
    access: AccessOptions,
}

impl Token {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        println!("{}", self.access.credentials()?.token().await?.expose());
        Ok(())
    }
}

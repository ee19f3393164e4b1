//! `keyferry migrate`

use clap::Args;
use keyferry_registry::DatabaseUrl;

use crate::failure::{Failure, whole};

/// Brings the registry's database to the current schema. Running it again changes nothing; the release before goes on
/// working beside it.
#[derive(Args, Debug)]
pub(crate) struct Migrate {
    /// `postgres://user:password@host/database` or `sqlite:path`; better given in the environment, since it holds a password
    #[arg(long, env = "KEYFERRY_REGISTRY__URL", hide_env_values = true)]
    url: String,
}

impl Migrate {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let url: DatabaseUrl = self.url.parse().map_err(Failure::usage)?;
        keyferry_registry::migrate(&url).await.map_err(|error| {
            let told = format!("the schema was not brought up to date: {}", whole(&error));
            if error.is_passing() {
                Failure::unavailable(told)
            } else {
                Failure::start(told)
            }
        })?;
        println!("the registry's schema is current");
        Ok(())
    }
}

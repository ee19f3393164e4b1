//! Has a tenant's key looked at.

use std::time::Duration;

use clap::Args;
use keyferry_client::{Admin, key::KeyHealth};

use super::key;
use crate::{
    failure::Failure,
    onboarding::Named,
    output::{Output, lines},
};

/// Whose key, and how long to wait for what is found.
#[derive(Args, Debug)]
pub(super) struct Look {
    #[command(flatten)]
    named: Named,
    /// Give up after so long, with exit code 4; the key is looked at all the same
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

impl Look {
    pub(super) async fn run(self, admin: &Admin, output: Output) -> Result<(), Failure> {
        let slug = &self.named.slug;
        let before = admin.look(slug).await?;
        let patience = Duration::from_secs(self.timeout);
        let Ok(found) = tokio::time::timeout(patience, found(admin, slug, &before)).await else {
            return Err(Failure::unavailable(format!(
                "nobody looked at the key of {slug} in {} s. Only those of active tenants are looked at",
                self.timeout
            )));
        };
        let found = found?;
        output.text(&found, || lines(&key::fields(&found)));
        Ok(())
    }
}

/// How the key is once it was looked at.
async fn found(admin: &Admin, slug: &str, before: &KeyHealth) -> Result<KeyHealth, Failure> {
    loop {
        let now = admin.key(slug).await?;
        if now.checked_at != before.checked_at {
            return Ok(now);
        }
        tokio::time::sleep(POLL).await;
    }
}

const POLL: Duration = Duration::from_millis(500);

//! `keyferry replicas`

use clap::Args;

use crate::{access::AccessOptions, failure::Failure, output::Output};

/// Lists the replicas of the service that live, and how far each has followed what is told to all.
#[derive(Args, Debug)]
pub(crate) struct Replicas {
    #[command(flatten)]
    access: AccessOptions,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Replicas {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let all = self.access.client()?.admin().replicas().await?;
        let head = ["NAME", "REPLICA", "RELEASE", "STARTED", "SEEN", "FOLLOWED"];
        self.output.rows(&all, &head, |replica| {
            vec![
                replica.name.clone(),
                replica.id.clone(),
                replica.release.clone(),
                replica.started_at.clone(),
                replica.seen_at.clone(),
                replica.followed.to_string(),
            ]
        });
        Ok(())
    }
}

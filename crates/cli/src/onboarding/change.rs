//! Changes an onboarding.

use clap::Args;
use keyferry_client::onboarding::{Onboarding, OnboardingChange, Onboardings};

use super::{
    Named,
    answers::{AnswerOptions, EndpointPolicy},
};
use crate::{failure::Failure, policy::PolicyOptions};

/// What is to change.
#[derive(Args, Debug)]
pub(crate) struct Change {
    #[command(flatten)]
    named: Named,
    /// Its name for people
    #[arg(long)]
    display_name: Option<String>,
    /// Whether there is a private endpoint to the customer's vault
    #[arg(long, value_enum)]
    private_endpoint: Option<EndpointPolicy>,
    /// Let the public network be used while the private endpoint cannot, or not
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    allow_public_path: Option<bool>,
    /// Vouch for the directory that the customer answered, though it is another tenant's or onboarding's too
    #[arg(long)]
    confirm_directory: bool,
    #[command(flatten)]
    answers: AnswerOptions,
    #[command(flatten)]
    policy: PolicyOptions,
}

impl Change {
    pub(super) async fn run(self, onboardings: &Onboardings) -> Result<Onboarding, Failure> {
        let read = onboardings.get(&self.named.slug).await?;
        let change = OnboardingChange {
            display_name: self.display_name,
            policy: self.policy.over(read.policy),
            endpoint_policy: self.private_endpoint.map(|policy| policy.slug().to_owned()),
            allows_public_path: self.allow_public_path,
            confirm_directory: self.confirm_directory,
            answers: self.answers.typed(),
        };
        Ok(super::change(onboardings, read, &change).await?)
    }
}

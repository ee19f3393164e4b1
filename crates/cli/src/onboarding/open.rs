//! Opens an onboarding.

use clap::Args;
use keyferry_client::onboarding::{NewOnboarding, Onboardings};
use uuid::Uuid;

use super::{
    answers::{AnswerOptions, EndpointPolicy},
    link,
};
use crate::{
    failure::Failure,
    output::Output,
    policy::{DEFAULT_POLICY, PolicyOptions},
};

/// What opens an onboarding.
#[derive(Args, Debug)]
pub(crate) struct Open {
    /// The slug that the tenant will have: 1 to 63 lower-case letters, digits and hyphens
    slug: String,
    /// Its name for people; the slug if left out
    #[arg(long)]
    display_name: Option<String>,
    /// The cloud: public, china or us-government
    #[arg(long, default_value = "public")]
    cloud: String,
    /// Whether there is a private endpoint to the customer's vault
    #[arg(long, value_enum, default_value = "off")]
    private_endpoint: EndpointPolicy,
    /// Let the public network be used while the private endpoint cannot
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    allow_public_path: Option<bool>,
    #[command(flatten)]
    answers: AnswerOptions,
    #[command(flatten)]
    policy: PolicyOptions,
    /// Makes it safe to run the same command again; a random one if left out
    #[arg(long)]
    idempotency_key: Option<String>,
}

impl Open {
    pub(super) async fn run(self, onboardings: &Onboardings, output: Output) -> Result<(), Failure> {
        let new = NewOnboarding {
            display_name: self.display_name.unwrap_or_else(|| self.slug.clone()),
            slug: self.slug,
            cloud: self.cloud,
            policy: self.policy.over(DEFAULT_POLICY),
            endpoint_policy: Some(self.private_endpoint.slug().to_owned()),
            allows_public_path: self.allow_public_path,
            answers: self.answers.typed(),
        };
        let key = self.idempotency_key.unwrap_or_else(|| Uuid::new_v4().to_string());
        let opened = onboardings.open(&new, Some(&key)).await?;
        link::print(&opened, output);
        Ok(())
    }
}

//! Prints what a customer's administrator can follow or run.

use clap::{Args, ValueEnum};
use keyferry_client::onboarding::Onboardings;

use crate::{failure::Failure, output::Output};

/// Whose instructions, and in which form.
#[derive(Args, Debug)]
pub(crate) struct Instructions {
    /// The onboarding's slug
    slug: String,
    /// In which form
    #[arg(value_enum)]
    form: Form,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// The links for admin consent
    Consent,
    /// A script of `az` commands
    Az,
    /// A Bicep template
    Bicep,
    /// A Terraform configuration
    Terraform,
}

impl Instructions {
    pub(super) async fn run(self, onboardings: &Onboardings, output: Output) -> Result<(), Failure> {
        let form = match self.form {
            Form::Consent => "consent",
            Form::Az => "az",
            Form::Bicep => "bicep",
            Form::Terraform => "terraform",
        };
        let text = onboardings.instructions(&self.slug, form).await?;
        let text = text.trim_end_matches('\n');
        output.text(&serde_json::json!({ "form": form, "text": text }), || text.to_owned());
        Ok(())
    }
}

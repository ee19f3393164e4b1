//! The forms that instructions come in.

use keyferry_onboarding::{
    Onboardings,
    instructions::{az_script, bicep, consent_links, terraform},
};
use keyferry_registry::onboarding::Onboarding;

/// A form of the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The links by which an administrator consents.
    Consent,
    /// Commands for the Azure CLI.
    Az,
    /// A Bicep template.
    Bicep,
    /// A Terraform configuration.
    Terraform,
}

impl Form {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Consent, Self::Az, Self::Bicep, Self::Terraform];

    /// The form of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.slug() == name)
    }

    /// Its name in URLs.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Az => "az",
            Self::Bicep => "bicep",
            Self::Terraform => "terraform",
        }
    }

    /// The name of a file that holds it.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Consent => "consent.txt",
            Self::Az => "customer-key.sh",
            Self::Bicep => "customer-key.bicep",
            Self::Terraform => "customer-key.tf",
        }
    }

    /// Writes it with a customer's values.
    pub(crate) fn write(self, onboardings: &Onboardings, onboarding: &Onboarding) -> String {
        let facts = onboardings.facts(onboarding);
        let choices = onboardings.choices(onboarding);
        match self {
            Self::Consent => consent(onboardings, onboarding),
            Self::Az => az_script(&facts, choices),
            Self::Bicep => bicep(&facts, choices),
            Self::Terraform => terraform(&facts, choices),
        }
    }
}

/// Both links, a line each. They carry no state, since nobody's consent is begun by reading them: what comes back with them is not
/// taken for an answer, and the checks find out whether consent was given.
fn consent(onboardings: &Onboardings, onboarding: &Onboarding) -> String {
    let facts = onboardings.facts(onboarding);
    let mut callback = onboardings.config().public_url.clone();
    callback.set_path("/onboarding/consent");
    let links = consent_links(facts.cloud, facts.application.client_id, facts.directory, &callback, "");
    format!("{}\n{}\n", links.v1, links.v2)
}

//! What administrators are told when something was not done.

use keyferry_onboarding::{OnboardingError, intake::Field};

use crate::{
    admin::tenant_json::Refusals,
    problem::{Kind, Problem},
};

/// The problem that an error is.
pub(super) fn refused(error: OnboardingError) -> Problem {
    let mut refusals = Refusals::default();
    match error {
        OnboardingError::Unknown => return super::unknown(),
        OnboardingError::Stage(stage) => {
            return Problem::because(Kind::OnboardingStage, format!("The onboarding is {stage}."));
        }
        OnboardingError::Registry(error) => return error.into(),
        OnboardingError::Answers(answers) => {
            for (field, refusal) in answers {
                refusals.refuse(name(field), refusal);
            }
        }
        OnboardingError::CloudNotServed => refusals.refuse("cloud", error),
        OnboardingError::NoEndpoints => refusals.refuse("endpoint_policy", error),
        OnboardingError::Policy(error) => refusals.note(error),
    }
    refusals.into_problem()
}

/// An answer's field in requests.
fn name(field: Field) -> &'static str {
    match field {
        Field::Directory => "answers.directory_id",
        Field::Vault => "answers.vault",
        Field::Key => "answers.key",
        Field::Resource => "answers.vault_resource_id",
    }
}

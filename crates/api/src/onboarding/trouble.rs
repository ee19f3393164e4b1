//! What goes wrong with a page, as it is told to whoever looks at one. It never tells whose page it would have been.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keyferry_onboarding::OnboardingError;
use keyferry_registry::RegistryError;

use crate::problem::{Kind, Problem};

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The link is none of ours.
    NoSuchLink,
    /// The link was good once.
    LinkOver,
    /// The form was not sent by a page of ours.
    FromElsewhere,
    /// The form is not one of ours.
    NotOurForm,
    /// It was asked too often.
    TooOften(Duration),
    /// The onboarding is not at the stage for that.
    NotNow,
    /// The administrator, or Entra, said no; with Entra's code, and the way back.
    ConsentDenied {
        /// Entra's code, if it is one.
        code: Option<String>,
        /// The page.
        back: url::Url,
    },
    /// Consent was given in another directory; with the way back.
    OtherDirectory {
        /// The page.
        back: url::Url,
    },
    /// What came back from Entra belongs to nothing that was begun here, or came twice, or late.
    ConsentStray,
    /// Anything that has nothing to do with customers.
    Problem(Problem),
}

impl Trouble {
    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchLink => StatusCode::NOT_FOUND,
            Self::LinkOver => StatusCode::GONE,
            Self::FromElsewhere => StatusCode::FORBIDDEN,
            Self::NotOurForm | Self::ConsentStray => StatusCode::BAD_REQUEST,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotNow => StatusCode::CONFLICT,
            // Entra's answer was taken: nothing is wrong with the request.
            Self::ConsentDenied { .. } | Self::OtherDirectory { .. } => StatusCode::OK,
            Self::Problem(problem) => problem.kind().status(),
        }
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        match problem.kind() {
            Kind::UnsupportedMediaType | Kind::BodyTooLarge | Kind::BodyIncomplete | Kind::BodyTimeout => {
                Self::NotOurForm
            }
            _ => Self::Problem(problem),
        }
    }
}

impl From<OnboardingError> for Trouble {
    fn from(error: OnboardingError) -> Self {
        match error {
            OnboardingError::Unknown => Self::LinkOver,
            OnboardingError::Answers(_) | OnboardingError::Policy(_) => Self::NotOurForm,
            // Others were quicker again and again, which the page then shows.
            OnboardingError::Registry(RegistryError::Conflict)
            | OnboardingError::Stage(_)
            | OnboardingError::NoEndpoints
            | OnboardingError::CloudNotServed => Self::NotNow,
            OnboardingError::Registry(error) => Self::Problem(error.into()),
        }
    }
}

impl IntoResponse for Trouble {
    /// An answer without a page, which [`failure`](super::failure) writes where it is known how pages look.
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            trouble => {
                let mut response = trouble.status().into_response();
                response.extensions_mut().insert(std::sync::Arc::new(trouble));
                response
            }
        }
    }
}

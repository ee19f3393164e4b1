//! How the administrator is sent back to the application, and with what.

use axum::body::Body;
use http::{Response, StatusCode};
use uuid::Uuid;

use super::{
    super::error::TokenError,
    request::{Asked, Version},
};
use crate::html;

/// Consent was given.
pub(super) fn accepted(asked: &Asked, directory: Uuid) -> Result<Response<Body>, TokenError> {
    let directory = directory.to_string();
    let granted = [("admin_consent", "True"), ("tenant", directory.as_str())];
    match asked.version {
        Version::One => send_back(asked, &granted, None),
        Version::Two => send_back(asked, &granted, Some(&asked.scope)),
    }
}

/// Consent was refused. The second form says `admin_consent=True` all the same.
pub(super) fn declined(asked: &Asked) -> Result<Response<Body>, TokenError> {
    match asked.version {
        Version::One => {
            let error = [
                ("error", "permission_denied"),
                ("error_description", "The admin canceled the request"),
            ];
            send_back(asked, &error, None)
        }
        Version::Two => {
            let description = TokenError::consent_declined().description();
            let error = [
                ("admin_consent", "True"),
                ("error", "consent_required"),
                ("error_description", &description),
            ];
            send_back(asked, &error, None)
        }
    }
}

fn send_back(asked: &Asked, outcome: &[(&str, &str)], scope: Option<&str>) -> Result<Response<Body>, TokenError> {
    let mut to = asked.redirect.clone();
    to.query_pairs_mut()
        .extend_pairs(outcome)
        .extend_pairs(asked.state.iter().map(|state| ("state", state)))
        .extend_pairs(scope.iter().map(|scope| ("scope", scope)));
    html::redirect(StatusCode::FOUND, to.as_str())
        .ok_or_else(|| TokenError::unregistered_redirect(to.as_str(), asked.client_id))
}

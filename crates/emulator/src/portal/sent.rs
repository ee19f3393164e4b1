//! A form as a handler gets it: one that a page of ours sent.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, Request},
};
use http::{Response, StatusCode};

use super::Portal;
use crate::{
    form::{Forged, Form},
    html,
};

/// A form that a page of ours sent.
pub(super) struct Sent(pub(super) Form);

impl FromRequest<Arc<Portal>> for Sent {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, portal: &Arc<Portal>) -> Result<Self, Self::Rejection> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, LIMIT).await.map_err(|_| too_long())?;
        let form = Form::accept(&head, &body, &portal.state.form_token);
        form.map(Self).map_err(|Forged| {
            let why = "This was not sent from a page of the portal as it is now. Go back, load the page again, and repeat it.";
            html::plain(StatusCode::FORBIDDEN, why)
        })
    }
}

pub(super) fn too_long() -> Response<Body> {
    html::plain(StatusCode::PAYLOAD_TOO_LARGE, "No form of ours is as long.")
}

/// More than any form of ours has, in bytes.
pub(super) const LIMIT: usize = 1 << 16;

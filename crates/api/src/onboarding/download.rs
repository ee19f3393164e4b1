//! Hands out instructions as files.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::header;

use super::{
    Form,
    holder::{Holder, pages},
    trouble::Trouble,
};
use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// A file of instructions with the customer's own values.
pub(super) async fn download(
    State(app): State<App>,
    holder: Holder,
    Path((_token, form)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    // A link of its own for consent is begun on the page, so that what comes back belongs to it.
    let form = Form::named(&form).filter(|form| *form != Form::Consent);
    let form = form.ok_or_else(|| Problem::new(Kind::RouteNotFound))?;
    let text = form.write(&pages(&app)?.onboardings, &holder.onboarding);
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", form.file_name()),
        ),
    ];
    Ok((headers, text).into_response())
}

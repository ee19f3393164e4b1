//! Shows the page.

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    back,
    failure::written,
    headers::SignIn,
    holder::{Holder, pages},
    trouble::Trouble,
    view::{Entered, PageView},
};
use crate::app::App;

/// Shows the page that a link opens.
pub(super) async fn show(State(app): State<App>, holder: Holder) -> Result<Response, Trouble> {
    page(&app, StatusCode::OK, &holder, &Entered::default())
}

/// Sends a browser back to the page from where a form is sent to. It comes there when it opens the address of an answer again:
/// of what was refused, or could not be done.
pub(super) async fn again(holder: Holder) -> Response {
    back(&holder.token, "main")
}

/// The page, with what was entered in vain.
pub(super) fn page(app: &App, status: StatusCode, holder: &Holder, entered: &Entered) -> Result<Response, Trouble> {
    let pages = pages(app)?;
    let view = PageView::new(pages, holder, entered);
    let sign_in = SignIn(view.sign_in().to_owned());
    let mut response = written(status, &view);
    response.extensions_mut().insert(sign_in);
    Ok(response)
}

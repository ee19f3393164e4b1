//! The page that says what went wrong.

use askama::Template;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::{StatusCode, header};

use super::{
    Pages,
    headers::{self, SignIn},
    trouble::Trouble,
    view::Frame,
};
use crate::{app::App, edge::Told, problem::Problem};

/// What went wrong, in words.
#[derive(Template)]
#[template(path = "onboarding/trouble.html")]
struct TroublePage<'a> {
    frame: Frame<'a>,
    title: &'static str,
    text: &'static str,
    /// What the other side calls it, for a support case.
    code: Option<&'a str>,
    /// The way back, which is one of our own pages.
    back: Option<&'a str>,
    request_id: Option<&'a str>,
}

/// Writes the page of whatever trouble was answered, and adds the headers that all answers have.
pub(super) async fn dress(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let extensions = response.extensions_mut();
    let sign_in = extensions.remove::<SignIn>();
    if let (Some(trouble), Some(pages)) = (extensions.remove::<std::sync::Arc<Trouble>>(), app.pages()) {
        response = told(pages, &trouble);
    }
    headers::put(response.headers_mut(), sign_in.as_ref());
    // Whatever is answered from here is either a problem, which the edge has written, or as it should be.
    response.extensions_mut().insert(Told);
    response
}

/// The page of a problem that is not the customer's.
pub(crate) fn failed(app: &App, problem: &Problem, request_id: &str) -> Response {
    let plain = problem.to_response(Some(request_id));
    let Some(pages) = app.pages() else { return plain };
    let status = plain.status();
    let (title, text) = if status.is_client_error() {
        (
            "There is nothing here",
            "Open the link that you were sent, as a whole. If it does not work, ask whoever sent it for a new one.",
        )
    } else {
        (
            "Something on our side does not work just now",
            "Nothing that you did is wrong, and nothing is lost. Try again in a few minutes.",
        )
    };
    let page = TroublePage {
        frame: pages.frame(),
        title,
        text,
        code: None,
        back: None,
        request_id: Some(request_id),
    };
    let mut response = written(status, &page);
    if let Some(wait) = plain.headers().get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    headers::put(response.headers_mut(), None);
    response
}

fn told(pages: &Pages, trouble: &Trouble) -> Response {
    let (title, text) = words(trouble);
    let (code, back) = match trouble {
        Trouble::ConsentDenied { code, back } => (code.as_deref(), Some(back.as_str())),
        Trouble::OtherDirectory { back } => (None, Some(back.as_str())),
        _ => (None, None),
    };
    let page = TroublePage {
        frame: pages.frame(),
        title,
        text,
        code,
        back,
        request_id: None,
    };
    let mut response = written(trouble.status(), &page);
    if let Trouble::TooOften(wait) = trouble {
        let seconds = wait.as_secs().saturating_add(1);
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A page as an answer.
pub(super) fn written(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => Problem::new(crate::problem::Kind::Internal).into_response(),
    }
}

/// A title, and what happened and what to do.
fn words(trouble: &Trouble) -> (&'static str, &'static str) {
    match trouble {
        Trouble::NoSuchLink => (
            "This link does not work",
            "It may have been cut off when it was copied. Open it as a whole from the message that you were sent; if it still does not work, ask whoever sent it for a new one.",
        ),
        Trouble::LinkOver => (
            "This link is not good any more",
            "It has expired, gave way to a newer one, or is not needed any more. If you still have something to do here, ask whoever sent it for a new one.",
        ),
        Trouble::FromElsewhere => (
            "That was not sent by this page",
            "For your safety we take what is entered here only from the page that your link opens. Open the link again and repeat what you did there.",
        ),
        Trouble::NotOurForm => (
            "That could not be read",
            "What was sent is not one of this page's forms, or is far too long. Open your link again and repeat what you did there.",
        ),
        Trouble::TooOften(_) => (
            "That was a little too often",
            "Wait a moment, then try again. Nothing is lost.",
        ),
        Trouble::NotNow => (
            "That cannot be done now",
            "Open your link again: the page shows how things stand and what can be done next.",
        ),
        Trouble::ConsentDenied { .. } => (
            "Our application was not authorized",
            "Microsoft Entra says that consent was not given, or could not be. Go back to try again, or let somebody try who may: a Global Administrator or a Privileged Role Administrator of your directory.",
        ),
        Trouble::OtherDirectory { .. } => (
            "That was another directory",
            "Our application was authorized in another directory than the one that you told us. Go back and correct your Tenant ID, or authorize again, signed in to the directory that your vault belongs to.",
        ),
        Trouble::ConsentStray => (
            "Back from Microsoft Entra",
            "If you have just authorized our application, open the link that you were sent: the page shows whether it worked, and lets you try again if it did not. (What came back here was used before, took too long, or belongs to another visit.)",
        ),
        Trouble::Problem(_) => (
            "Something on our side does not work just now",
            "Nothing that you did is wrong, and nothing is lost. Try again in a few minutes.",
        ),
    }
}

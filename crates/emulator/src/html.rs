//! Pages for people: no script, nothing from anywhere else, and the headers that hold them to it.

use askama::Template;
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// A page. Its forms are sent to where it came from; `sends_on_to` is the origin that they may be redirected to besides,
/// which browsers hold to the policy, too.
pub(crate) fn page(status: StatusCode, template: &impl Template, sends_on_to: Option<&str>) -> Response<Body> {
    let Ok(text) = template.render() else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.");
    };
    let mut answer = content(status, "text/html; charset=utf-8", Body::from(text));
    let policy = match sends_on_to {
        Some(origin) => format!("{POLICY} {origin}"),
        None => POLICY.to_owned(),
    };
    let headers = answer.headers_mut();
    // Without its form-action, which comes last, the policy is as strict; only the form leads nowhere.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(POLICY));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    answer
}

/// A page without any markup.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    content(status, "text/plain; charset=utf-8", Body::from(text))
}

/// Sends the browser on. `None` if that is no address.
pub(crate) fn redirect(status: StatusCode, to: &str) -> Option<Response<Body>> {
    let location = HeaderValue::from_str(to).ok()?;
    let mut answer = content(status, "text/plain; charset=utf-8", Body::empty());
    answer.headers_mut().insert(header::LOCATION, location);
    Some(answer)
}

/// What pages refer to, by its path.
pub(crate) fn asset(path: &str) -> Option<Response<Body>> {
    match path {
        "/assets/people.css" => {
            let style = include_str!("../assets/people.css");
            Some(content(StatusCode::OK, "text/css; charset=utf-8", Body::from(style)))
        }
        // Browsers ask for it whatever the page says.
        "/favicon.ico" => Some(content(StatusCode::NO_CONTENT, "image/x-icon", Body::empty())),
        _ => None,
    }
}

fn content(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = HEADERS
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect::<HeaderMap>();
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// `form-action` is last: what forms may be redirected to is put behind it.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// `no-referrer` would have browsers send `Origin: null` with our own forms.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

//! What browsers post, and the proof that the page it was typed into was ours.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, header, request::Parts};
use uuid::Uuid;

/// Drawn at each start, and in every form of ours: whoever cannot read our pages does not know it.
#[derive(Debug)]
pub(crate) struct FormToken(String);

impl FormToken {
    pub(crate) fn draw() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A form that one of our own pages sent.
#[derive(Debug)]
pub(crate) struct Form(Vec<(String, String)>);

/// A form that did not come from a page of ours.
#[derive(Debug)]
pub(crate) struct Forged;

impl Form {
    /// Reads a form, unless another site's page sent it. What is no browser says nothing of where a form came from, and has
    /// read the token.
    pub(crate) fn accept(head: &Parts, body: &[u8], token: &FormToken) -> Result<Self, Forged> {
        let form = Self(url::form_urlencoded::parse(body).into_owned().collect());
        let token = verify_slices_are_equal(form.text("token").as_bytes(), token.0.as_bytes());
        if is_from_elsewhere(head) || token.is_err() {
            return Err(Forged);
        }
        Ok(form)
    }

    /// A field as it was typed, but for the space around it; empty if it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default().trim()
    }

    /// Every value of a field, as check boxes of one name are sent.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }
}

fn is_from_elsewhere(head: &Parts) -> bool {
    let header = |name: &str| head.headers.get(name).map(http::HeaderValue::as_bytes);
    let other_site = header("sec-fetch-site").is_some_and(|site| site != b"same-origin");
    let origin = header(header::ORIGIN.as_str());
    let other_origin = origin.is_some_and(|origin| {
        let authority = str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
        authority.map(|(_, authority)| authority) != authority_of(head)
    });
    other_site || other_origin
}

/// What was asked: host and port, as the client wrote them.
pub(crate) fn authority_of(head: &Parts) -> Option<&str> {
    let named = head.uri.authority().map(http::uri::Authority::as_str);
    named.or_else(|| host_header(&head.headers))
}

fn host_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(headers: &[(&str, &str)], token: &str) -> bool {
        let ours = FormToken("ours".into());
        let mut request = http::Request::post("/vaults").header("host", "127.0.0.1:8082");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        Form::accept(&head, format!("token={token}").as_bytes(), &ours).is_ok()
    }

    #[test]
    fn a_page_of_ours_is_believed() {
        let own = [("origin", "http://127.0.0.1:8082"), ("sec-fetch-site", "same-origin")];
        assert!(accepts(&own, "ours"));
        assert!(accepts(&own[..1], "ours") && accepts(&own[1..], "ours") && accepts(&[], "ours"));
    }

    #[test]
    fn a_page_of_anybody_else_is_not_even_with_the_token() {
        for origin in [
            "http://127.0.0.1:8083",
            "http://localhost:8082",
            "https://evil.example",
            "null",
            "",
        ] {
            assert!(!accepts(&[("origin", origin)], "ours"), "{origin}");
        }
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!accepts(&[("sec-fetch-site", site)], "ours"), "{site}");
        }
    }

    #[test]
    fn nobody_is_believed_without_the_token() {
        assert!(!accepts(&[], "theirs") && !accepts(&[], "") && !accepts(&[], "ours2"));
    }
}

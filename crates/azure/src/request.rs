//! A request of our own making: a method, the segments of a path, a query, and perhaps a body.

use keyferry_crypto::vault::VaultCause;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use url::Url;

/// A request to a host that is named later. Segments are encoded one by one, so that none becomes two, or a query.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    segments: Vec<String>,
    query: Vec<(&'static str, &'static str)>,
    body: Option<Value>,
}

impl Request {
    pub(crate) fn new<'a>(method: Method, segments: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            method,
            segments: segments.into_iter().map(str::to_owned).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    /// With one more part of the query.
    pub(crate) fn query(mut self, part: (&'static str, &'static str)) -> Self {
        self.query.push(part);
        self
    }

    /// With a JSON body.
    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The same to a host.
    pub(crate) fn to(&self, client: &Client, host: &str) -> Result<RequestBuilder, VaultCause> {
        let url = self.url(host).ok_or(VaultCause::RequestRejected)?;
        let sent = client.request(self.method.clone(), url);
        Ok(match &self.body {
            Some(body) => sent.json(body),
            None => sent,
        })
    }

    fn url(&self, host: &str) -> Option<Url> {
        let mut url = Url::parse(&format!("https://{host}")).ok()?;
        url.path_segments_mut().ok()?.clear().extend(&self.segments);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(segments: &[&str]) -> String {
        let request = Request::new(Method::GET, segments.iter().copied()).query(("api-version", "2025-07-01"));
        request.url("acme.vault.azure.net").unwrap().into()
    }

    #[test]
    fn a_path_is_its_segments_and_nothing_that_is_in_one_ends_it() {
        let base = "https://acme.vault.azure.net";
        assert_eq!(
            url(&["keys", "kek", "rotationpolicy"]),
            format!("{base}/keys/kek/rotationpolicy?api-version=2025-07-01")
        );
        for (segment, encoded) in [
            ("a/b", "a%2Fb"),
            ("a?b", "a%3Fb"),
            ("a#b", "a%23b"),
            ("Keys_(prod)", "Keys_(prod)"),
            ("größe", "gr%C3%B6%C3%9Fe"),
        ] {
            assert_eq!(url(&[segment]), format!("{base}/{encoded}?api-version=2025-07-01"));
        }
    }
}

//! An answer, and what every answer must be like.

use http::HeaderMap;
use serde_json::Value;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Sends a request, and waits for the whole answer.
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        Self::try_to(request).await.unwrap()
    }

    /// The same, where there may be no answer.
    pub(crate) async fn try_to(request: reqwest::RequestBuilder) -> Result<Self, reqwest::Error> {
        let response = request.send().await?;
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    /// A header that is there once at most.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut all = self.headers.get_all(name).iter();
        let value = all.next().map_or("", |value| value.to_str().unwrap());
        assert_eq!(all.next(), None, "{name} comes twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of an answer that must have that status.
    #[track_caller]
    pub(crate) fn with(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/json");
        self.json()
    }

    /// The problem that the answer must be. Whatever is promised of every problem is checked here.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(
            problem["type"],
            format!("https://keyferry.dev/problems/{slug}"),
            "{problem}"
        );
        assert_eq!((self.status, &problem["status"]), (status, &status.into()), "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        assert!(!self.header("x-request-id").is_empty(), "{problem}");
        for text in ["title", "detail"] {
            assert!(problem[text].as_str().unwrap().len() > 5, "{problem}");
        }
        assert_eq!(
            problem["retry_after_seconds"].as_u64(),
            self.header("retry-after").parse().ok(),
            "{problem}"
        );
        assert_eq!(self.header("cache-control"), "no-store");
        problem
    }

    /// The slug of the problem, if the answer is one.
    pub(crate) fn slug(&self) -> Option<String> {
        if self.header("content-type") != "application/problem+json" {
            return None;
        }
        let slug = self.json()["type"].as_str()?.rsplit_once('/')?.1.to_owned();
        Some(slug)
    }
}

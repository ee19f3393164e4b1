//! Answers as they come: a typed client leaves out what it does not know.

use keyferry_client::Problem;
use reqwest::{RequestBuilder, header::HeaderMap};

/// An answer, with everything that its sender put into it.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The answer to a request.
    pub async fn to(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        Self {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    }

    /// Headers and body.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:?}\n{}", self.headers, self.body)
    }

    /// The problem that it holds.
    #[must_use]
    pub fn problem(&self) -> Problem {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

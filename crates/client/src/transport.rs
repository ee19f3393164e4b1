//! One request and its answer.

use std::time::Duration;

use reqwest::{Certificate, ClientBuilder, Method, RequestBuilder, Response, header};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    admin::Admin,
    data::TenantClient,
    error::{Error, Problem},
    onboarding::Onboardings,
    token::TokenSource,
};

/// A client of one Keyferry, cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    tokens: TokenSource,
}

/// An HTTP client as Keyferry's callers want it: no redirects, no proxy, with time limits, and connections given up before
/// the server gives them up (its `http.idle_timeout_seconds`); `roots` are trusted beside the system's.
pub fn http_client(roots: impl IntoIterator<Item = Certificate>) -> ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(POOL_IDLE)
        .timeout(Duration::from_secs(90))
        .tls_certs_merge(roots)
}

impl Client {
    /// A client of the Keyferry at `base`.
    pub fn new(base: Url, tokens: TokenSource) -> Result<Self, Error> {
        Ok(Self::with_http(http_client([]).build()?, base, tokens))
    }

    /// The same over an HTTP client of the caller's.
    #[must_use]
    pub fn with_http(http: reqwest::Client, base: Url, tokens: TokenSource) -> Self {
        Self { http, base, tokens }
    }

    /// The same Keyferry with other tokens.
    #[must_use]
    pub fn with_tokens(&self, tokens: TokenSource) -> Self {
        Self { tokens, ..self.clone() }
    }

    /// Where that Keyferry is.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Sealing and opening for the tenant of that slug.
    #[must_use]
    pub fn tenant(&self, slug: &str) -> TenantClient {
        TenantClient::new(self.clone(), slug)
    }

    /// Registering and administrating tenants.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// Opening and following onboardings.
    #[must_use]
    pub fn onboardings(&self) -> Onboardings {
        Onboardings::new(self.clone())
    }

    /// Whether the service says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let Ok(url) = self.base.join("/readyz") else {
            return false;
        };
        self.http
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Error> {
        let mut url = self.base.clone();
        // Segments are escaped one by one: a slug cannot reach another path.
        url.path_segments_mut()
            .map_err(|()| Error::Unexpected("the base address has no path"))?
            .pop_if_empty()
            .extend(path);
        let token = self.tokens.token().await?;
        Ok(self.http.request(method, url).bearer_auth(token.expose()))
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, Error> {
        // Written here and not by the HTTP library, so that our copy of a plaintext is wiped.
        let body = Zeroizing::new(serde_json::to_vec(body).map_err(|_| Error::Unexpected("the request is no JSON"))?);
        let request = self.request(Method::POST, path).await?;
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_vec());
        json(send(request).await?).await
    }
}

/// Sends a request; an answer that is no success is an error.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response, Error> {
    let answer = request.send().await?;
    if answer.status().is_success() {
        Ok(answer)
    } else {
        Err(refusal(answer).await)
    }
}

/// Reads an answer's JSON, and wipes the text that it came in.
pub(crate) async fn json<T: DeserializeOwned>(answer: Response) -> Result<T, Error> {
    let body = Zeroizing::new(Vec::from(answer.bytes().await?));
    serde_json::from_slice(&body).map_err(|_| Error::Unexpected("not the JSON that was expected"))
}

/// Reads an answer that is text for people.
pub(crate) async fn text(answer: Response) -> Result<String, Error> {
    Ok(answer.text().await?)
}

async fn refusal(answer: Response) -> Error {
    let retry_after = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    // Where Keyferry is not there to answer, what stands before it does, and in its own way.
    let in_its_place = answer
        .error_for_status_ref()
        .err()
        .filter(|_| answer.status().is_server_error());
    match answer.json::<Problem>().await {
        Ok(mut problem) => {
            problem.retry_after = retry_after.or(problem.retry_after);
            Error::Problem(Box::new(problem))
        }
        Err(_) => in_its_place.map_or(Error::Unexpected("a failure that is no problem+json"), Error::from),
    }
}

/// How long an idle connection is kept: half as long as the server keeps it, so that a request never meets its end.
const POOL_IDLE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(status: u16, body: &'static str) -> Error {
        let answer = http::Response::builder().status(status).body(body).unwrap();
        refusal(Response::from(answer)).await
    }

    #[tokio::test]
    async fn what_a_load_balancer_says_in_keyferrys_place_is_that_it_cannot_be_reached() {
        for status in [502, 503, 504] {
            let error = refused(status, "<html>no backend</html>").await;
            assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
        let error = refused(404, "<html>nothing here</html>").await;
        assert!(matches!(error, Error::Unexpected(_)), "{error:?}");
        let problem = r#"{"type": "https://keyferry.dev/problems/overloaded", "title": "Overloaded", "status": 503, "fault": "service"}"#;
        let error = refused(503, problem).await;
        assert_eq!(error.problem().map(Problem::slug), Some("overloaded"));
    }
}

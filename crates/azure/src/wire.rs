//! What carries the SDK's requests: our clients, answers of bounded size in memory that is wiped, errors that keep their cause.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, Context, HttpClient, Method, Request, Transport,
        headers::AUTHORIZATION,
        policies::{Policy, PolicyResult},
    },
};
use bytes::Bytes;
use keyferry_crypto::{
    tenant::Route,
    vault::{VaultCause, VaultError},
};

use crate::{
    errand::Errand,
    exchange::{Answer, exchange},
    failure::{of_entra, through_sdk},
    http::Http,
};

/// Carries requests to vaults, each on an [`Errand`] of ours: with its token, and its answer is brought to it. What is no
/// success goes back to the SDK, which challenges are for.
#[derive(Debug)]
pub(crate) struct VaultWire(Arc<Http>);

/// Carries requests to Entra. What is no success is parsed here, because the SDK fails to.
#[derive(Debug)]
pub(crate) struct EntraWire(Arc<Http>);

impl VaultWire {
    pub(crate) fn transport(http: &Arc<Http>) -> Transport {
        Transport::with_policy(Arc::new(Self(Arc::clone(http))))
    }
}

impl EntraWire {
    pub(crate) fn transport(http: &Arc<Http>) -> Transport {
        Transport::new(Arc::new(Self(Arc::clone(http))))
    }
}

#[async_trait]
impl Policy for VaultWire {
    async fn send(&self, context: &Context, request: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        let fails = |cause: VaultCause| through_sdk(ErrorKind::Io, cause.into());
        let errand = Errand::of(context).ok_or_else(|| fails(VaultCause::RequestRejected))?;
        // A first request, which only fetches the challenge, has none.
        if request.headers().get_optional_str(&AUTHORIZATION).is_some() {
            request.insert_header(AUTHORIZATION, format!("Bearer {}", errand.token().expose()));
        }
        let answer = carry(&self.0, errand.route(), request).await;
        Ok(past_sdk(answer.map_err(fails)?, errand))
    }
}

#[async_trait]
impl HttpClient for EntraWire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let fails = |error: VaultError| through_sdk(ErrorKind::Credential, error);
        // Whatever keeps us from Entra says nothing of the customer: not even that its name does not resolve.
        let answer = carry(&self.0, Route::Public, request).await;
        let answer = answer.map_err(|_| fails(VaultCause::EntraUnavailable.into()))?;
        if answer.status != 200 {
            return Err(fails(of_entra(answer.status, &answer.headers, &answer.body)));
        }
        Ok(AsyncRawResponse::from_bytes(
            answer.status.into(),
            answer.headers,
            answer.body,
        ))
    }
}

/// What the SDK sees of an answer: of a success, that it is one.
fn past_sdk(answer: Answer, errand: &Errand) -> AsyncRawResponse {
    let body = if answer.status == 200 {
        errand.bring(answer.body);
        Bytes::new()
    } else {
        answer.body
    };
    AsyncRawResponse::from_bytes(answer.status.into(), answer.headers, body)
}

/// Carries one of the SDK's requests out, by the way that is given.
async fn carry(http: &Http, route: Route, request: &Request) -> Result<Answer, VaultCause> {
    let host = request.url().host_str().unwrap_or_default();
    let client = http.client_for(host, route)?;
    let mut sent = client.request(method(request.method())?, request.url().clone());
    for (name, value) in request.headers().iter() {
        sent = sent.header(name.as_str(), value.as_str());
    }
    let Body::Bytes(body) = request.body() else {
        return Err(VaultCause::RequestRejected); // the SDK streams nothing that we ask for
    };
    exchange(sent.body(body.clone())).await
}

/// The SDK may come to know more methods than these; the operations that we ask for use no other.
fn method(method: Method) -> Result<reqwest::Method, VaultCause> {
    match method {
        Method::Get => Ok(reqwest::Method::GET),
        Method::Post => Ok(reqwest::Method::POST),
        _ => Err(VaultCause::RequestRejected),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use azure_core::{
        credentials::{AccessToken, Secret},
        http::headers::Headers,
    };

    use super::*;
    use crate::{clock, token::Held};

    async fn seen_by_sdk(status: u16, errand: &Errand) -> Bytes {
        let answer = Answer {
            status,
            headers: Headers::new(),
            body: Bytes::from_static(b"a data key"),
        };
        past_sdk(answer, errand).into_body().collect().await.unwrap()
    }

    #[tokio::test]
    async fn what_a_success_holds_never_gets_into_the_sdks_memory() {
        let token = AccessToken::new(Secret::new("token"), clock::now());
        let errand = Errand::new(Arc::new(Held::new(token, Duration::ZERO)), Route::Public);
        assert_eq!(
            seen_by_sdk(401, &errand).await,
            "a data key",
            "challenges are for the SDK"
        );
        assert_eq!(errand.answer(), None);
        assert_eq!(seen_by_sdk(200, &errand).await, "");
        assert_eq!(errand.answer().unwrap(), "a data key");
    }
}

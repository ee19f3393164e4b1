//! What carries the SDK's requests: our clients, answers of bounded size in memory that is wiped, errors that keep their cause.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, Context, HttpClient, Method, Request, Transport,
        headers::{AUTHORIZATION, HeaderName, HeaderValue, Headers},
        policies::{Policy, PolicyResult},
    },
};
use bytes::Bytes;
use keyferry_crypto::vault::{VaultCause, VaultError};
use zeroize::Zeroizing;

use crate::{
    errand::Errand,
    failure::{of_entra, of_transport, through_sdk},
    http::Http,
};

/// The longest answer that is read. Key Vault's and Entra's are a few kilobytes.
const MAX_ANSWER: usize = 256 << 10;

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
        let answer = exchange(&self.0, request).await;
        Ok(past_sdk(answer.map_err(fails)?, errand))
    }
}

#[async_trait]
impl HttpClient for EntraWire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let fails = |error: VaultError| through_sdk(ErrorKind::Credential, error);
        // Whatever keeps us from Entra says nothing of the customer: not even that its name does not resolve.
        let answer = exchange(&self.0, request).await;
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

struct Answer {
    status: u16,
    headers: Headers,
    body: Bytes,
}

async fn exchange(http: &Http, request: &Request) -> Result<Answer, VaultCause> {
    let host = request.url().host_str().unwrap_or_default();
    let client = http.client_for(host).map_err(|_| VaultCause::ConnectionFailed)?;
    let mut sent = client.request(method(request.method())?, request.url().clone());
    for (name, value) in request.headers().iter() {
        sent = sent.header(name.as_str(), value.as_str());
    }
    let Body::Bytes(body) = request.body() else {
        return Err(VaultCause::RequestRejected); // the SDK streams nothing that we ask for
    };
    let answer = sent
        .body(body.clone())
        .send()
        .await
        .map_err(|error| of_transport(&error))?;
    let (status, headers) = (answer.status().as_u16(), headers(answer.headers()));
    let body = read(answer).await?;
    Ok(Answer { status, headers, body })
}

/// Reads a body into memory that is wiped when the last reader is done: it may hold a data key or a token.
async fn read(mut answer: reqwest::Response) -> Result<Bytes, VaultCause> {
    // Room for all of it at once: growing would leave copies behind.
    let expected = answer.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or(MAX_ANSWER).min(MAX_ANSWER)));
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Bytes::from_owner(body)),
            Err(error) if error.is_timeout() => return Err(VaultCause::Timeout),
            Ok(Some(_)) | Err(_) => return Err(VaultCause::AnswerInvalid),
        }
    }
}

fn headers(from: &reqwest::header::HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in from {
        if let Ok(value) = value.to_str() {
            headers.insert(
                HeaderName::from(name.as_str().to_owned()),
                HeaderValue::from(value.to_owned()),
            );
        }
    }
    headers
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

    use azure_core::credentials::{AccessToken, Secret};

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
        let errand = Errand::new(Arc::new(Held::new(token, Duration::ZERO)));
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

//! One request and its whole answer: of bounded size, in memory that is wiped.

use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use bytes::Bytes;
use keyferry_crypto::vault::VaultCause;
use reqwest::{RequestBuilder, Response};
use zeroize::Zeroizing;

use crate::failure::of_transport;

/// The longest answer that is read. Key Vault's, Entra's and the resource manager's are a few kilobytes.
const MAX_ANSWER: usize = 256 << 10;

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

/// Sends a request and reads the answer.
pub(crate) async fn exchange(request: RequestBuilder) -> Result<Answer, VaultCause> {
    let answer = request.send().await.map_err(|error| of_transport(&error))?;
    let (status, headers) = (answer.status().as_u16(), headers(answer.headers()));
    let body = read(answer).await?;
    Ok(Answer { status, headers, body })
}

/// Reads a body into memory that is wiped when the last reader is done: it may hold a data key or a token.
async fn read(mut answer: Response) -> Result<Bytes, VaultCause> {
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

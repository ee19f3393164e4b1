//! Reading a request's body: its media type checked, its length bounded, its arrival timed, its memory accounted for.
//!
//! A body is held whole: no plaintext may be released before its tag is verified, so there is nothing to stream. What is
//! held is wiped when the request is done. (The server's own read buffers are not ours to wipe.)

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, Request},
};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use keyferry_crypto::secret::SecretBytes;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    app::App,
    codec::parse_json,
    config::HttpConfig,
    problem::{Kind, Problem, SHORT_WAIT},
};

/// What a body may cost.
pub(crate) struct BodyLimits {
    json: usize,
    octets: usize,
    timeout: Duration,
    budget: Arc<Semaphore>,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`.
    Json,
    /// `application/octet-stream`.
    Octets,
}

/// A whole body, JSON or an octet stream.
pub(crate) struct Payload {
    media: Media,
    bytes: SecretBytes,
    admitted: Option<OwnedSemaphorePermit>,
}

/// A whole body of JSON.
pub(crate) struct JsonPayload(Payload);

impl BodyLimits {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        Self {
            json: config.max_json_bytes,
            octets: config.max_octet_stream_bytes,
            timeout: config.body_timeout,
            budget: Arc::new(Semaphore::new(config.body_budget_bytes)),
        }
    }

    fn of(&self, media: Media) -> usize {
        match media {
            Media::Json => self.json,
            Media::Octets => self.octets,
        }
    }
}

impl Payload {
    /// What the body is.
    pub(crate) fn media(&self) -> Media {
        self.media
    }

    /// Takes the bytes out, together with what keeps them admitted.
    pub(crate) fn into_bytes(self) -> (SecretBytes, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.admitted)
    }

    /// Reads the body as JSON, borrowing from it.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        parse_json(self.bytes.expose())
    }
}

impl JsonPayload {
    /// The body as it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes.expose()
    }

    /// Reads the body as JSON, borrowing from it.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        self.0.parse()
    }
}

impl FromRequest<App> for Payload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let media = Media::of(request.headers())?;
        read(request.into_body(), media, app.body_limits()).await
    }
}

impl FromRequest<App> for JsonPayload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        match Media::of(request.headers())? {
            Media::Json => read(request.into_body(), Media::Json, app.body_limits())
                .await
                .map(Self),
            Media::Octets => Err(Problem::because(
                Kind::UnsupportedMediaType,
                "This operation takes `application/json` only.",
            )),
        }
    }
}

impl Media {
    /// The one media type that a request names.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let unsupported = || Problem::new(Kind::UnsupportedMediaType);
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(unsupported());
        }
        let mut named = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(only), None) = (named.next(), named.next()) else {
            return Err(unsupported());
        };
        let essence = only
            .as_bytes()
            .split(|&b| b == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Ok(Self::Json)
        } else if essence.eq_ignore_ascii_case(b"application/octet-stream") {
            Ok(Self::Octets)
        } else {
            Err(unsupported())
        }
    }
}

/// Reads a body whole, within its limits.
async fn read(body: Body, media: Media, limits: &BodyLimits) -> Result<Payload, Problem> {
    let most = limits.of(media);
    let hint = body.size_hint();
    if hint.lower() > most as u64 {
        return Err(too_large(media, most));
    }
    // A body of unknown length is counted as it grows; one that announces its length is counted at once.
    let announced = usize::try_from(hint.lower()).unwrap_or(usize::MAX);
    let reader = Reader {
        media,
        most,
        budget: &limits.budget,
        held: Vec::new(),
        admitted: None,
    };
    match tokio::time::timeout(limits.timeout, reader.read(body, announced)).await {
        Ok(payload) => payload,
        Err(_) => Err(Problem::new(Kind::BodyTimeout)),
    }
}

/// A body on its way in.
struct Reader<'a> {
    media: Media,
    most: usize,
    budget: &'a Arc<Semaphore>,
    held: Vec<u8>,
    admitted: Option<OwnedSemaphorePermit>,
}

impl Reader<'_> {
    async fn read(mut self, mut body: Body, announced: usize) -> Result<Payload, Problem> {
        self.admit(announced)?;
        self.held.reserve_exact(announced);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::new(Kind::BodyIncomplete))?;
            let Some(data) = frame.data_ref() else { continue };
            if data.len() > self.most - self.held.len() {
                return Err(too_large(self.media, self.most));
            }
            self.append(data)?;
        }
        Ok(Payload {
            media: self.media,
            bytes: SecretBytes::new(std::mem::take(&mut self.held)),
            admitted: self.admitted.take(),
        })
    }

    /// Keeps more of the body. A buffer that must grow is wiped before it is given back.
    fn append(&mut self, data: &[u8]) -> Result<(), Problem> {
        let needed = self.held.len() + data.len();
        if needed > self.held.capacity() {
            let grown = needed.max(self.held.capacity() * 2).min(self.most);
            self.admit(grown)?;
            let mut larger = Vec::with_capacity(grown);
            larger.extend_from_slice(&self.held);
            drop(SecretBytes::new(std::mem::replace(&mut self.held, larger)));
        }
        self.held.extend_from_slice(data);
        Ok(())
    }

    /// Takes from the budget what a buffer of that size is over what it was admitted for. Small bodies are free.
    fn admit(&mut self, size: usize) -> Result<(), Problem> {
        let admitted = self.admitted.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if size <= SMALL || size <= admitted {
            return Ok(());
        }
        let more = u32::try_from(size - admitted).unwrap_or(u32::MAX);
        let permit = Arc::clone(self.budget)
            .try_acquire_many_owned(more)
            .map_err(|_| Problem::new(Kind::BodyBudgetExhausted).retry_after(SHORT_WAIT))?;
        match &mut self.admitted {
            Some(admitted) => admitted.merge(permit),
            None => self.admitted = Some(permit),
        }
        Ok(())
    }
}

impl Drop for Reader<'_> {
    /// Wipes a body that did not arrive whole.
    fn drop(&mut self) {
        drop(SecretBytes::new(std::mem::take(&mut self.held)));
    }
}

fn too_large(media: Media, most: usize) -> Problem {
    let media = match media {
        Media::Json => "application/json",
        Media::Octets => "application/octet-stream",
    };
    Problem::because(
        Kind::BodyTooLarge,
        format!("A body of `{media}` has at most {most} bytes."),
    )
}

/// Bodies up to this many bytes are not counted: their number is bounded by that of concurrent requests.
const SMALL: usize = 64 << 10;

//! Reading a request's body: its media type checked, its length bounded, its arrival timed, its memory accounted for.
//!
//! A body is held whole: no plaintext may be released before its tag is verified, so there is nothing to stream. What is
//! held is wiped when the request is done. (The server's own read buffers are not ours to wipe.)

use std::{ops::Deref, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, Request},
};
use axum_server::ConnectionShutdown;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use keyferry_crypto::secret::SecretBytes;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    app::App,
    budget::{Budget, Charge, FREE, cost},
    codec::parse_json,
    config::HttpConfig,
    problem::{Kind, Problem},
};

/// What a body may cost.
pub(crate) struct BodyLimits {
    json: usize,
    octets: usize,
    timeout: Duration,
    budget: Budget,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`.
    Json,
    /// `application/octet-stream`.
    Octets,
    /// `application/x-www-form-urlencoded`, of a browser.
    Form,
}

/// A whole body, JSON or an octet stream.
pub(crate) struct Payload {
    media: Media,
    bytes: SecretBytes,
    charge: Charge,
    connection: Option<ConnectionShutdown>,
}

/// A whole body of JSON.
pub(crate) struct JsonPayload(Payload);

/// A whole form, as a browser sends it. What was typed may be a secret that was pasted by mistake, so it is wiped like any body.
pub(crate) struct FormPayload(Payload);

impl BodyLimits {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        Self {
            json: config.max_json_bytes,
            octets: config.max_octet_stream_bytes,
            timeout: config.body_timeout,
            budget: Budget::new(config),
        }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How long a body may take to arrive.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn of(&self, media: Media) -> usize {
        match media {
            Media::Json => self.json,
            Media::Octets => self.octets,
            Media::Form => MAX_FORM,
        }
    }
}

impl Payload {
    /// What the body is.
    pub(crate) fn media(&self) -> Media {
        self.media
    }

    /// What the request is charged.
    pub(crate) fn charge(&self) -> &Charge {
        &self.charge
    }

    /// Takes the bytes out, together with what they are charged.
    pub(crate) fn into_bytes(self) -> (SecretBytes, Charge) {
        (self.bytes, self.charge)
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

    /// The charge of a request whose answer takes `more` bytes than its body's length tells.
    pub(crate) fn charge_more(&self, limits: &BodyLimits, more: usize) -> Result<Charge, Problem> {
        let taken = limits.budget.take(more)?;
        let (before, connection) = (self.0.charge.clone(), self.0.connection.clone());
        Ok(limits.budget.charge(taken, before, connection))
    }
}

impl FormPayload {
    /// The fields, in their order.
    pub(crate) fn fields(&self) -> url::form_urlencoded::Parse<'_> {
        url::form_urlencoded::parse(self.0.bytes.expose())
    }
}

impl Deref for JsonPayload {
    type Target = Payload;

    fn deref(&self) -> &Payload {
        &self.0
    }
}

impl FromRequest<App> for Payload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        match Media::of(request.headers())? {
            Media::Form => Err(Problem::new(Kind::UnsupportedMediaType)),
            media => read(request, media, app.body_limits()).await,
        }
    }
}

impl FromRequest<App> for FormPayload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        match Media::of(request.headers())? {
            Media::Form => read(request, Media::Form, app.body_limits()).await.map(Self),
            Media::Json | Media::Octets => Err(Problem::new(Kind::UnsupportedMediaType)),
        }
    }
}

impl FromRequest<App> for JsonPayload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        match Media::of(request.headers())? {
            Media::Json => read(request, Media::Json, app.body_limits()).await.map(Self),
            Media::Octets | Media::Form => Err(Problem::because(
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
        } else if essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            Ok(Self::Form)
        } else {
            Err(unsupported())
        }
    }
}

/// Reads a request's body whole, within its limits.
async fn read(mut request: Request, media: Media, limits: &BodyLimits) -> Result<Payload, Problem> {
    let connection = request.extensions_mut().remove();
    let body = request.into_body();
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
        taken: None,
        connection,
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
    budget: &'a Budget,
    held: Vec<u8>,
    taken: Option<OwnedSemaphorePermit>,
    connection: Option<ConnectionShutdown>,
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
        Ok(self.whole())
    }

    fn whole(mut self) -> Payload {
        let charge = self.taken.take().map_or(Charge::NOTHING, |taken| {
            self.budget.charge(taken, Charge::NOTHING, self.connection.clone())
        });
        Payload {
            media: self.media,
            bytes: SecretBytes::new(std::mem::take(&mut self.held)),
            charge,
            connection: self.connection.take(),
        }
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

    /// Takes from the budget what a body of that size and its answer cost more than was taken so far.
    fn admit(&mut self, size: usize) -> Result<(), Problem> {
        if size <= FREE {
            return Ok(());
        }
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = self.budget.take(cost(self.media, size).saturating_sub(taken))?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
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
        Media::Form => "application/x-www-form-urlencoded",
    };
    Problem::because(
        Kind::BodyTooLarge,
        format!("A body of `{media}` has at most {most} bytes."),
    )
}

/// The longest form, in bytes: a few answers, each at most [`MAX_ANSWER`](keyferry_onboarding::intake::MAX_ANSWER) long, escaped.
const MAX_FORM: usize = 32 << 10;

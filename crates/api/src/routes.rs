//! The data plane: one file per operation, each singly and in batches.

mod answers;
mod batch;
mod decrypt;
mod encrypt;
mod generate_data_key;
mod rewrap;
mod unwrap;
mod wrap;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use keyferry_crypto::{id::KekId, secret::SecretBytes};
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    body::Payload,
    budget::{Answering, Charge},
    codec::{Answer, ContextMap},
    problem::Problem,
};

/// One operation on a tenant's keys, as single requests and batches have in common.
pub(crate) trait Operation {
    /// What it takes, borrowing from the body.
    type Request<'a>: Deserialize<'a> + Send;

    /// Does it. `charge` is that of the body which `request` borrows from.
    fn run<'a>(
        app: &'a App,
        tenant: &'a Tenant,
        request: Self::Request<'a>,
        charge: &'a Charge,
    ) -> impl Future<Output = Result<Answer, Problem>> + Send + 'a;
}

/// The data plane's routes.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(generate_data_key::generate_data_key))
        .routes(routes!(generate_data_key::generate_data_key_batch))
        .routes(routes!(wrap::wrap))
        .routes(routes!(wrap::wrap_batch))
        .routes(routes!(unwrap::unwrap))
        .routes(routes!(unwrap::unwrap_batch))
        .routes(routes!(rewrap::rewrap))
        .routes(routes!(rewrap::rewrap_batch))
        .routes(routes!(encrypt::encrypt))
        .routes(routes!(encrypt::encrypt_batch))
        .routes(routes!(decrypt::decrypt))
        .routes(routes!(decrypt::decrypt_batch))
}

/// Does an operation once, for the request that a body holds.
async fn once<O: Operation>(app: &App, tenant: &Tenant, payload: &Payload) -> Result<Response, Problem> {
    let answer = O::run(app, tenant, payload.parse()?, payload.charge())
        .await
        .map_err(|problem| problem.concerning(tenant.keys.tenant))?;
    Ok(json(answer.to_json(), payload.charge()))
}

/// An answer of JSON that is wiped once it is sent, and charged until then.
fn json(text: SecretBytes, charge: &Charge) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        wiped(text, charge),
    )
        .into_response()
}

/// An answer that is an octet stream, wiped once it is sent and charged until then, with the KEK in a header.
fn octets(bytes: SecretBytes, kek: &KekId, charge: &Charge) -> Response {
    let content_type = (
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    let mut response = ([content_type], wiped(bytes, charge)).into_response();
    if let Ok(kek) = HeaderValue::try_from(kek.to_string()) {
        response.headers_mut().insert(KEY_ID, kek);
    }
    response
}

fn wiped(bytes: SecretBytes, charge: &Charge) -> Body {
    Body::from(Bytes::from_owner(Exposed {
        bytes,
        _answering: charge.answering(),
    }))
}

/// Lets the server read a secret that it is to send. Wiped first, then no longer charged.
struct Exposed {
    bytes: SecretBytes,
    _answering: Option<Answering>,
}

impl AsRef<[u8]> for Exposed {
    fn as_ref(&self) -> &[u8] {
        self.bytes.expose()
    }
}

/// The context that a header gives beside an octet stream.
fn header_context(headers: &http::HeaderMap) -> Result<ContextMap, Problem> {
    let mut all = headers.get_all(ENCRYPTION_CONTEXT).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(ContextMap::default()),
        (Some(only), None) => ContextMap::from_header(only.as_bytes()),
        (Some(_), Some(_)) => ContextMap::from_header(b""),
    }
}

/// The KEK of an answer that is an octet stream.
const KEY_ID: HeaderName = HeaderName::from_static("keyferry-key-id");
/// The encryption context of a request that is an octet stream.
const ENCRYPTION_CONTEXT: HeaderName = HeaderName::from_static("keyferry-encryption-context");

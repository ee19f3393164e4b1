//! Opens data that the same tenant sealed.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use keyferry_crypto::sealer::Content;
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Operation,
    answers::{Batch, BatchAnswer, PlaintextAnswer},
};
use crate::{
    app::App,
    body::{JsonPayload, Media, Payload},
    budget::Charge,
    codec::{Answer, ContextMap, Encoded},
    heavy,
    problem::Problem,
    tenant::{ActiveTenant, ToOpen},
};

/// What is to be decrypted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecryptRequest<'a> {
    /// The ciphertext, base64url without padding.
    #[serde(borrow)]
    #[schema(value_type = String)]
    ciphertext: Encoded<'a>,
    /// The same as it was encrypted with.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({"table": "salaries"}))]
    encryption_context: ContextMap,
}

struct Decrypt;

impl Operation for Decrypt {
    type Request<'a> = DecryptRequest<'a>;

    async fn run(app: &App, tenant: &Tenant, request: DecryptRequest<'_>, charge: &Charge) -> Result<Answer, Problem> {
        let context = request.encryption_context.context()?;
        let ciphertext = request.ciphertext.secret("ciphertext")?;
        let opened = heavy::open(app, tenant, Content::Data, context, ciphertext, charge).await?;
        Ok(Answer::opened("plaintext", opened))
    }
}

/// Opens data that the same tenant sealed.
///
/// With `application/octet-stream` the body is the ciphertext and the answer is the data; the context then travels in the header
/// `keyferry-encryption-context` (base64url of the JSON map), and the KEK comes back in the header `keyferry-key-id`. The data is
/// held until its tag is verified: not a byte of it is sent before.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/decrypt",
    tag = "data",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("keyferry-encryption-context" = Option<String>, Header, description = "With an octet stream: the encryption context, base64url (without padding) of its JSON map"),
    ),
    request_body(content(
        (DecryptRequest<'static> = "application/json"),
        (Vec<u8> = "application/octet-stream"),
    )),
    responses((
        status = 200,
        description = "Decrypted",
        content((PlaintextAnswer = "application/json"), (Vec<u8> = "application/octet-stream")),
        headers(("keyferry-key-id" = Option<String>, description = "With an octet stream: the key encryption key, `https://{vault}/keys/{name}/{version}`")),
    )),
)]
pub(super) async fn decrypt(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToOpen>,
    headers: HeaderMap,
    payload: Payload,
) -> Result<Response, Problem> {
    if payload.media() == Media::Json {
        return super::once::<Decrypt>(&app, &tenant, &payload).await;
    }
    let context = super::header_context(&headers)?.context()?;
    let (ciphertext, charge) = payload.into_bytes();
    let opened = heavy::open(&app, &tenant, Content::Data, context, ciphertext, &charge).await;
    let opened = opened.map_err(|problem| problem.concerning(tenant.keys.tenant))?;
    Ok(super::octets(opened.plaintext, &opened.kek, &charge))
}

/// Opens several pieces of data that the same tenant sealed.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/decrypt/batch",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = Batch<DecryptRequest<'static>>,
    responses((status = 200, description = "Each item's outcome", body = BatchAnswer<PlaintextAnswer>)),
)]
pub(super) async fn decrypt_batch(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToOpen>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::batch::batch::<Decrypt>(&app, &tenant, &payload).await
}

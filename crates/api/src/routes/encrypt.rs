//! Encrypts data for a tenant.

use axum::{extract::State, response::Response};
use http::HeaderMap;
use keyferry_crypto::{sealer::Content, secret::SecretBytes};
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Operation,
    answers::{Batch, BatchAnswer, CiphertextAnswer},
};
use crate::{
    app::App,
    body::{JsonPayload, Media, Payload},
    budget::Charge,
    codec::{Answer, ContextMap, Encoded},
    heavy,
    problem::Problem,
    tenant::{ActiveTenant, ToSeal},
};

/// What is to be encrypted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EncryptRequest<'a> {
    /// The data, base64url without padding.
    #[serde(borrow)]
    #[schema(value_type = String, example = "cGF5cm9sbA")]
    plaintext: Encoded<'a>,
    /// Must come back, exactly, to decrypt. It is authenticated and not stored.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({"table": "salaries"}))]
    encryption_context: ContextMap,
}

struct Encrypt;

impl Operation for Encrypt {
    type Request<'a> = EncryptRequest<'a>;

    async fn run(app: &App, tenant: &Tenant, request: EncryptRequest<'_>, charge: &Charge) -> Result<Answer, Problem> {
        let context = request.encryption_context.context()?;
        let plaintext = request.plaintext.secret("plaintext")?;
        let sealed = heavy::seal(app, tenant, Content::Data, context, plaintext, charge).await?;
        Ok(Answer::sealed("ciphertext", sealed))
    }
}

/// Encrypts data for a tenant.
///
/// With `application/octet-stream` the body is the data and the answer is the ciphertext; the context then travels in the header
/// `keyferry-encryption-context` (base64url of the JSON map), and the KEK comes back in the header `keyferry-key-id`.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/encrypt",
    tag = "data",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("keyferry-encryption-context" = Option<String>, Header, description = "With an octet stream: the encryption context, base64url (without padding) of its JSON map"),
    ),
    request_body(content(
        (EncryptRequest<'static> = "application/json"),
        (Vec<u8> = "application/octet-stream"),
    )),
    responses((
        status = 200,
        description = "Encrypted",
        content((CiphertextAnswer = "application/json"), (Vec<u8> = "application/octet-stream")),
        headers(("keyferry-key-id" = Option<String>, description = "With an octet stream: the key encryption key, `https://{vault}/keys/{name}/{version}`")),
    )),
)]
pub(super) async fn encrypt(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToSeal>,
    headers: HeaderMap,
    payload: Payload,
) -> Result<Response, Problem> {
    if payload.media() == Media::Json {
        return super::once::<Encrypt>(&app, &tenant, &payload).await;
    }
    let context = super::header_context(&headers)?.context()?;
    let (plaintext, charge) = payload.into_bytes();
    let sealed = heavy::seal(&app, &tenant, Content::Data, context, plaintext, &charge).await;
    let sealed = sealed.map_err(|problem| problem.concerning(tenant.keys.tenant))?;
    Ok(super::octets(SecretBytes::new(sealed.envelope), &sealed.kek, &charge))
}

/// Encrypts several pieces of data for a tenant.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/encrypt/batch",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = Batch<EncryptRequest<'static>>,
    responses((status = 200, description = "Each item's outcome", body = BatchAnswer<CiphertextAnswer>)),
)]
pub(super) async fn encrypt_batch(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToSeal>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::batch::batch::<Encrypt>(&app, &tenant, &payload).await
}

//! Brings an envelope under the newest version of the tenant's key. Its payload is neither read nor changed.

use axum::{extract::State, response::Response};
use keyferry_crypto::{
    sealer::{Content, SealerError},
    vault::VaultCause,
};
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Operation,
    answers::{Batch, BatchAnswer, RewrapAnswer},
};
use crate::{
    app::App,
    body::JsonPayload,
    budget::Charge,
    codec::{Answer, Encoded},
    heavy::not_opened,
    problem::{Kind, Problem},
    tenant::{ActiveTenant, ToRewrap},
};

/// The envelope to be rewrapped, as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RewrapRequest<'a> {
    #[serde(borrow, default)]
    wrapped_key: Option<Encoded<'a>>,
    #[serde(borrow, default)]
    ciphertext: Option<Encoded<'a>>,
}

/// The envelope to be rewrapped: exactly one of the two.
#[derive(ToSchema)]
#[schema(as = RewrapRequest)]
#[serde(untagged)]
#[expect(dead_code, reason = "this describes the request; nothing makes a value of it")]
pub(super) enum Described {
    /// A wrapped key.
    WrappedKey {
        /// The wrapped key, base64url without padding.
        wrapped_key: String,
    },
    /// A ciphertext.
    Ciphertext {
        /// The ciphertext, base64url without padding.
        ciphertext: String,
    },
}

struct Rewrap;

impl Operation for Rewrap {
    type Request<'a> = RewrapRequest<'a>;

    async fn run(app: &App, tenant: &Tenant, request: RewrapRequest<'_>, _: &Charge) -> Result<Answer, Problem> {
        let (field, envelope) = match (request.wrapped_key, request.ciphertext) {
            (Some(wrapped_key), None) => ("wrapped_key", wrapped_key),
            (None, Some(ciphertext)) => ("ciphertext", ciphertext),
            (None, None) | (Some(_), Some(_)) => return Err(Problem::because(Kind::MalformedRequest, EITHER)),
        };
        let envelope = envelope.bytes(field)?;
        match app.sealer().rewrap(&tenant.keys, &envelope).await {
            Ok(sealed) => Ok(Answer::sealed(field, sealed)),
            Err(error) => Err(not_rewrapped(app, tenant, field, &envelope, error).await),
        }
    }
}

/// Why an envelope was not rewrapped: that it does not open, or that nothing is wrapped under the newest version. Which of them
/// is known from a moment ago, so that asking again asks no vault.
async fn not_rewrapped(app: &App, tenant: &Tenant, field: &str, envelope: &[u8], error: SealerError) -> Problem {
    let content = match field {
        "wrapped_key" => Content::Key,
        _ => Content::Data,
    };
    let is_disabled = matches!(&error, SealerError::Vault(error) if error.cause() == VaultCause::KeyDisabled);
    if is_disabled && app.sealer().key_to_open(&tenant.keys, content, envelope).await.is_err() {
        return not_opened(error, tenant, envelope);
    }
    error.into()
}

/// Brings an envelope under the newest version of the tenant's key. Its payload is neither read nor changed.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/rewrap",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = Described,
    responses((status = 200, description = "Done", body = RewrapAnswer)),
)]
pub(super) async fn rewrap(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToRewrap>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::once::<Rewrap>(&app, &tenant, &payload).await
}

/// Brings several envelopes under the newest version of the tenant's key.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/rewrap/batch",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = Batch<Described>,
    responses((status = 200, description = "Each item's outcome", body = BatchAnswer<RewrapAnswer>)),
)]
pub(super) async fn rewrap_batch(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToRewrap>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::batch::batch::<Rewrap>(&app, &tenant, &payload).await
}

const EITHER: &str = "Exactly one of `wrapped_key` and `ciphertext` is needed.";

//! Makes a new key, and wraps it for a tenant.

use axum::{extract::State, response::Response};
use keyferry_crypto::sealer::{Content, Sealer};
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Operation,
    answers::{Batch, BatchAnswer, DataKeyAnswer},
    wrap::MAX_KEY_LEN,
};
use crate::{
    app::App,
    body::JsonPayload,
    budget::Charge,
    codec::{Answer, ContextMap},
    problem::{Kind, Problem},
    tenant::{ActiveTenant, ToSeal},
};

/// What key is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerateDataKeyRequest {
    /// How many bytes, 1 to 1024.
    #[serde(default = "default_length")]
    #[schema(minimum = 1, maximum = 1024, default = 32)]
    length: usize,
    /// Whether the key is wanted in plaintext too, or only wrapped, for later.
    #[serde(default = "default_include_plaintext")]
    #[schema(default = true)]
    include_plaintext: bool,
    /// Must come back, exactly, to unwrap. It is authenticated and not stored.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({"table": "salaries"}))]
    encryption_context: ContextMap,
}

struct GenerateDataKey;

impl Operation for GenerateDataKey {
    type Request<'a> = GenerateDataKeyRequest;

    async fn run(app: &App, tenant: &Tenant, request: GenerateDataKeyRequest, _: &Charge) -> Result<Answer, Problem> {
        let context = request.encryption_context.context()?;
        if !(1..=MAX_KEY_LEN).contains(&request.length) {
            return Err(Problem::because(
                Kind::MalformedRequest,
                format!("`length` is 1 to {MAX_KEY_LEN}."),
            ));
        }
        let key = Sealer::draw_key(request.length)?;
        let sealed = app
            .sealer()
            .seal(&tenant.keys, Content::Key, &context, key.expose())
            .await?;
        let answer = Answer::sealed("wrapped_key", sealed);
        Ok(if request.include_plaintext {
            answer.with("plaintext", key)
        } else {
            answer
        })
    }
}

/// Makes a new key, and wraps it for a tenant.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/generate-data-key",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = GenerateDataKeyRequest,
    responses((status = 200, description = "Done", body = DataKeyAnswer)),
)]
pub(super) async fn generate_data_key(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToSeal>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::once::<GenerateDataKey>(&app, &tenant, &payload).await
}

/// Makes several new keys, and wraps each for a tenant.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/generate-data-key/batch",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = Batch<GenerateDataKeyRequest>,
    responses((status = 200, description = "Each item's outcome", body = BatchAnswer<DataKeyAnswer>)),
)]
pub(super) async fn generate_data_key_batch(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToSeal>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::batch::batch::<GenerateDataKey>(&app, &tenant, &payload).await
}

fn default_length() -> usize {
    32
}

fn default_include_plaintext() -> bool {
    true
}

//! Unwraps a key that was wrapped for the same tenant.

use axum::{extract::State, response::Response};
use keyferry_crypto::sealer::Content;
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Operation,
    answers::{Batch, BatchAnswer, KeyAnswer},
};
use crate::{
    app::App,
    body::JsonPayload,
    budget::Charge,
    codec::{Answer, ContextMap, Encoded},
    heavy::not_opened,
    problem::Problem,
    tenant::{ActiveTenant, ToOpen},
};

/// The key to be unwrapped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnwrapRequest<'a> {
    /// The wrapped key, base64url without padding.
    #[serde(borrow)]
    #[schema(value_type = String)]
    wrapped_key: Encoded<'a>,
    /// The same as it was wrapped with.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({"table": "salaries"}))]
    encryption_context: ContextMap,
}

struct Unwrap;

impl Operation for Unwrap {
    type Request<'a> = UnwrapRequest<'a>;

    async fn run(app: &App, tenant: &Tenant, request: UnwrapRequest<'_>, _: &Charge) -> Result<Answer, Problem> {
        let context = request.encryption_context.context()?;
        let envelope = request.wrapped_key.bytes("wrapped_key")?;
        let opened = app
            .sealer()
            .open(&tenant.keys, Content::Key, &context, &envelope)
            .await
            .map_err(|error| not_opened(error, tenant, &envelope))?;
        Ok(Answer::opened("key", opened))
    }
}

/// Unwraps a key that was wrapped for the same tenant.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/unwrap",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = UnwrapRequest<'static>,
    responses((status = 200, description = "Done", body = KeyAnswer)),
)]
pub(super) async fn unwrap(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToOpen>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::once::<Unwrap>(&app, &tenant, &payload).await
}

/// Unwraps several keys that were wrapped for the same tenant.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/unwrap/batch",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = Batch<UnwrapRequest<'static>>,
    responses((status = 200, description = "Each item's outcome", body = BatchAnswer<KeyAnswer>)),
)]
pub(super) async fn unwrap_batch(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToOpen>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::batch::batch::<Unwrap>(&app, &tenant, &payload).await
}

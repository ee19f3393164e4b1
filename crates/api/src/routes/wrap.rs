//! Wraps a caller's key for a tenant.

use axum::{extract::State, response::Response};
use keyferry_crypto::sealer::Content;
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Operation,
    answers::{Batch, BatchAnswer, WrappedKeyAnswer},
};
use crate::{
    app::App,
    body::JsonPayload,
    budget::Charge,
    codec::{Answer, ContextMap, Encoded},
    problem::{Kind, Problem},
    tenant::{ActiveTenant, ToSeal},
};

/// The key to be wrapped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrapRequest<'a> {
    /// The key, base64url without padding: 1 to 1024 bytes.
    #[serde(borrow)]
    #[schema(value_type = String, example = "3q2-7wQhA1k0q0m9Jm0k0Zx0v1nq3o0yX0m1m0m2c8A")]
    key: Encoded<'a>,
    /// Must come back, exactly, to unwrap. It is authenticated and not stored.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>, example = json!({"table": "salaries"}))]
    encryption_context: ContextMap,
}

struct Wrap;

impl Operation for Wrap {
    type Request<'a> = WrapRequest<'a>;

    async fn run(app: &App, tenant: &Tenant, request: WrapRequest<'_>, _: &Charge) -> Result<Answer, Problem> {
        let context = request.encryption_context.context()?;
        let key = request.key.secret("key")?;
        if key.is_empty() || key.len() > MAX_KEY_LEN {
            return Err(Problem::because(
                Kind::MalformedRequest,
                format!("`key` has 1 to {MAX_KEY_LEN} bytes."),
            ));
        }
        let sealed = app
            .sealer()
            .seal(&tenant.keys, Content::Key, &context, key.expose())
            .await?;
        Ok(Answer::sealed("wrapped_key", sealed))
    }
}

/// Wraps a caller's key for a tenant.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/wrap",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = WrapRequest<'static>,
    responses((status = 200, description = "Done", body = WrappedKeyAnswer)),
)]
pub(super) async fn wrap(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToSeal>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::once::<Wrap>(&app, &tenant, &payload).await
}

/// Wraps several keys for a tenant.
#[utoipa::path(
    post,
    path = "/v1/tenants/{tenant}/wrap/batch",
    tag = "data",
    params(("tenant" = String, Path, description = "The tenant's slug")),
    request_body = Batch<WrapRequest<'static>>,
    responses((status = 200, description = "Each item's outcome", body = BatchAnswer<WrappedKeyAnswer>)),
)]
pub(super) async fn wrap_batch(
    State(app): State<App>,
    ActiveTenant { tenant, .. }: ActiveTenant<ToSeal>,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    super::batch::batch::<Wrap>(&app, &tenant, &payload).await
}

/// The longest key, in bytes. What is longer is data: encrypt it.
pub(super) const MAX_KEY_LEN: usize = 1024;

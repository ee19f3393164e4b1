//! Registers a tenant.

use axum::{extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyName, KeyRef, VaultHost},
    tenant::SealingPolicy,
};
use keyferry_registry::tenant::{NewTenant, Slug, Tenant};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Administrator, ToChange,
    idempotency::idempotency,
    tenant_json::{PolicyChange, Refusals, TenantDocument, cloud},
};
use crate::{
    app::App,
    body::JsonPayload,
    problem::{Kind, Problem},
};

/// The tenant to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTenantRequest {
    /// Its name in URLs: 1 to 63 of `a-z 0-9 -`, first a letter, last not a hyphen. It never changes.
    #[schema(example = "acme")]
    slug: String,
    /// Its name for people.
    #[schema(example = "Acme Corporation")]
    display_name: String,
    /// The customer's Entra directory.
    #[schema(example = "8b0f6a3e-6b1c-4a50-9c1e-5d3d8f0f9a11")]
    directory_id: String,
    /// The cloud its vaults are in: `public`, `china` or `us-government`. It never changes.
    #[serde(default = "public")]
    #[schema(default = "public")]
    cloud: String,
    /// The vault: its host name, or its https address.
    #[schema(example = "acme.vault.azure.net")]
    vault: String,
    /// The key's name in the vault.
    #[schema(example = "kek")]
    key_name: String,
    /// Which version wraps: `latest`, or one version.
    #[serde(default = "latest")]
    #[schema(default = "latest")]
    key_version: String,
    /// How long keys may be kept and used.
    #[serde(default)]
    policy: PolicyChange,
}

/// Registers a tenant.
///
/// With an `idempotency-key` the same request can be repeated for a day without registering twice; a repetition is answered with
/// 200 instead of 201.
#[utoipa::path(
    post,
    path = "/v1/admin/tenants",
    tag = "admin",
    params(("idempotency-key" = Option<String>, Header, description = "1 to 200 visible ASCII characters")),
    request_body = CreateTenantRequest,
    responses(
        (status = 201, description = "Registered", body = TenantDocument, headers(("etag", description = "The revision"), ("location", description = "The tenant"))),
        (status = 200, description = "Registered before, by the same request", body = TenantDocument),
    ),
)]
pub(super) async fn create_tenant(
    State(app): State<App>,
    administrator: Administrator<ToChange>,
    headers: HeaderMap,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    let idempotency = idempotency(&headers, &administrator.caller, &payload)?;
    let new = payload.parse::<CreateTenantRequest>()?.accept()?;
    if !administrator.caller.may_serve(&new.slug) {
        return Err(Problem::new(Kind::SlugTaken));
    }
    let tenant = Tenant::new(new, (app.clock())()).map_err(|error| {
        let mut refusals = Refusals::default();
        refusals.note(error);
        refusals.into_problem()
    })?;
    let created = app.registry().create(&tenant, idempotency.as_ref()).await?;
    let status = if created.replayed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let mut response = super::answer(status, &created.tenant);
    if let Ok(location) = HeaderValue::try_from(format!("/v1/admin/tenants/{}", created.tenant.slug)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

impl CreateTenantRequest {
    /// Parses every field, and tells of all that cannot be parsed. (The policy's limits are the registry's to check, after that.)
    fn accept(self) -> Result<NewTenant, Problem> {
        let mut refusals = Refusals::default();
        let slug: Option<Slug> = refusals.parse("slug", &self.slug);
        let display_name = refusals.parse("display_name", &self.display_name);
        let directory: Option<DirectoryId> = refusals.directory(&self.directory_id);
        let cloud: Option<Cloud> = refusals.take("cloud", cloud(&self.cloud));
        let vault: Option<VaultHost> = cloud.and_then(|cloud| refusals.vault("vault", cloud, &self.vault));
        let name: Option<KeyName> = refusals.parse("key_name", &self.key_name);
        let version = refusals.version(&self.key_version);
        let policy = self.policy.apply(SealingPolicy::default());
        let new = || {
            let key = KeyRef {
                vault: vault?,
                name: name?,
            };
            let (slug, display_name, directory, cloud, version) = (slug?, display_name?, directory?, cloud?, version?);
            Some(NewTenant {
                slug,
                display_name,
                directory,
                cloud,
                key,
                version,
                policy,
            })
        };
        new().ok_or_else(|| refusals.into_problem())
    }
}

fn public() -> String {
    "public".to_owned()
}

fn latest() -> String {
    "latest".to_owned()
}

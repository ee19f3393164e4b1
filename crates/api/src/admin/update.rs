//! Changes a tenant.

use axum::{extract::State, response::Response};
use http::StatusCode;
use keyferry_registry::tenant::Tenant;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    AdministeredSlug, ToChange,
    revision::IfMatch,
    tenant_json::{KeyDocument, PolicyChange, Refusals, TenantDocument},
};
use crate::{app::App, body::JsonPayload, problem::Problem};

/// What is to change. What is absent stays as it is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UpdateTenantRequest {
    /// Its name for people.
    display_name: Option<String>,
    /// The customer's Entra directory.
    directory_id: Option<String>,
    /// The vault of the current key: its host name, or its https address.
    vault: Option<String>,
    /// The current key's name. The key that was current before becomes a former one, and still opens what it wrapped.
    key_name: Option<String>,
    /// Which version wraps: `latest`, or one version.
    key_version: Option<String>,
    /// The former keys that are to be kept; none can be added. What a removed key wrapped opens no more.
    former_keys: Option<Vec<KeyDocument>>,
    /// How long keys may be kept and used.
    policy: PolicyChange,
}

/// Changes a tenant.
#[utoipa::path(
    patch,
    path = "/v1/admin/tenants/{tenant}",
    tag = "admin",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("if-match" = String, Header, description = "The tenant's `etag`"),
    ),
    request_body = UpdateTenantRequest,
    responses((status = 200, description = "Changed", body = TenantDocument, headers(("etag", description = "The new revision")))),
)]
pub(super) async fn update_tenant(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToChange>,
    if_match: IfMatch,
    payload: JsonPayload,
) -> Result<Response, Problem> {
    let request: UpdateTenantRequest = payload.parse()?;
    let tenant = super::change(&app, &slug, &if_match, |tenant| request.apply(tenant)).await?;
    Ok(super::answer(StatusCode::OK, &tenant))
}

impl UpdateTenantRequest {
    /// Changes `tenant`, or tells of all fields that are wrong.
    fn apply(&self, tenant: &mut Tenant) -> Result<(), Problem> {
        let mut refusals = Refusals::default();
        if let Some(name) = self
            .display_name
            .as_deref()
            .and_then(|text| refusals.parse("display_name", text))
        {
            tenant.display_name = name;
        }
        if let Some(directory) = self.directory_id.as_deref().and_then(|text| refusals.directory(text)) {
            tenant.keys.directory = directory;
        }
        if let Err(error) = tenant.change_policy(self.policy.apply(tenant.keys.policy)) {
            refusals.note(error);
        }
        self.apply_former_keys(tenant, &mut refusals);
        self.apply_key(tenant, &mut refusals);
        refusals.check()
    }

    /// Changes the current key, and which version of it wraps.
    fn apply_key(&self, tenant: &mut Tenant, refusals: &mut Refusals) {
        let mut key = tenant.keys.current.clone();
        if let Some(vault) = self
            .vault
            .as_deref()
            .and_then(|text| refusals.vault("vault", tenant.cloud, text))
        {
            key.vault = vault;
        }
        if let Some(name) = self
            .key_name
            .as_deref()
            .and_then(|text| refusals.parse("key_name", text))
        {
            key.name = name;
        }
        // A version pinned of one key is no version of another.
        let version = match self.key_version.as_deref() {
            Some(text) => refusals.version(text),
            None if key == tenant.keys.current => Some(tenant.keys.version.clone()),
            None => Some(keyferry_crypto::tenant::VersionPolicy::FollowLatest),
        };
        if let Some(Err(error)) = version.map(|version| tenant.change_key(key, version)) {
            refusals.note(error);
        }
    }

    /// Removes the former keys that are not to be kept.
    fn apply_former_keys(&self, tenant: &mut Tenant, refusals: &mut Refusals) {
        let Some(kept) = &self.former_keys else { return };
        let Some(kept) = refusals.keys("former_keys", tenant.cloud, kept) else {
            return;
        };
        if kept.iter().any(|key| !tenant.keys.former.contains(key)) {
            refusals.refuse("former_keys", "a former key can be removed here, not added");
            return;
        }
        tenant.keys.former.retain(|former| kept.contains(former));
    }
}

//! Lists tenants, a page at a time.

use axum::{Json, extract::State};
use http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Administrator, ToRead,
    page::{ListQuery, cursor, page},
    tenant_json::TenantDocument,
};
use crate::{app::App, problem::Problem};

/// A page of tenants, ordered by slug.
#[derive(Serialize, ToSchema)]
pub(super) struct TenantPage {
    /// The tenants. There may be fewer than asked for; only the absence of `next_cursor` tells the end.
    tenants: Vec<TenantDocument>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Lists tenants in the order of their slugs.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants",
    tag = "admin",
    params(ListQuery),
    responses((status = 200, description = "A page", body = TenantPage)),
)]
pub(super) async fn list_tenants(
    State(app): State<App>,
    administrator: Administrator<ToRead>,
    uri: Uri,
) -> Result<Json<TenantPage>, Problem> {
    let (after, limit) = page(&uri)?;
    // One more than asked for tells whether there is more.
    let mut tenants = match administrator.caller.confined_to() {
        None => app.registry().list(after.as_ref(), limit + 1).await?,
        // From its own tenants only: not even a cursor may name another.
        Some(own) => {
            let rest: Vec<_> = own
                .iter()
                .filter(|slug| Some(*slug) > after.as_ref())
                .cloned()
                .collect();
            app.registry().list_among(&rest, limit + 1).await?
        }
    };
    let more = tenants.len() > limit as usize;
    tenants.truncate(limit as usize);
    let next_cursor = tenants.last().filter(|_| more).map(|tenant| cursor(&tenant.slug));
    Ok(Json(TenantPage {
        tenants: tenants.iter().map(TenantDocument::from).collect(),
        next_cursor,
    }))
}

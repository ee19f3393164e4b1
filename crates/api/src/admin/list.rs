//! Lists tenants, a page at a time.

use axum::{Json, extract::State};
use http::Uri;
use keyferry_registry::tenant::Slug;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Administrator, ToRead, tenant_json::TenantDocument};
use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Where the page begins: `next_cursor` of the page before. The first page has none.
    cursor: Option<String>,
    /// The most tenants on the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

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

fn page(uri: &Uri) -> Result<(Option<Slug>, u32), Problem> {
    let query = axum::extract::Query::<ListQuery>::try_from_uri(uri).map_err(|_| {
        Problem::because(
            Kind::MalformedRequest,
            "The query takes `cursor` and `limit` (1 to 1000) only.",
        )
    })?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::because(Kind::MalformedRequest, "`limit` is 1 to 1000."));
    }
    let after = query.cursor.as_deref().map(slug).transpose()?;
    Ok((after, limit))
}

/// Where the page after `slug` begins. Opaque, so that it may change.
fn cursor(slug: &Slug) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(slug.as_str())
}

fn slug(cursor: &str) -> Result<Slug, Problem> {
    let text = base64_simd::URL_SAFE_NO_PAD
        .decode_to_vec(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::because(Kind::MalformedRequest, "`cursor` is not one that a page gave."))
}

//! Which page of a list is asked for.

use http::Uri;
use keyferry_registry::tenant::Slug;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::{Kind, Problem};

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Where the page begins: `next_cursor` of the page before. The first page has none.
    cursor: Option<String>,
    /// The most on the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// The slug after which the page begins, and the most that is on it.
pub(super) fn page(uri: &Uri) -> Result<(Option<Slug>, u32), Problem> {
    let query = axum::extract::Query::<ListQuery>::try_from_uri(uri).map_err(|_| {
        Problem::because(
            Kind::MalformedRequest,
            "The query takes `cursor` and `limit` (1 to 1000) only.",
        )
    })?;
    let after = query.cursor.as_deref().map(slug).transpose()?;
    Ok((after, limit(query.limit)?))
}

/// The most on a page, of what is asked for.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    let limit = asked.unwrap_or(100);
    if (1..=1000).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::because(Kind::MalformedRequest, "`limit` is 1 to 1000."))
    }
}

/// Where the page after `slug` begins. Opaque, so that it may change.
pub(super) fn cursor(slug: &Slug) -> String {
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

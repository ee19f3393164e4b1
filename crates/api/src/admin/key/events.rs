//! Tells what happened to a tenant's key.

use axum::{Json, extract::State};
use http::Uri;
use keyferry_crypto::{id::KekId, news::Refusal, vault::Evidence};
use keyferry_registry::{
    key::{KeyEvent, KeyNews, KeyState},
    tenant::Revision,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    admin::{AdministeredSlug, ToRead, page::limit, tenant_json::rfc3339},
    app::App,
    problem::{Kind, Problem},
};

/// Which part of what happened.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyEventsQuery {
    /// Where the page begins: `next_cursor` of the page before. The first page has none.
    cursor: Option<String>,
    /// The most events on the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyEvents {
    /// The events.
    events: Vec<EventDocument>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Something that happened to a tenant's key.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = KeyEvent)]
struct EventDocument {
    /// Its place among all changes.
    revision: i64,
    /// When.
    at: String,
    /// Which replica found it out.
    by: String,
    /// `withdrawn`, `state` or `version`.
    #[schema(example = "withdrawn")]
    kind: &'static str,
    /// Of a withdrawal: what was refused, `wrap` or `unwrap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'static str>,
    /// Of a withdrawal: with which key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://acme.vault.azure.net/keys/kek")]
    key: Option<String>,
    /// Of a withdrawal: at which version; at whichever is the newest if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Of a version: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// Of a state: which, `unknown`, `healthy`, `degraded` or `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "key-disabled")]
    cause: Option<&'static str>,
    /// The status that the vault answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The vault's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The vault's id of the request, by which it is found in the vault's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Tells what happened to a tenant's key, newest first. Events are kept for 90 days.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants/{tenant}/key/events",
    tag = "admin",
    params(("tenant" = String, Path, description = "The tenant's slug"), KeyEventsQuery),
    responses((status = 200, description = "A page", body = KeyEvents)),
)]
pub(super) async fn list_tenant_key_events(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToRead>,
    uri: Uri,
) -> Result<Json<KeyEvents>, Problem> {
    let query = axum::extract::Query::<KeyEventsQuery>::try_from_uri(&uri).map_err(|_| {
        Problem::because(
            Kind::MalformedRequest,
            "The query takes `cursor` and `limit` (1 to 1000) only.",
        )
    })?;
    let limit = limit(query.limit)?;
    let before = query.cursor.as_deref().map(revision_of).transpose()?;
    let tenant = super::tenant(&app, &slug).await?;
    // One more than asked for tells whether there is more.
    let found = app.store().key_events(tenant.keys.tenant, before, limit + 1).await;
    let mut found = found?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| cursor(last.revision));
    Ok(Json(KeyEvents {
        events: found.iter().map(EventDocument::from).collect(),
        next_cursor,
    }))
}

impl From<&KeyEvent> for EventDocument {
    fn from(event: &KeyEvent) -> Self {
        let told = match &event.what {
            KeyNews::Withdrawn(refusal) => Self::withdrawn(refusal),
            KeyNews::State(state) => Self::state(state),
            KeyNews::Version(kek) => Self::version(kek),
        };
        Self {
            revision: event.revision.0,
            at: rfc3339(event.at),
            by: event.by.to_string(),
            ..told
        }
    }
}

impl EventDocument {
    fn withdrawn(refusal: &Refusal) -> Self {
        Self {
            kind: "withdrawn",
            call: Some(refusal.call.slug()),
            key: Some(refusal.key.to_string()),
            version: refusal.version.as_ref().map(|version| version.as_str().to_owned()),
            cause: Some(refusal.cause.slug()),
            ..Self::evident(&refusal.evidence)
        }
    }

    fn state(state: &KeyState) -> Self {
        let told = state.trouble().map(|trouble| Self {
            cause: Some(trouble.cause.slug()),
            ..Self::evident(&trouble.evidence)
        });
        Self {
            kind: "state",
            state: Some(state.slug()),
            ..told.unwrap_or_default()
        }
    }

    fn version(kek: &KekId) -> Self {
        Self {
            kind: "version",
            key_id: Some(kek.to_string()),
            ..Self::default()
        }
    }

    fn evident(evidence: &Evidence) -> Self {
        Self {
            status: evidence.status,
            code: evidence.code.clone(),
            request_id: evidence.request_id.clone(),
            ..Self::default()
        }
    }
}

/// Where the page after that event begins. Opaque, so that it may change.
fn cursor(revision: Revision) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(revision.0.to_be_bytes())
}

fn revision_of(cursor: &str) -> Result<Revision, Problem> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(cursor).ok();
    let bytes: Option<[u8; 8]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(|bytes| Revision(i64::from_be_bytes(bytes)))
        .ok_or_else(|| Problem::because(Kind::MalformedRequest, "`cursor` is not one that a page gave."))
}

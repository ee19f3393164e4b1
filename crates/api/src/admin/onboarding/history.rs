//! Tells what happened to an onboarding.

use std::collections::BTreeMap;

use axum::Json;
use http::Uri;
use keyferry_registry::onboarding::{Actor, Recorded};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AdministeredOnboarding, refused};
use crate::{
    admin::{ToRead, page::limit, tenant_json::rfc3339},
    problem::{Kind, Problem},
};

/// Which part of the history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Events with numbers below this: `next_before` of the page before. The first page has none.
    before: Option<i64>,
    /// The most events on the page, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct OnboardingHistory {
    /// The events.
    events: Vec<EventDocument>,
    /// Below which number the next page is, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
}

/// Something that happened to an onboarding.
#[derive(Serialize, ToSchema)]
#[schema(as = OnboardingEvent)]
struct EventDocument {
    /// Its number, counted from 1 in each onboarding.
    number: i64,
    /// When.
    at: String,
    /// Who: `operator`, `customer` or `keyferry`.
    #[schema(example = "customer")]
    actor: &'static str,
    /// What: `opened`, `answered`, `check-changed`, `link-made`, `activated` and others.
    #[schema(example = "answered")]
    kind: String,
    /// With what.
    details: BTreeMap<String, String>,
}

/// Tells what happened, newest first.
#[utoipa::path(
    get,
    path = "/v1/admin/onboardings/{tenant}/history",
    tag = "onboarding",
    params(("tenant" = String, Path, description = "The tenant's slug"), HistoryQuery),
    responses((status = 200, description = "A page", body = OnboardingHistory)),
)]
pub(super) async fn list_onboarding_history(
    asked: AdministeredOnboarding<ToRead>,
    uri: Uri,
) -> Result<Json<OnboardingHistory>, Problem> {
    let query = axum::extract::Query::<HistoryQuery>::try_from_uri(&uri).map_err(|_| {
        Problem::because(
            Kind::MalformedRequest,
            "The query takes `before` (an event's number) and `limit` (1 to 1000) only.",
        )
    })?;
    let limit = limit(query.limit)?;
    let onboarding = asked.load().await?;
    // One more than asked for tells whether there is more.
    let found = asked.onboardings.history(&onboarding, query.before, limit + 1).await;
    let mut found = found.map_err(refused)?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    Ok(Json(OnboardingHistory {
        next_before: found.last().filter(|_| more).map(|last| last.number),
        events: found.into_iter().map(EventDocument::from).collect(),
    }))
}

impl From<Recorded> for EventDocument {
    fn from(event: Recorded) -> Self {
        Self {
            number: event.number,
            at: rfc3339(event.at),
            actor: match event.actor {
                Actor::Operator => "operator",
                Actor::Customer => "customer",
                Actor::Keyferry => "keyferry",
            },
            kind: event.kind,
            details: event.details,
        }
    }
}

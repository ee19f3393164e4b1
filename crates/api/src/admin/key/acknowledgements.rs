//! Tells which replicas have obeyed a withdrawal.

use std::{collections::HashSet, time::Duration};

use axum::{
    Json,
    extract::{FromRequestParts, RawPathParams, State},
};
use http::request::Parts;
use keyferry_registry::{
    key::{Acknowledgement, KeyEvent, KeyNews, Replica},
    tenant::{Revision, Tenant},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    admin::{AdministeredSlug, ToRead, tenant_json::rfc3339},
    app::App,
    problem::{Kind, Problem},
};

/// Who has obeyed a withdrawal, and who has not said so.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyAcknowledgements {
    /// The replicas that have obeyed it, in the order of time.
    acknowledged: Vec<AcknowledgementDocument>,
    /// The replicas that have obeyed it without saying so of it alone, no later than they were last seen: they have followed the
    /// feed beyond it. One that missed what was told evicts everything it holds, and does not know what it was.
    followed: Vec<SeenDocument>,
    /// The replicas that lived then, and have neither. One that died is among them, for a day: nothing tells it from one that is
    /// cut off.
    missing: Vec<SeenDocument>,
}

/// That a replica has obeyed a withdrawal.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyAcknowledgement)]
struct AcknowledgementDocument {
    /// Which replica.
    replica: String,
    /// Where it runs: its host name.
    name: String,
    /// When.
    at: String,
}

/// A replica that has not said of this withdrawal that it has obeyed.
#[derive(Serialize, ToSchema)]
#[schema(as = MissingKeyAcknowledgement)]
struct SeenDocument {
    /// Which replica.
    replica: String,
    /// Where it runs: its host name.
    name: String,
    /// When it last made itself known.
    seen_at: String,
}

/// The revision in the path.
pub(super) struct NamedRevision(Revision);

/// Tells which replicas have obeyed a withdrawal. One that started after it held nothing that it concerns.
#[utoipa::path(
    get,
    path = "/v1/admin/tenants/{tenant}/key/events/{revision}/acknowledgements",
    tag = "admin",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("revision" = i64, Path, description = "The withdrawal's revision"),
    ),
    responses((status = 200, description = "Who has, and who has not", body = KeyAcknowledgements)),
)]
pub(super) async fn list_tenant_key_acknowledgements(
    State(app): State<App>,
    AdministeredSlug { slug, .. }: AdministeredSlug<ToRead>,
    named: NamedRevision,
) -> Result<Json<KeyAcknowledgements>, Problem> {
    let tenant = super::tenant(&app, &slug).await?;
    let event = withdrawal(&app, &tenant, named.0).await?;
    let acknowledged = app.store().acknowledgements(event.revision).await?;
    // All that are known: who lived then is told by the registry's clock, as the event's time is, whatever the time is here.
    let known = app.store().replicas(KNOWN).await?;
    let (followed, missing): (Vec<_>, Vec<_>) =
        silent(&event, app.alive(), &acknowledged, &known).partition(|replica| replica.followed >= event.revision);
    Ok(Json(KeyAcknowledgements {
        acknowledged: acknowledged.iter().map(AcknowledgementDocument::from).collect(),
        followed: followed.into_iter().map(SeenDocument::from).collect(),
        missing: missing.into_iter().map(SeenDocument::from).collect(),
    }))
}

impl FromRequestParts<App> for NamedRevision {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| none())?;
        let named = parameters.iter().find(|(name, _)| *name == "revision");
        let revision = named.and_then(|(_, text)| text.parse().ok()).ok_or_else(none)?;
        Ok(Self(Revision(revision)))
    }
}

/// The withdrawal of that revision, if it is of the tenant's key.
async fn withdrawal(app: &App, tenant: &Tenant, revision: Revision) -> Result<KeyEvent, Problem> {
    let after = Revision(revision.0.checked_add(1).ok_or_else(none)?);
    let found = app.store().key_events(tenant.keys.tenant, Some(after), 1).await?;
    let mut found = found.into_iter().filter(|event| event.revision == revision);
    found
        .find(|event| matches!(event.what, KeyNews::Withdrawn(_)))
        .ok_or_else(none)
}

/// The same for revisions of other tenants', of other events and of none.
fn none() -> Problem {
    Problem::new(Kind::KeyEventNotFound)
}

/// The replicas that lived then, as they were seen no longer than `alive` before, or since, and have not acknowledged it.
fn silent<'a>(
    event: &KeyEvent,
    alive: Duration,
    acknowledged: &[Acknowledgement],
    known: &'a [Replica],
) -> impl Iterator<Item = &'a Replica> {
    let acknowledged: HashSet<_> = acknowledged.iter().map(|said| said.replica).collect();
    let told_at = event.at;
    let lived = move |replica: &&Replica| replica.started_at <= told_at && replica.seen_at + alive >= told_at;
    known
        .iter()
        .filter(lived)
        .filter(move |replica| !acknowledged.contains(&replica.id))
}

impl From<&Replica> for SeenDocument {
    fn from(replica: &Replica) -> Self {
        Self {
            replica: replica.id.to_string(),
            name: replica.name.clone(),
            seen_at: rfc3339(replica.seen_at),
        }
    }
}

impl From<&Acknowledgement> for AcknowledgementDocument {
    fn from(said: &Acknowledgement) -> Self {
        Self {
            replica: said.replica.to_string(),
            name: said.name.clone(),
            at: rfc3339(said.at),
        }
    }
}

/// The registry forgets a replica that was not seen for so long.
const KNOWN: Duration = Duration::from_hours(24);

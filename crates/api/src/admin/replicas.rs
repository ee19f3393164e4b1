//! Lists the replicas.

use axum::{Json, extract::State};
use keyferry_registry::key::Replica;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Administrator, ToRead, key, tenant_json::rfc3339};
use crate::{app::App, problem::Problem};

/// The replicas that live, as far as is known.
#[derive(Serialize, ToSchema)]
pub(super) struct Replicas {
    /// The replicas.
    replicas: Vec<ReplicaDocument>,
}

/// A replica of the service, from its start to its end.
#[derive(Serialize, ToSchema)]
#[schema(as = Replica)]
struct ReplicaDocument {
    /// Which: another with each start.
    replica: String,
    /// Where it runs: its host name.
    name: String,
    /// The release it is of.
    release: String,
    /// When it started.
    started_at: String,
    /// When it last made itself known.
    seen_at: String,
    /// Up to which revision it has followed all changes, and obeyed.
    followed: i64,
}

/// Lists the replicas that live, as far as is known: one that died is listed for a moment longer.
#[utoipa::path(
    get,
    path = "/v1/admin/replicas",
    tag = "admin",
    responses((status = 200, description = "The replicas", body = Replicas)),
)]
pub(super) async fn list_replicas(State(app): State<App>, _: Administrator<ToRead>) -> Result<Json<Replicas>, Problem> {
    let living = key::living(&app).await?;
    Ok(Json(Replicas {
        replicas: living.iter().map(ReplicaDocument::from).collect(),
    }))
}

impl From<&Replica> for ReplicaDocument {
    fn from(replica: &Replica) -> Self {
        Self {
            replica: replica.id.to_string(),
            name: replica.name.clone(),
            release: replica.release.clone(),
            started_at: rfc3339(replica.started_at),
            seen_at: rfc3339(replica.seen_at),
            followed: replica.followed.0,
        }
    }
}

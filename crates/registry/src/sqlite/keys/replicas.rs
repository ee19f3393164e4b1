//! Which replicas there are, and what they have obeyed.

use std::time::Duration;

use sqlx::{FromRow, sqlite::SqliteRow};

use super::{
    super::{SqliteStore, from_micros, micros},
    span,
};
use crate::{
    error::RegistryError,
    key::{
        Acknowledgement, Replica, ReplicaId,
        row::{AcknowledgementRow, ReplicaRow, WITHDRAWN},
    },
    tenant::Revision,
};

pub(super) async fn beat(
    store: &SqliteStore,
    replica: &Replica,
    alive: Duration,
) -> Result<Vec<Replica>, RegistryError> {
    let row = ReplicaRow::from(replica);
    let mut tx = store.begin_change().await?;
    let now = (store.clock)();
    sqlx::query(
        "insert into replicas (id, name, release, started_at, seen_at, followed) values (?1, ?2, ?3, ?4, ?5, ?6)
         on conflict (id) do update set name = ?2, release = ?3, seen_at = ?5, followed = ?6",
    )
    .bind(row.id)
    .bind(row.name)
    .bind(row.release)
    .bind(micros(row.started_at))
    .bind(micros(now))
    .bind(row.followed)
    .execute(&mut *tx)
    .await?;
    sqlx::query("delete from replicas where seen_at < ?")
        .bind(micros(now - time::Duration::DAY))
        .execute(&mut *tx)
        .await?;
    let rows: Vec<ReplicaRow> = sqlx::query_as(
        "select id, name, release, started_at, seen_at, followed from replicas
         where seen_at >= ?1 or id = ?2 order by started_at, id",
    )
    .bind(micros(now) - span(alive))
    .bind(row.id)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Replica::from).collect())
}

pub(super) async fn leave(store: &SqliteStore, replica: ReplicaId) -> Result<(), RegistryError> {
    let mut tx = store.begin_change().await?;
    sqlx::query("update key_health set owner = null, owned_until = null, claimed_at = null where owner = ?")
        .bind(replica.0)
        .execute(&mut *tx)
        .await?;
    sqlx::query("delete from replicas where id = ?")
        .bind(replica.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// What is no withdrawal, or too old to be kept, is passed over.
pub(super) async fn acknowledge(
    store: &SqliteStore,
    replica: ReplicaId,
    revisions: &[Revision],
) -> Result<(), RegistryError> {
    let mut tx = store.begin_change().await?;
    let now = micros((store.clock)());
    for revision in revisions {
        sqlx::query(
            "insert into key_acknowledgements (revision, replica, name, at)
             select revision, ?2, coalesce((select name from replicas where id = ?2), ?3), ?4
             from key_events where revision = ?1 and kind = ?5
             on conflict do nothing",
        )
        .bind(revision.0)
        .bind(replica.0)
        .bind(replica.to_string())
        .bind(now)
        .bind(WITHDRAWN)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn acknowledgements(
    store: &SqliteStore,
    revision: Revision,
) -> Result<Vec<Acknowledgement>, RegistryError> {
    let rows: Vec<AcknowledgementRow> =
        sqlx::query_as("select replica, name, at from key_acknowledgements where revision = ? order by at, replica")
            .bind(revision.0)
            .fetch_all(&store.pool)
            .await?;
    Ok(rows.into_iter().map(Acknowledgement::from).collect())
}

pub(super) async fn alive(store: &SqliteStore, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
    let rows: Vec<ReplicaRow> = sqlx::query_as(
        "select id, name, release, started_at, seen_at, followed from replicas where seen_at >= ? order by started_at, id",
    )
    .bind(micros((store.clock)()) - span(alive))
    .fetch_all(&store.pool)
    .await?;
    Ok(rows.into_iter().map(Replica::from).collect())
}

impl FromRow<'_, SqliteRow> for ReplicaRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            release: row.try_get("release")?,
            started_at: from_micros(row.try_get("started_at")?)?,
            seen_at: from_micros(row.try_get("seen_at")?)?,
            followed: row.try_get("followed")?,
        })
    }
}

impl FromRow<'_, SqliteRow> for AcknowledgementRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        Ok(Self {
            replica: row.try_get("replica")?,
            name: row.try_get("name")?,
            at: from_micros(row.try_get("at")?)?,
        })
    }
}

//! Which replicas there are, and what they have obeyed.

use std::time::Duration;

use super::super::{PostgresStore, interval};
use crate::{
    error::RegistryError,
    key::{
        Acknowledgement, Replica, ReplicaId,
        row::{AcknowledgementRow, ReplicaRow, WITHDRAWN},
    },
    tenant::Revision,
};

pub(super) async fn beat(
    store: &PostgresStore,
    replica: &Replica,
    alive: Duration,
) -> Result<Vec<Replica>, RegistryError> {
    let row = ReplicaRow::from(replica);
    let mut tx = store.pool.begin().await?;
    sqlx::query!(
        "insert into replicas (id, name, release, started_at, seen_at, followed)
         values ($1, $2, $3, $4, statement_timestamp(), $5)
         on conflict (id) do update set name = $2, release = $3, seen_at = statement_timestamp(), followed = $5",
        row.id,
        row.name,
        row.release,
        row.started_at,
        row.followed,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from replicas where seen_at < statement_timestamp() - interval '1 day'")
        .execute(&mut *tx)
        .await?;
    let rows = sqlx::query_as!(
        ReplicaRow,
        "select id, name, release, started_at, seen_at, followed from replicas
         where seen_at >= statement_timestamp() - $1::interval or id = $2 order by started_at, id",
        interval(alive),
        row.id,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Replica::from).collect())
}

pub(super) async fn leave(store: &PostgresStore, replica: ReplicaId) -> Result<(), RegistryError> {
    let mut tx = store.pool.begin().await?;
    sqlx::query!(
        "with mine as materialized (
             select tenant_id from key_health where owner = $1 order by tenant_id for no key update)
         update key_health set owner = null, owned_until = null, claimed_at = null
         from mine where key_health.tenant_id = mine.tenant_id",
        replica.0,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("delete from replicas where id = $1", replica.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// What is no withdrawal, or too old to be kept, is passed over.
pub(super) async fn acknowledge(
    store: &PostgresStore,
    replica: ReplicaId,
    revisions: &[Revision],
) -> Result<(), RegistryError> {
    let revisions: Vec<i64> = revisions.iter().map(|revision| revision.0).collect();
    sqlx::query!(
        "insert into key_acknowledgements (revision, replica, name, at)
         select revision, $2, coalesce((select name from replicas where id = $2), $2::text), clock_timestamp()
         from key_events where revision = any($1) and kind = $3
         on conflict do nothing",
        &revisions,
        replica.0,
        WITHDRAWN,
    )
    .execute(&store.pool)
    .await?;
    Ok(())
}

pub(super) async fn acknowledgements(
    store: &PostgresStore,
    revision: Revision,
) -> Result<Vec<Acknowledgement>, RegistryError> {
    let rows = sqlx::query_as!(
        AcknowledgementRow,
        "select replica, name, at from key_acknowledgements where revision = $1 order by at, replica",
        revision.0,
    )
    .fetch_all(&store.pool)
    .await?;
    Ok(rows.into_iter().map(Acknowledgement::from).collect())
}

pub(super) async fn alive(store: &PostgresStore, alive: Duration) -> Result<Vec<Replica>, RegistryError> {
    let rows = sqlx::query_as!(
        ReplicaRow,
        "select id, name, release, started_at, seen_at, followed from replicas
         where seen_at >= statement_timestamp() - $1::interval order by started_at, id",
        interval(alive),
    )
    .fetch_all(&store.pool)
    .await?;
    Ok(rows.into_iter().map(Replica::from).collect())
}

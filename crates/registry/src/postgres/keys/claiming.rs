//! Who looks at which key.

use std::time::Duration;

use super::super::{PostgresStore, interval};
use crate::{
    error::RegistryError,
    key::{Claimed, ReplicaId, row::KeyRow},
};

/// Three kinds of keys, one after the other: those of the claimant; those of nobody; those whose owner has not looked in time, or
/// has not come back with what it saw. Each is read from its index in the order of being due; what another just claims is passed
/// over.
///
/// An owner that is not looking has until `lease` after a key is due, so that a key which becomes due earlier than it was to be is
/// taken over the earlier, too; one that looks, until its claim ends. It claims the key again from half of that on, before anybody
/// else can, as it looks still: its look is as old as it was, and what was asked for during it is still to be had.
pub(super) async fn claim(
    store: &PostgresStore,
    replica: ReplicaId,
    lease: Duration,
    held: Duration,
    limit: u32,
) -> Result<Vec<Claimed>, RegistryError> {
    let rows = sqlx::query_as!(
        KeyRow,
        "with mine as materialized (
             select tenant_id from key_health
             where watched and owner = $1 and due_at <= statement_timestamp()
                 and (claimed_at is null or owned_until <= statement_timestamp() + $2::interval / 2)
             order by due_at limit $4 for no key update skip locked),
         free as materialized (
             select tenant_id from key_health
             where watched and owner is null and due_at <= statement_timestamp()
                 and (given_up_by is distinct from $1 or due_at <= statement_timestamp() - $2::interval)
             order by due_at limit $4 - (select count(*) from mine) for no key update skip locked),
         left_over as materialized (
             select tenant_id from key_health
             where watched and owner <> $1 and due_at <= statement_timestamp() - $2::interval
                 and owned_until <= statement_timestamp()
             order by due_at limit $4 - (select count(*) from mine) - (select count(*) from free)
             for no key update skip locked)
         update key_health set owner = $1, owned_until = statement_timestamp() + $2::interval, given_up_by = null,
             claimed_at = case when owner = $1 then coalesce(claimed_at, statement_timestamp()) else statement_timestamp() end,
             wanted = wanted and owner is not distinct from $1 and claimed_at is not null,
             is_held = coalesce(held_at > statement_timestamp() - $3::interval, false)
         from (table mine union all table free union all table left_over) as due
         where key_health.tenant_id = due.tenant_id
         returning key_health.tenant_id, state, cause, evidence, since, checked_at, served_at, newest, newest_seen_at, canaries,
             failures, due_at, owner, owned_until, held_at, is_held",
        replica.0,
        interval(lease),
        interval(held),
        i64::from(limit),
    )
    .fetch_all(&store.pool)
    .await?;
    Ok(KeyRow::claimed(rows))
}

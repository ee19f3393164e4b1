//! Keys' health and what happened to keys as they lie in tables, and back. A row that does not parse is corrupt, and is told so
//! rather than guessed at.

use keyferry_crypto::id::{KekId, TenantId};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) use super::document::WITHDRAWN;
use super::{
    Acknowledgement, Claimed, KeyEvent, KeyHealth, KeyNews, Looked, Newest, Replica, ReplicaId,
    document::{
        KekDocument, read, read_canaries, read_news, read_state, write, write_canaries, write_evidence, write_news,
    },
};
use crate::{
    error::RegistryError,
    store::{KeyChange, Mark, Subject},
    tenant::Revision,
};

/// The columns of `key_health` that are told.
pub(crate) struct KeyRow {
    pub(crate) tenant_id: Uuid,
    pub(crate) state: String,
    pub(crate) cause: Option<String>,
    pub(crate) evidence: Option<Value>,
    pub(crate) since: OffsetDateTime,
    pub(crate) checked_at: Option<OffsetDateTime>,
    pub(crate) served_at: Option<OffsetDateTime>,
    pub(crate) newest: Option<Value>,
    pub(crate) newest_seen_at: Option<OffsetDateTime>,
    pub(crate) canaries: Value,
    pub(crate) failures: i32,
    pub(crate) due_at: OffsetDateTime,
    pub(crate) owner: Option<Uuid>,
    pub(crate) owned_until: Option<OffsetDateTime>,
    pub(crate) held_at: Option<OffsetDateTime>,
    pub(crate) is_held: bool,
}

/// What a look found, as it is written. Postgres reads it as a document's fields.
#[derive(Serialize)]
pub(crate) struct LookRow {
    pub(crate) tenant_id: Uuid,
    pub(crate) state: &'static str,
    pub(crate) cause: Option<&'static str>,
    pub(crate) evidence: Option<Value>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) since: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) checked_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) served_at: Option<OffsetDateTime>,
    pub(crate) newest: Option<Value>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) newest_seen_at: Option<OffsetDateTime>,
    pub(crate) canaries: Value,
    pub(crate) failures: i32,
    /// Seconds.
    pub(crate) due_in: f64,
    pub(crate) keeps: bool,
}

/// News, as they are written.
#[derive(Serialize)]
pub(crate) struct NewsRow {
    /// Which of all that are written together, in order.
    pub(crate) place: usize,
    pub(crate) tenant_id: Uuid,
    pub(crate) kind: &'static str,
    pub(crate) details: Value,
}

/// The columns of `key_events`.
pub(crate) struct EventRow {
    pub(crate) revision: i64,
    pub(crate) tenant_id: Uuid,
    pub(crate) at: OffsetDateTime,
    pub(crate) replica: Uuid,
    pub(crate) kind: String,
    pub(crate) details: Value,
}

/// The columns of `replicas`.
pub(crate) struct ReplicaRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) release: String,
    pub(crate) started_at: OffsetDateTime,
    pub(crate) seen_at: OffsetDateTime,
    pub(crate) followed: i64,
}

/// The columns of `key_acknowledgements`, without of what they are.
pub(crate) struct AcknowledgementRow {
    pub(crate) replica: Uuid,
    pub(crate) name: String,
    pub(crate) at: OffsetDateTime,
}

impl TryFrom<KeyRow> for KeyHealth {
    type Error = RegistryError;

    fn try_from(row: KeyRow) -> Result<Self, RegistryError> {
        let newest = match (row.newest, row.newest_seen_at) {
            (Some(kek), Some(seen_at)) => Some(Newest {
                kek: KekId::from(read::<KekDocument>(kek, "newest")?),
                seen_at,
            }),
            (None, None) => None,
            _ => return Err(RegistryError::Corrupt("newest")),
        };
        Ok(Self {
            tenant: TenantId(row.tenant_id),
            state: read_state(&row.state, row.cause, row.evidence)?,
            since: row.since,
            checked_at: row.checked_at,
            served_at: row.served_at,
            newest,
            canaries: read_canaries(row.canaries)?,
            failures: u32::try_from(row.failures).map_err(|_| RegistryError::Corrupt("failures"))?,
            due_at: row.due_at,
            owner: row.owner.map(ReplicaId),
            owned_until: row.owned_until,
            held_at: row.held_at,
        })
    }
}

impl KeyRow {
    /// Those of the rows that can be read, the longest due first. One that cannot must not keep the others from being looked at:
    /// the log says so.
    pub(crate) fn claimed(rows: Vec<Self>) -> Vec<Claimed> {
        let read = rows.into_iter().filter_map(|row| {
            let (id, is_held) = (row.tenant_id, row.is_held);
            KeyHealth::try_from(row)
                .inspect_err(|error| tracing::error!(tenant.id = %id, ?error, "the registry's row of a key is corrupt"))
                .ok()
                .map(|health| Claimed { health, is_held })
        });
        let mut read: Vec<_> = read.collect();
        read.sort_by_key(|claimed| claimed.health.due_at);
        read
    }
}

impl TryFrom<&Looked> for LookRow {
    type Error = RegistryError;

    fn try_from(looked: &Looked) -> Result<Self, RegistryError> {
        let health = &looked.health;
        let trouble = health.state.trouble();
        let newest = health.newest.as_ref();
        Ok(Self {
            tenant_id: health.tenant.0,
            state: health.state.slug(),
            cause: trouble.map(|trouble| trouble.cause.slug()),
            evidence: trouble.map(|trouble| write_evidence(&trouble.evidence)).transpose()?,
            since: health.since,
            checked_at: health.checked_at,
            served_at: health.served_at,
            newest: newest
                .map(|newest| write(&KekDocument::from(&newest.kek)))
                .transpose()?,
            newest_seen_at: newest.map(|newest| newest.seen_at),
            canaries: write_canaries(&health.canaries)?,
            failures: i32::try_from(health.failures).unwrap_or(i32::MAX),
            due_in: looked.due_in.as_secs_f64(),
            keeps: looked.keeps,
        })
    }
}

impl NewsRow {
    /// The first, or only, news of those that are written together.
    pub(crate) fn of(tenant: TenantId, news: &KeyNews) -> Result<Self, RegistryError> {
        let (kind, details) = write_news(news)?;
        Ok(Self {
            place: 0,
            tenant_id: tenant.0,
            kind,
            details,
        })
    }

    /// What is to be told of looks: all of those whose look counts, and of the others the withdrawals.
    pub(crate) fn of_looks(looks: &[Looked], counts: impl Fn(TenantId) -> bool) -> Result<Vec<Self>, RegistryError> {
        let news = looks.iter().flat_map(|looked| {
            let tenant = looked.health.tenant;
            let counts = counts(tenant);
            let told = looked.news.iter().filter(move |news| counts || news.is_withdrawal());
            told.map(move |news| Self::of(tenant, news))
        });
        news.enumerate()
            .map(|(place, row)| Ok(Self { place, ..row? }))
            .collect()
    }
}

impl KeyNews {
    fn is_withdrawal(&self) -> bool {
        matches!(self, Self::Withdrawn(_))
    }
}

impl TryFrom<EventRow> for KeyEvent {
    type Error = RegistryError;

    fn try_from(row: EventRow) -> Result<Self, RegistryError> {
        Ok(Self {
            revision: Revision(row.revision),
            tenant: TenantId(row.tenant_id),
            at: row.at,
            by: ReplicaId(row.replica),
            what: read_news(&row.kind, row.details)?,
        })
    }
}

impl EventRow {
    /// What the change feed tells of this row. One that cannot be read, a later release's perhaps, keeps nobody from the others.
    pub(crate) fn into_change(self) -> KeyChange {
        let mark = Mark {
            subject: Subject::Key,
            tenant: TenantId(self.tenant_id),
            revision: Revision(self.revision),
            at: self.at,
        };
        let event = KeyEvent::try_from(self).inspect_err(
            |error| tracing::error!(tenant.id = %mark.tenant, revision = mark.revision.0, ?error, "what happened to a key cannot be read"),
        );
        KeyChange {
            mark,
            event: event.ok(),
        }
    }
}

impl From<&Replica> for ReplicaRow {
    fn from(replica: &Replica) -> Self {
        Self {
            id: replica.id.0,
            name: fitting(&replica.name),
            release: fitting(&replica.release),
            started_at: replica.started_at,
            seen_at: replica.seen_at,
            followed: replica.followed.0.max(0),
        }
    }
}

impl From<ReplicaRow> for Replica {
    fn from(row: ReplicaRow) -> Self {
        Self {
            id: ReplicaId(row.id),
            name: row.name,
            release: row.release,
            started_at: row.started_at,
            seen_at: row.seen_at,
            followed: Revision(row.followed),
        }
    }
}

impl From<AcknowledgementRow> for Acknowledgement {
    fn from(row: AcknowledgementRow) -> Self {
        Self {
            replica: ReplicaId(row.replica),
            name: row.name,
            at: row.at,
        }
    }
}

/// A name that the tables take: it is for people, and must not keep a replica from its work.
fn fitting(name: &str) -> String {
    let fitting: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
    if fitting.is_empty() { "?".to_owned() } else { fitting }
}

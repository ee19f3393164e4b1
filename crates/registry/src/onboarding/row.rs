//! An onboarding and its history as they lie in tables, and back. A row that does not parse is corrupt, and is told so rather
//! than guessed at.

use keyferry_crypto::id::TenantId;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Actor, Canary, Endpoint, Event, Onboarding, PendingConsent, Recorded, Schedule, Stage,
    document::{Document, read_checks, read_endpoint_policy},
};
use crate::{error::RegistryError, tenant::Revision};

/// The columns of `onboardings`, without the claim.
pub(crate) struct OnboardingRow {
    pub(crate) tenant_id: Uuid,
    pub(crate) slug: String,
    pub(crate) stage: String,
    pub(crate) due_at: Option<OffsetDateTime>,
    pub(crate) document: Value,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

/// The columns of `onboarding_events`, without whose they are.
pub(crate) struct EventRow {
    pub(crate) number: i64,
    pub(crate) at: OffsetDateTime,
    pub(crate) actor: String,
    pub(crate) kind: String,
    pub(crate) details: Value,
}

impl TryFrom<&Onboarding> for OnboardingRow {
    type Error = RegistryError;

    fn try_from(onboarding: &Onboarding) -> Result<Self, RegistryError> {
        let document = serde_json::to_value(Document::from(onboarding));
        Ok(Self {
            tenant_id: onboarding.tenant.0,
            slug: onboarding.slug.to_string(),
            stage: onboarding.stage.slug().to_owned(),
            due_at: onboarding.schedule.due_at,
            // Only a time of no year that others can tell cannot be written.
            document: without_nul(document.map_err(|_| RegistryError::Corrupt("document"))?),
            revision: onboarding.revision.0,
            created_at: onboarding.created_at,
            updated_at: onboarding.updated_at,
        })
    }
}

impl TryFrom<OnboardingRow> for Onboarding {
    type Error = RegistryError;

    fn try_from(row: OnboardingRow) -> Result<Self, RegistryError> {
        let document = Document::read(row.document)?;
        let stage = match (row.stage.as_str(), document.stage_since) {
            ("open", None) => Stage::Open,
            ("active", Some(since)) => Stage::Active { since },
            ("closing", Some(since)) => Stage::Closing { since },
            ("closed", Some(at)) => Stage::Closed { at },
            _ => return Err(RegistryError::Corrupt("stage")),
        };
        let schedule = Schedule {
            due_at: row.due_at,
            idle_rounds: document.idle_rounds,
        };
        let answers = document.answers.read(document.cloud)?;
        let display_name = document.display_name.parse();
        Ok(Self {
            tenant: TenantId(row.tenant_id),
            slug: row.slug.parse().map_err(|_| RegistryError::Corrupt("slug"))?,
            display_name: display_name.map_err(|_| RegistryError::Corrupt("display_name"))?,
            cloud: document.cloud,
            policy: document.policy.try_into()?,
            endpoint_policy: read_endpoint_policy(&document.endpoint_policy)?,
            allows_public_path: document.allows_public_path,
            answers,
            confirmed_directory: document.confirmed_directory,
            canary: document.canary.map(Canary::try_from).transpose()?,
            endpoint: document.endpoint.map(Endpoint::try_from).transpose()?,
            was_private: document.was_private,
            checks: read_checks(document.checks)?,
            link: document.link.into(),
            consent: document.consent.map(PendingConsent::try_from).transpose()?,
            stage,
            schedule,
            revision: Revision(row.revision),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl OnboardingRow {
    /// Those of the rows that can be read, the longest due first. One that cannot must not keep the others from being worked
    /// on: the log says so.
    pub(crate) fn readable(rows: Vec<Self>) -> Vec<Onboarding> {
        let read = rows.into_iter().filter_map(|row| {
            let id = row.tenant_id;
            Onboarding::try_from(row)
                .inspect_err(
                    |error| tracing::error!(tenant.id = %id, ?error, "the registry's row of an onboarding is corrupt"),
                )
                .ok()
        });
        let mut read: Vec<_> = read.collect();
        read.sort_by_key(|onboarding| onboarding.schedule.due_at);
        read
    }
}

impl From<&Event> for EventRow {
    /// Its number is given by the store.
    fn from(event: &Event) -> Self {
        Self {
            number: 0,
            at: event.at,
            actor: event.actor.slug().to_owned(),
            kind: event.kind.to_owned(),
            details: without_nul(json!(event.details)),
        }
    }
}

impl TryFrom<EventRow> for Recorded {
    type Error = RegistryError;

    fn try_from(row: EventRow) -> Result<Self, RegistryError> {
        let actor = Actor::ALL.into_iter().find(|actor| actor.slug() == row.actor);
        Ok(Self {
            number: row.number,
            at: row.at,
            actor: actor.ok_or(RegistryError::Corrupt("actor"))?,
            kind: row.kind,
            details: serde_json::from_value(row.details).map_err(|_| RegistryError::Corrupt("details"))?,
        })
    }
}

/// Postgres keeps no NUL in JSON. What the other side wrote beside its decision may hold one, and must not keep an onboarding
/// from being saved.
pub(crate) fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields
                .map(|(name, value)| (name.replace('\0', ""), without_nul(value)))
                .collect()
        }
        other => other,
    }
}

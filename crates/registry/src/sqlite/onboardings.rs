//! Onboardings in SQLite.

use async_trait::async_trait;
use keyferry_crypto::id::{DirectoryId, TenantId};
use sqlx::{FromRow, Sqlite, Transaction, sqlite::SqliteRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{SqliteStore, from_micros, idempotency, micros, next_revision, tenants};
use crate::{
    error::RegistryError,
    onboarding::{
        Event, Onboarding, OnboardingStore, Opened, Recorded,
        row::{EventRow, OnboardingRow},
    },
    store::{Idempotency, Purpose},
    tenant::{Revision, Slug, Tenant},
};

#[async_trait]
impl OnboardingStore for SqliteStore {
    async fn open(
        &self,
        onboarding: &Onboarding,
        event: &Event,
        idempotency: Option<&Idempotency>,
    ) -> Result<Opened, RegistryError> {
        let mut tx = self.begin_change().await?;
        if let Some(idempotency) = idempotency
            && let Some(id) = idempotency::used(&mut tx, idempotency, Purpose::Onboarding, (self.clock)()).await?
        {
            let onboarding = with_id_unless_closed(&mut tx, id).await?;
            // Opened, and closed since: the same request is not that one any more.
            let onboarding = onboarding.ok_or(RegistryError::IdempotencyMismatch)?;
            return Ok(Opened {
                onboarding,
                replayed: true,
            });
        }
        let opened = insert(&mut tx, onboarding).await?;
        record(&mut tx, onboarding.tenant, event).await?;
        if let Some(idempotency) = idempotency {
            let id = onboarding.tenant;
            idempotency::keep(&mut tx, idempotency, Purpose::Onboarding, id, (self.clock)()).await?;
        }
        tx.commit().await?;
        self.tell_onboarding(onboarding.tenant);
        Ok(Opened {
            onboarding: opened,
            replayed: false,
        })
    }

    async fn find_onboarding(&self, slug: &Slug) -> Result<Option<Onboarding>, RegistryError> {
        let row: Option<OnboardingRow> = sqlx::query_as(
            "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
             from onboardings where slug = ?1 and stage <> 'closed'",
        )
        .bind(slug.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.map(Onboarding::try_from).transpose()
    }

    async fn onboarding_of(&self, tenant: TenantId) -> Result<Option<Onboarding>, RegistryError> {
        let row: Option<OnboardingRow> = sqlx::query_as(
            "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
             from onboardings where tenant_id = ?1",
        )
        .bind(tenant.0)
        .fetch_optional(&self.pool)
        .await?;
        row.map(Onboarding::try_from).transpose()
    }

    async fn list_onboardings(
        &self,
        after: Option<&Slug>,
        among: Option<&[Slug]>,
        limit: u32,
    ) -> Result<Vec<Onboarding>, RegistryError> {
        let rows: Vec<OnboardingRow> = sqlx::query_as(
            "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
             from onboardings
             where slug > ?1 and (?2 is null or slug in (select value from json_each(?2))) and stage <> 'closed'
             order by slug limit ?3",
        )
        .bind(after.map_or("", Slug::as_str))
        .bind(among.map(|slugs| serde_json::json!(slugs).to_string()))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Onboarding::try_from).collect()
    }

    async fn save_onboarding(&self, onboarding: &Onboarding, events: &[Event]) -> Result<Onboarding, RegistryError> {
        let mut tx = self.begin_change().await?;
        let saved = update(&mut tx, onboarding, events, (self.clock)()).await?;
        tx.commit().await?;
        self.tell_onboarding(saved.tenant);
        Ok(saved)
    }

    async fn activate(
        &self,
        onboarding: &Onboarding,
        tenant: &Tenant,
        events: &[Event],
    ) -> Result<(Onboarding, Tenant), RegistryError> {
        let mut tx = self.begin_change().await?;
        let onboarding = update(&mut tx, onboarding, events, (self.clock)()).await?;
        let tenant = tenants::insert(&mut tx, tenant).await?;
        self.commit(tx).await?;
        self.tell_onboarding(onboarding.tenant);
        Ok((onboarding, tenant))
    }

    async fn history(&self, tenant: TenantId, before: Option<i64>, limit: u32) -> Result<Vec<Recorded>, RegistryError> {
        let rows: Vec<EventRow> = sqlx::query_as(
            "select number, at, actor, kind, details from onboarding_events
             where tenant_id = ?1 and number < ?2 order by number desc limit ?3",
        )
        .bind(tenant.0)
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Recorded::try_from).collect()
    }

    async fn is_directory_shared(&self, directory: DirectoryId, tenant: TenantId) -> Result<bool, RegistryError> {
        let shared: bool = sqlx::query_scalar(
            "select exists (select 1 from tenants where directory_id = ?1 and id <> ?2 and status <> 'purged')
                 or exists (select 1 from onboardings
                     where document ->> '$.answers.directory' = ?3 and tenant_id <> ?2 and stage <> 'closed')",
        )
        .bind(directory.0)
        .bind(tenant.0)
        .bind(directory.0.to_string())
        .fetch_one(&self.pool)
        .await?;
        Ok(shared)
    }

    async fn claim_due(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<Onboarding>, RegistryError> {
        let mut tx = self.begin_change().await?;
        // No revision is drawn, so that nobody who has read it is in conflict with the claim.
        let rows: Vec<OnboardingRow> = sqlx::query_as(
            "update onboardings set claimed_until = ?2 where tenant_id in (
                 select tenant_id from onboardings
                 where stage <> 'closed' and due_at <= ?1 and (claimed_until is null or claimed_until <= ?1)
                 order by due_at limit ?3)
             returning tenant_id, slug, stage, due_at, document, revision, created_at, updated_at",
        )
        .bind(micros(now))
        .bind(micros(until))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(OnboardingRow::readable(rows))
    }
}

async fn with_id_unless_closed(
    tx: &mut Transaction<'static, Sqlite>,
    id: Uuid,
) -> Result<Option<Onboarding>, RegistryError> {
    let row: Option<OnboardingRow> = sqlx::query_as(
        "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
         from onboardings where tenant_id = ?1 and stage <> 'closed'",
    )
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(Onboarding::try_from).transpose()
}

/// Inserts an onboarding; `Conflict` if its id was a tenant's or an onboarding's before.
async fn insert(tx: &mut Transaction<'static, Sqlite>, onboarding: &Onboarding) -> Result<Onboarding, RegistryError> {
    let row = OnboardingRow::try_from(onboarding)?;
    let revision = next_revision(tx).await?;
    let inserted = sqlx::query(
        "insert into onboardings (tenant_id, slug, stage, due_at, document, revision, created_at, updated_at)
         select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
         where not exists (select 1 from tenants where id = ?1)
         on conflict (tenant_id) do nothing",
    )
    .bind(row.tenant_id)
    .bind(row.slug)
    .bind(row.stage)
    .bind(row.due_at.map(micros))
    .bind(row.document.to_string())
    .bind(revision)
    .bind(micros(row.created_at))
    .bind(micros(row.updated_at))
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(RegistryError::Conflict);
    }
    Ok(Onboarding {
        revision: Revision(revision),
        ..onboarding.clone()
    })
}

/// Updates an onboarding, gives its claim back, and records what happened to it.
async fn update(
    tx: &mut Transaction<'static, Sqlite>,
    onboarding: &Onboarding,
    events: &[Event],
    now: OffsetDateTime,
) -> Result<Onboarding, RegistryError> {
    let row = OnboardingRow::try_from(onboarding)?;
    let revision = next_revision(tx).await?;
    let updated = sqlx::query(
        "update onboardings set stage = ?3, due_at = ?4, claimed_until = null, document = ?5, updated_at = ?6,
             revision = ?7
         where tenant_id = ?1 and revision = ?2",
    )
    .bind(row.tenant_id)
    .bind(row.revision)
    .bind(row.stage)
    .bind(row.due_at.map(micros))
    .bind(row.document.to_string())
    .bind(micros(now))
    .bind(revision)
    .execute(&mut **tx)
    .await?;
    if updated.rows_affected() == 0 {
        return Err(RegistryError::Conflict);
    }
    for event in events {
        record(tx, onboarding.tenant, event).await?;
    }
    Ok(Onboarding {
        revision: Revision(revision),
        updated_at: now,
        ..onboarding.clone()
    })
}

/// Makes the onboarding of a tenant that was just purged due: what was made for it in Azure is to be removed. It is a change
/// like any other, so that whoever works on it meanwhile does not undo it unknowingly.
pub(super) async fn wake(
    tx: &mut Transaction<'static, Sqlite>,
    purged: Uuid,
    now: OffsetDateTime,
) -> Result<(), RegistryError> {
    let revision = next_revision(tx).await?;
    sqlx::query(
        "update onboardings set due_at = ?2, updated_at = ?2, revision = ?3 where tenant_id = ?1 and stage = 'active'",
    )
    .bind(purged)
    .bind(micros(now))
    .bind(revision)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn record(tx: &mut Transaction<'static, Sqlite>, tenant: TenantId, event: &Event) -> Result<(), RegistryError> {
    let row = EventRow::from(event);
    sqlx::query(
        "insert into onboarding_events (tenant_id, number, at, actor, kind, details)
         select ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5 from onboarding_events where tenant_id = ?1",
    )
    .bind(tenant.0)
    .bind(micros(row.at))
    .bind(row.actor)
    .bind(row.kind)
    .bind(row.details.to_string())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl FromRow<'_, SqliteRow> for OnboardingRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let due_at: Option<i64> = row.try_get("due_at")?;
        let document: String = row.try_get("document")?;
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            slug: row.try_get("slug")?,
            stage: row.try_get("stage")?,
            due_at: due_at.map(from_micros).transpose()?,
            document: serde_json::from_str(&document).unwrap_or_default(),
            revision: row.try_get("revision")?,
            created_at: from_micros(row.try_get("created_at")?)?,
            updated_at: from_micros(row.try_get("updated_at")?)?,
        })
    }
}

impl FromRow<'_, SqliteRow> for EventRow {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let details: String = row.try_get("details")?;
        Ok(Self {
            number: row.try_get("number")?,
            at: from_micros(row.try_get("at")?)?,
            actor: row.try_get("actor")?,
            kind: row.try_get("kind")?,
            details: serde_json::from_str(&details).unwrap_or_default(),
        })
    }
}

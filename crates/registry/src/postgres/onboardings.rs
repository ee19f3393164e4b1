//! Onboardings in Postgres.

use async_trait::async_trait;
use keyferry_crypto::id::{DirectoryId, TenantId};
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    PostgresStore,
    feed::{tell_onboarding, tell_tenants},
    idempotency, tenants,
};
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
impl OnboardingStore for PostgresStore {
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
        tell_onboarding(&mut tx, onboarding.tenant).await?;
        tx.commit().await?;
        Ok(Opened {
            onboarding: opened,
            replayed: false,
        })
    }

    async fn find_onboarding(&self, slug: &Slug) -> Result<Option<Onboarding>, RegistryError> {
        let row = sqlx::query_as!(
            OnboardingRow,
            "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
             from onboardings where slug = $1 and stage <> 'closed'",
            slug.as_str(),
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(Onboarding::try_from).transpose()
    }

    async fn onboarding_of(&self, tenant: TenantId) -> Result<Option<Onboarding>, RegistryError> {
        let row = sqlx::query_as!(
            OnboardingRow,
            "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
             from onboardings where tenant_id = $1",
            tenant.0,
        )
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
        let among: Option<Vec<_>> = among.map(|slugs| slugs.iter().map(Slug::to_string).collect());
        let rows = sqlx::query_as!(
            OnboardingRow,
            "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
             from onboardings
             where slug collate \"C\" > $1 and ($2::text[] is null or slug = any($2)) and stage <> 'closed'
             order by slug collate \"C\" limit $3",
            after.map_or("", Slug::as_str),
            among.as_deref(),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Onboarding::try_from).collect()
    }

    async fn save_onboarding(&self, onboarding: &Onboarding, events: &[Event]) -> Result<Onboarding, RegistryError> {
        let mut tx = self.begin_change().await?;
        let saved = update(&mut tx, onboarding, events, (self.clock)()).await?;
        tx.commit().await?;
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
        tell_tenants(&mut tx).await?;
        tx.commit().await?;
        Ok((onboarding, tenant))
    }

    async fn history(&self, tenant: TenantId, before: Option<i64>, limit: u32) -> Result<Vec<Recorded>, RegistryError> {
        let rows = sqlx::query_as!(
            EventRow,
            "select number, at, actor, kind, details from onboarding_events
             where tenant_id = $1 and number < $2 order by number desc limit $3",
            tenant.0,
            before.unwrap_or(i64::MAX),
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Recorded::try_from).collect()
    }

    async fn is_directory_shared(&self, directory: DirectoryId, tenant: TenantId) -> Result<bool, RegistryError> {
        let shared = sqlx::query_scalar!(
            "select exists (select from tenants where directory_id = $1 and id <> $2 and status <> 'purged')
                 or exists (select from onboardings
                     where document #>> '{answers,directory}' = $1::uuid::text and tenant_id <> $2 and stage <> 'closed')
                 as \"shared!\"",
            directory.0,
            tenant.0,
        )
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
        // No revision is drawn, so that nobody who has read it is in conflict with the claim. Those that another just claims
        // or saves are passed over.
        let rows = sqlx::query_as!(
            OnboardingRow,
            "with due as materialized (
                 select tenant_id from onboardings
                 where stage <> 'closed' and due_at <= $1 and (claimed_until is null or claimed_until <= $1)
                 order by due_at limit $3 for update skip locked)
             update onboardings set claimed_until = $2 from due where onboardings.tenant_id = due.tenant_id
             returning onboardings.tenant_id, slug, stage, due_at, document, revision, created_at, updated_at",
            now,
            until,
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(OnboardingRow::readable(rows))
    }
}

async fn with_id_unless_closed(
    tx: &mut Transaction<'static, Postgres>,
    id: Uuid,
) -> Result<Option<Onboarding>, RegistryError> {
    let row = sqlx::query_as!(
        OnboardingRow,
        "select tenant_id, slug, stage, due_at, document, revision, created_at, updated_at
         from onboardings where tenant_id = $1 and stage <> 'closed'",
        id,
    )
    .fetch_optional(&mut **tx)
    .await?;
    row.map(Onboarding::try_from).transpose()
}

/// Inserts an onboarding; `Conflict` if its id was a tenant's or an onboarding's before.
async fn insert(tx: &mut Transaction<'static, Postgres>, onboarding: &Onboarding) -> Result<Onboarding, RegistryError> {
    let row = OnboardingRow::try_from(onboarding)?;
    let revision = sqlx::query_scalar!(
        "insert into onboardings (tenant_id, slug, stage, due_at, document, revision, created_at, updated_at)
         select $1, $2, $3, $4, $5, nextval('tenant_revisions'), $6, $7
         where not exists (select from tenants where id = $1)
         on conflict (tenant_id) do nothing
         returning revision",
        row.tenant_id,
        row.slug,
        row.stage,
        row.due_at,
        row.document,
        row.created_at,
        row.updated_at,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(Onboarding {
        revision: Revision(revision.ok_or(RegistryError::Conflict)?),
        ..onboarding.clone()
    })
}

/// Updates an onboarding and gives its claim back, records what happened to it, and tells of it.
async fn update(
    tx: &mut Transaction<'static, Postgres>,
    onboarding: &Onboarding,
    events: &[Event],
    now: OffsetDateTime,
) -> Result<Onboarding, RegistryError> {
    let row = OnboardingRow::try_from(onboarding)?;
    let revision = sqlx::query_scalar!(
        "update onboardings set stage = $3, due_at = $4, claimed_until = null, document = $5, updated_at = $6,
             revision = nextval('tenant_revisions')
         where tenant_id = $1 and revision = $2
         returning revision",
        row.tenant_id,
        row.revision,
        row.stage,
        row.due_at,
        row.document,
        now,
    )
    .fetch_optional(&mut **tx)
    .await?;
    let revision = Revision(revision.ok_or(RegistryError::Conflict)?);
    for event in events {
        record(tx, onboarding.tenant, event).await?;
    }
    tell_onboarding(tx, onboarding.tenant).await?;
    Ok(Onboarding {
        revision,
        updated_at: now,
        ..onboarding.clone()
    })
}

/// Makes the onboardings of tenants that were just purged due: what was made for them in Azure is to be removed. It is a change
/// like any other, so that whoever works on one meanwhile does not undo it unknowingly.
pub(super) async fn wake(
    tx: &mut Transaction<'static, Postgres>,
    purged: &[Uuid],
    now: OffsetDateTime,
) -> Result<(), RegistryError> {
    let woken = sqlx::query_scalar!(
        "update onboardings set due_at = $2, updated_at = $2, revision = nextval('tenant_revisions')
         where tenant_id = any($1) and stage = 'active'
         returning tenant_id",
        purged,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    for tenant in woken {
        tell_onboarding(tx, TenantId(tenant)).await?;
    }
    Ok(())
}

async fn record(tx: &mut Transaction<'static, Postgres>, tenant: TenantId, event: &Event) -> Result<(), RegistryError> {
    let row = EventRow::from(event);
    sqlx::query!(
        "insert into onboarding_events (tenant_id, number, at, actor, kind, details)
         select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 from onboarding_events where tenant_id = $1",
        tenant.0,
        row.at,
        row.actor,
        row.kind,
        row.details,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

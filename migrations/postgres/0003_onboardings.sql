-- The way to a tenant's vault. The release before neither reads nor writes these two, and leaves them as they are.
alter table tenants
    add column route         text not null default 'public' check (route in ('public', 'private', 'closed')),
    add column route_address text check (route_address ~ '^[0-9a-f.:]{2,45}$'),
    add check ((route = 'private') = (route_address is not null));

-- Of a vault that must not be reached over the public network there is no way to another, and as a former key's vault it would be
-- reached publicly. This binds the release before, which would change the vault and leave the route.
create function tenants_vault_stays() returns trigger language plpgsql as $$
begin
    raise exception 'another vault is a matter of the tenant''s onboarding' using errcode = 'restrict_violation';
end $$;
create trigger tenants_vault_stays before update of vault on tenants
    for each row when (new.vault <> old.vault and old.route <> 'public' and new.route <> 'public')
    execute function tenants_vault_stays();

-- Customers on their way to being tenants, and what is found out about them. What is asked for or guarded by a column has one;
-- all else is in the document, which says by `format` how it is to be read.
create table onboardings (
    -- The id that the tenant will have.
    tenant_id     uuid primary key,
    slug          text not null check (slug ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    -- A closed onboarding's row stays: its id is never used again, and its history is kept.
    stage         text not null check (stage in ('open', 'active', 'closing', 'closed')),
    due_at        timestamptz check (due_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    -- Until then one replica works on it, and no other.
    claimed_until timestamptz check (claimed_until between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    document      jsonb not null check (coalesce(jsonb_typeof(document -> 'format') = 'number', false)),
    -- Drawn from the tenants' sequence, under the same lock.
    revision      bigint not null unique check (revision >= 1),
    created_at    timestamptz not null check (created_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    updated_at    timestamptz not null check (updated_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00')
);

-- A closed onboarding's slug may be given again.
create unique index onboardings_slug on onboardings (slug) where stage <> 'closed';
create index onboardings_slug_order on onboardings (slug collate "C") where stage <> 'closed';
create index onboardings_due on onboardings (due_at) where stage <> 'closed';
-- Whose else a directory is: asked for each that a customer tells.
create index onboardings_directory on onboardings ((document #>> '{answers,directory}')) where stage <> 'closed';
create index tenants_directory on tenants (directory_id) where status <> 'purged';

-- What happened to an onboarding. It is only added to.
create table onboarding_events (
    tenant_id uuid not null references onboardings (tenant_id),
    number    bigint not null check (number >= 1),
    at        timestamptz not null check (at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    actor     text not null check (actor in ('operator', 'customer', 'keyferry')),
    kind      text not null check (kind ~ '^[a-z]([a-z-]{0,61}[a-z])?$'),
    details   jsonb not null check (jsonb_typeof(details) = 'object'),
    primary key (tenant_id, number)
);

create function onboarding_events_stay() returns trigger language plpgsql as $$
begin
    raise exception 'what happened to an onboarding is only added to' using errcode = 'restrict_violation';
end $$;
create trigger onboarding_events_stay before update or delete on onboarding_events
    for each row execute function onboarding_events_stay();
create trigger onboarding_events_stay_all before truncate on onboarding_events
    for each statement execute function onboarding_events_stay();

-- No slug is both a tenant's and an onboarding's, save where the one became the other. Kept here and not by the program, so that
-- it also binds replicas of the release before, which know no onboardings: they are told what they are told of a tenant's slug.
create function tenants_slug_is_free() returns trigger language plpgsql as $$
begin
    if exists (select from onboardings where slug = new.slug and stage <> 'closed' and tenant_id <> new.id) then
        raise exception 'the slug is an onboarding''s' using errcode = 'unique_violation', constraint = 'tenants_slug';
    end if;
    return new;
end $$;
create trigger tenants_slug_is_free before insert on tenants
    for each row when (new.status <> 'purged') execute function tenants_slug_is_free();

create function onboardings_slug_is_free() returns trigger language plpgsql as $$
begin
    if exists (select from tenants where slug = new.slug and status <> 'purged' and id <> new.tenant_id) then
        raise exception 'the slug is a tenant''s' using errcode = 'unique_violation', constraint = 'onboardings_slug';
    end if;
    return new;
end $$;
create trigger onboardings_slug_is_free before insert on onboardings
    for each row when (new.stage <> 'closed') execute function onboardings_slug_is_free();

-- One space of keys for both; the id is of the one or of the other. The release before writes keys of tenants, and takes those of
-- onboardings for used: which they are.
alter table idempotency_keys
    drop constraint idempotency_keys_tenant_id_fkey,
    add column kind text not null default 'tenant' check (kind in ('tenant', 'onboarding'));
alter table idempotency_keys
    add column registered uuid generated always as (case when kind = 'tenant' then tenant_id end) stored references tenants (id),
    add column opened uuid generated always as (case when kind = 'onboarding' then tenant_id end) stored
        references onboardings (tenant_id);

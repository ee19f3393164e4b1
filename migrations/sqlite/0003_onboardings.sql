-- The same as in Postgres (migrations/postgres), in SQLite's types.
alter table tenants add column route text not null default 'public' check (route in ('public', 'private', 'closed'));
alter table tenants add column route_address text check ((route = 'private') = (route_address is not null)
    and (route_address is null or length(route_address) between 2 and 45 and route_address not glob '*[^0-9a-f.:]*'));

create trigger tenants_vault_stays before update of vault on tenants
when new.vault <> old.vault and old.route <> 'public' and new.route <> 'public'
begin
    select raise(abort, 'another vault is a matter of the tenant''s onboarding');
end;

create table onboardings (
    tenant_id     blob primary key check (length(tenant_id) = 16),
    slug          text not null check (length(slug) between 1 and 63 and slug glob '[a-z]*'
                      and slug not glob '*[^a-z0-9-]*' and slug not glob '*-'),
    stage         text not null check (stage in ('open', 'active', 'closing', 'closed')),
    due_at        integer check (due_at between 0 and 253402300799999999),
    claimed_until integer check (claimed_until between 0 and 253402300799999999),
    document      text not null check (case when json_valid(document)
                      then coalesce(json_type(document, '$.format') = 'integer', false) else false end),
    revision      integer not null unique check (revision >= 1),
    created_at    integer not null check (created_at between 0 and 253402300799999999),
    updated_at    integer not null check (updated_at between 0 and 253402300799999999)
) strict;

create unique index onboardings_slug on onboardings (slug) where stage <> 'closed';
create index onboardings_due on onboardings (due_at) where stage <> 'closed';
create index onboardings_directory on onboardings (document ->> '$.answers.directory') where stage <> 'closed';
create index tenants_directory on tenants (directory_id) where status <> 'purged';

create table onboarding_events (
    tenant_id blob not null references onboardings (tenant_id),
    number    integer not null check (number >= 1),
    at        integer not null check (at between 0 and 253402300799999999),
    actor     text not null check (actor in ('operator', 'customer', 'keyferry')),
    kind      text not null check (length(kind) between 1 and 63 and kind glob '[a-z]*' and kind not glob '*[^a-z-]*' and kind not glob '*-'),
    details   text not null check (case when json_valid(details) then json_type(details) = 'object' else false end),
    primary key (tenant_id, number)
) strict;

create trigger onboarding_events_stay before update on onboarding_events
begin
    select raise(abort, 'what happened to an onboarding is only added to');
end;
create trigger onboarding_events_stay_all before delete on onboarding_events
begin
    select raise(abort, 'what happened to an onboarding is only added to');
end;

-- They say what SQLite says of its own indexes.
create trigger tenants_slug_is_free before insert on tenants
when new.status <> 'purged'
    and exists (select 1 from onboardings where slug = new.slug and stage <> 'closed' and tenant_id <> new.id)
begin
    select raise(abort, 'UNIQUE constraint failed: tenants.slug');
end;
create trigger onboardings_slug_is_free before insert on onboardings
when new.stage <> 'closed'
    and exists (select 1 from tenants where slug = new.slug and status <> 'purged' and id <> new.tenant_id)
begin
    select raise(abort, 'UNIQUE constraint failed: onboardings.slug');
end;

-- SQLite drops no constraint: the table is made anew.
create table idempotency_keys_next (
    key         text primary key check (length(key) between 1 and 200 and key not glob '*[^!-~]*'),
    fingerprint blob not null check (length(fingerprint) = 32),
    tenant_id   blob not null,
    created_at  integer not null check (created_at between 0 and 253402300799999999),
    kind        text not null default 'tenant' check (kind in ('tenant', 'onboarding')),
    registered  blob generated always as (case when kind = 'tenant' then tenant_id end) stored references tenants (id),
    opened      blob generated always as (case when kind = 'onboarding' then tenant_id end) stored
                    references onboardings (tenant_id)
) strict;
insert into idempotency_keys_next (key, fingerprint, tenant_id, created_at)
select key, fingerprint, tenant_id, created_at from idempotency_keys;
drop table idempotency_keys;
alter table idempotency_keys_next rename to idempotency_keys;
create index idempotency_keys_age on idempotency_keys (created_at);

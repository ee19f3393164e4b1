-- Tenants, saved whole; the constraints back the types of crates/registry, so that a hand on the database cannot make
-- a row that the service would have to refuse.
create sequence tenant_revisions as bigint;

create table tenants (
    id                   uuid primary key,
    slug                 text not null check (slug ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    display_name         text not null check (char_length(display_name) between 1 and 200),
    directory_id         uuid not null,
    cloud                text not null check (cloud in ('public', 'china', 'us-government')),
    vault                text not null,
    key_name             text not null check (key_name ~ '^[0-9A-Za-z-]{1,127}$'),
    key_version          text check (key_version ~ '^[0-9a-f]{32}$'),   -- null: follow the latest
    former_keys          jsonb not null default '[]',
    cache_ttl_seconds    integer not null check (cache_ttl_seconds between 0 and 3600),
    lease_max_age_seconds integer not null check (lease_max_age_seconds between 1 and 3600),
    lease_max_messages   bigint not null check (lease_max_messages >= 1),
    outage_grace_seconds integer not null check (outage_grace_seconds between 0 and 86400),
    -- A purged tenant's row stays: its id is never used again, and replicas must hear of it.
    status               text not null check (status in ('active', 'suspended', 'deleting', 'purged')),
    purge_at             timestamptz,
    -- Drawn under an advisory lock, so that revisions become visible in their order and the change feed skips none.
    revision             bigint not null unique,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    check ((status = 'deleting') = (purge_at is not null))
);

-- A purged tenant's slug may be given again, to a tenant with another id.
create unique index tenants_slug on tenants (slug) where status <> 'purged';
create index tenants_purge on tenants (purge_at) where status = 'deleting';

create table idempotency_keys (
    key         text primary key check (char_length(key) between 1 and 200),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    tenant_id   uuid not null references tenants (id),
    created_at  timestamptz not null
);
create index idempotency_keys_age on idempotency_keys (created_at);

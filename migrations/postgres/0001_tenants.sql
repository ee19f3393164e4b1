-- Tenants, saved whole; the constraints back the types of crates/registry, so that a hand on the database cannot make
-- a row that the service would have to refuse.
create sequence tenant_revisions as bigint;

create table tenants (
    id                   uuid primary key,
    slug                 text not null check (slug ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    display_name         text not null check (char_length(display_name) between 1 and 200 and btrim(display_name) <> ''
                             and display_name !~ '[\u0001-\u001f\u007f-\u009f]'),
    directory_id         uuid not null,
    cloud                text not null check (cloud in ('public', 'china', 'us-government')),
    vault                text not null,
    key_name             text not null check (key_name ~ '^[0-9A-Za-z-]{1,127}$'),
    key_version          text check (key_version ~ '^[0-9a-f]{32}$'),   -- null: follow the latest
    former_keys          jsonb not null default '[]' check (case when jsonb_typeof(former_keys) = 'array'
                             then jsonb_array_length(former_keys) <= 16 else false end),
    cache_ttl_seconds    integer not null check (cache_ttl_seconds between 0 and 3600),
    lease_max_age_seconds integer not null check (lease_max_age_seconds between 1 and 3600),
    lease_max_messages   bigint not null check (lease_max_messages >= 1),
    outage_grace_seconds integer not null check (outage_grace_seconds between 0 and 86400),
    -- A purged tenant's row stays: its id is never used again, and replicas must hear of it.
    status               text not null check (status in ('active', 'suspended', 'deleting', 'purged')),
    purge_at             timestamptz check (purge_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    -- Drawn under an advisory lock, so that revisions become visible in their order and the change feed skips none.
    revision             bigint not null unique check (revision >= 1),
    -- No infinity, and no year that other programs cannot tell.
    created_at           timestamptz not null check (created_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    updated_at           timestamptz not null check (updated_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    check ((status = 'deleting') = (purge_at is not null)),
    -- One name under a suffix of its own cloud: no other host is ever connected to.
    check (vault ~ '^[a-z0-9]+(-[a-z0-9]+)*[.]' and strpos(vault, '.') - 1 between 3 and 24),
    check (cloud || ' ' || substr(vault, strpos(vault, '.') + 1) in (
        'public vault.azure.net', 'public managedhsm.azure.net',
        'china vault.azure.cn', 'china managedhsm.azure.cn',
        'us-government vault.usgovcloudapi.net', 'us-government managedhsm.usgovcloudapi.net'))
);

-- A purged tenant's slug may be given again, to a tenant with another id.
create unique index tenants_slug on tenants (slug) where status <> 'purged';
create index tenants_purge on tenants (purge_at) where status = 'deleting';

create table idempotency_keys (
    key         text primary key check (key ~ '^[!-~]{1,200}$'),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    tenant_id   uuid not null references tenants (id),
    created_at  timestamptz not null check (created_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00')
);
create index idempotency_keys_age on idempotency_keys (created_at);

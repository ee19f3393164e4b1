-- The same tables as in Postgres (migrations/postgres), in SQLite's types: times are microseconds since 1970 in UTC,
-- ids are 16-byte blobs.
create table tenants (
    id                   blob primary key check (length(id) = 16),
    slug                 text not null check (length(slug) between 1 and 63),
    display_name         text not null check (length(display_name) between 1 and 200),
    directory_id         blob not null check (length(directory_id) = 16),
    cloud                text not null check (cloud in ('public', 'china', 'us-government')),
    vault                text not null,
    key_name             text not null check (length(key_name) between 1 and 127),
    key_version          text check (length(key_version) = 32),
    former_keys          text not null default '[]',
    cache_ttl_seconds    integer not null check (cache_ttl_seconds between 0 and 3600),
    lease_max_age_seconds integer not null check (lease_max_age_seconds between 1 and 3600),
    lease_max_messages   integer not null check (lease_max_messages >= 1),
    outage_grace_seconds integer not null check (outage_grace_seconds between 0 and 86400),
    status               text not null check (status in ('active', 'suspended', 'deleting', 'purged')),
    purge_at             integer,
    revision             integer not null unique,
    created_at           integer not null,
    updated_at           integer not null,
    check ((status = 'deleting') = (purge_at is not null))
) strict;

create unique index tenants_slug on tenants (slug) where status <> 'purged';
create index tenants_purge on tenants (purge_at) where status = 'deleting';

create table idempotency_keys (
    key         text primary key check (length(key) between 1 and 200),
    fingerprint blob not null check (length(fingerprint) = 32),
    tenant_id   blob not null references tenants (id),
    created_at  integer not null
) strict;
create index idempotency_keys_age on idempotency_keys (created_at);

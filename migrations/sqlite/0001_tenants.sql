-- The same tables as in Postgres (migrations/postgres), in SQLite's types: times are microseconds since 1970 in UTC,
-- ids are 16-byte blobs.
create table tenants (
    id                   blob primary key check (length(id) = 16),
    slug                 text not null check (length(slug) between 1 and 63 and slug glob '[a-z]*'
                             and slug not glob '*[^a-z0-9-]*' and slug not glob '*-'),
    display_name         text not null check (length(display_name) between 1 and 200 and trim(display_name) <> ''
                             and display_name not glob '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    directory_id         blob not null check (length(directory_id) = 16),
    cloud                text not null check (cloud in ('public', 'china', 'us-government')),
    vault                text not null,
    key_name             text not null check (length(key_name) between 1 and 127 and key_name not glob '*[^0-9A-Za-z-]*'),
    key_version          text check (length(key_version) = 32 and key_version not glob '*[^0-9a-f]*'),
    former_keys          text not null default '[]' check (case when json_valid(former_keys) and json_type(former_keys) = 'array'
                             then json_array_length(former_keys) <= 16 else false end),
    cache_ttl_seconds    integer not null check (cache_ttl_seconds between 0 and 3600),
    lease_max_age_seconds integer not null check (lease_max_age_seconds between 1 and 3600),
    lease_max_messages   integer not null check (lease_max_messages >= 1),
    outage_grace_seconds integer not null check (outage_grace_seconds between 0 and 86400),
    status               text not null check (status in ('active', 'suspended', 'deleting', 'purged')),
    purge_at             integer check (purge_at between 0 and 253402300799999999),
    revision             integer not null unique check (revision >= 1),
    -- Up to the end of the year 9999.
    created_at           integer not null check (created_at between 0 and 253402300799999999),
    updated_at           integer not null check (updated_at between 0 and 253402300799999999),
    check ((status = 'deleting') = (purge_at is not null)),
    -- One name under a suffix of its own cloud: no other host is ever connected to.
    check (instr(vault, '.') - 1 between 3 and 24 and substr(vault, 1, instr(vault, '.') - 1) not glob '*[^a-z0-9-]*'
        and vault not glob '-*' and vault not glob '*-.*' and vault not glob '*--*'),
    check (cloud || ' ' || substr(vault, instr(vault, '.') + 1) in (
        'public vault.azure.net', 'public managedhsm.azure.net',
        'china vault.azure.cn', 'china managedhsm.azure.cn',
        'us-government vault.usgovcloudapi.net', 'us-government managedhsm.usgovcloudapi.net'))
) strict;

create unique index tenants_slug on tenants (slug) where status <> 'purged';
create index tenants_purge on tenants (purge_at) where status = 'deleting';

create table idempotency_keys (
    key         text primary key check (length(key) between 1 and 200 and key not glob '*[^!-~]*'),
    fingerprint blob not null check (length(fingerprint) = 32),
    tenant_id   blob not null references tenants (id),
    created_at  integer not null check (created_at between 0 and 253402300799999999)
) strict;
create index idempotency_keys_age on idempotency_keys (created_at);

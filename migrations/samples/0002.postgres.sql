-- Rows as a service on schema 0002 could have left them: every status, every optional column with and without a value.
insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
    cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
    status, purge_at, revision, created_at, updated_at)
values
    ('01890000-0000-7000-8000-000000000001', 'acme', 'Acme', '0d000000-0000-4000-8000-000000000001',
     'public', 'acme-old.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'purged', null, 1, '2027-01-01 00:00:00+00', '2027-01-02 00:00:00+00'),
    ('01890000-0000-7000-8000-000000000002', 'acme', 'Acme & Söhne 🔑', '0d000000-0000-4000-8000-000000000002',
     'public', 'acme.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'active', null, 3, '2027-01-15 08:00:00.123456+00', '2027-01-15 08:00:01+00'),
    ('01890000-0000-7000-8000-000000000003', 'east', 'East', '0d000000-0000-4000-8000-000000000003',
     'china', 'east.managedhsm.azure.cn', 'Key-2', '0123456789abcdef0123456789abcdef',
     '[{"vault": "east.vault.azure.cn", "name": "kek"}, {"vault": "east.managedhsm.azure.cn", "name": "Key-1"}]',
     0, 1, 1, 86400,
     'active', null, 4, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00'),
    ('01890000-0000-7000-8000-000000000004', 'bureau', 'Bureau', '0d000000-0000-4000-8000-000000000004',
     'us-government', 'bureau.vault.usgovcloudapi.net', 'kek', null, '[]', 3600, 3600, 9223372036854775807, 60,
     'suspended', null, 5, '2027-01-15 08:00:00+00', '2027-01-16 08:00:00+00'),
    ('01890000-0000-7000-8000-000000000005', 'leaving', 'Leaving', '0d000000-0000-4000-8000-000000000005',
     'public', 'leaving.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'deleting', '2027-02-14 08:00:00.123456+00', 7, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
select setval('tenant_revisions', 7);

insert into idempotency_keys (key, fingerprint, tenant_id, created_at)
values ('a-key', decode(repeat('01', 32), 'hex'), '01890000-0000-7000-8000-000000000002', '2027-01-15 07:59:59+00');

-- The same rows as in 0001.postgres.sql.
insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
    cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
    status, purge_at, revision, created_at, updated_at)
values
    (x'01890000000070008000000000000001', 'acme', 'Acme', x'0d000000000040008000000000000001',
     'public', 'acme-old.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'purged', null, 1, 1798761600000000, 1798848000000000),
    (x'01890000000070008000000000000002', 'acme', 'Acme & Söhne 🔑', x'0d000000000040008000000000000002',
     'public', 'acme.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'active', null, 3, 1800000000123456, 1800000001000000),
    (x'01890000000070008000000000000003', 'east', 'East', x'0d000000000040008000000000000003',
     'china', 'east.managedhsm.azure.cn', 'Key-2', '0123456789abcdef0123456789abcdef',
     '[{"vault": "east.vault.azure.cn", "name": "kek"}, {"vault": "east.managedhsm.azure.cn", "name": "Key-1"}]',
     0, 1, 1, 86400,
     'active', null, 4, 1800000000000000, 1800000000000000),
    (x'01890000000070008000000000000004', 'bureau', 'Bureau', x'0d000000000040008000000000000004',
     'us-government', 'bureau.vault.usgovcloudapi.net', 'kek', null, '[]', 3600, 3600, 9223372036854775807, 60,
     'suspended', null, 5, 1800000000000000, 1800086400000000),
    (x'01890000000070008000000000000005', 'leaving', 'Leaving', x'0d000000000040008000000000000005',
     'public', 'leaving.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'deleting', 1802592000123456, 7, 1800000000000000, 1800000000000000);

insert into idempotency_keys (key, fingerprint, tenant_id, created_at)
values ('a-key', x'0101010101010101010101010101010101010101010101010101010101010101',
    x'01890000000070008000000000000002', 1799999999000000);

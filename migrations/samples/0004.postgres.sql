-- Rows as a service on schema 0004 could have left them: every status, every optional column with and without a value.
insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
    cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
    route, route_address, status, purge_at, revision, created_at, updated_at)
values
    ('01890000-0000-7000-8000-000000000001', 'acme', 'Acme', '0d000000-0000-4000-8000-000000000001',
     'public', 'acme-old.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'public', null, 'purged', null, 1, '2027-01-01 00:00:00+00', '2027-01-02 00:00:00+00'),
    ('01890000-0000-7000-8000-000000000002', 'acme', 'Acme & Söhne 🔑', '0d000000-0000-4000-8000-000000000002',
     'public', 'acme.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'private', '10.0.4.5', 'active', null, 3, '2027-01-15 08:00:00.123456+00', '2027-01-15 08:00:01+00'),
    ('01890000-0000-7000-8000-000000000003', 'east', 'East', '0d000000-0000-4000-8000-000000000003',
     'china', 'east.managedhsm.azure.cn', 'Key-2', '0123456789abcdef0123456789abcdef',
     '[{"vault": "east.vault.azure.cn", "name": "kek"}, {"vault": "east.managedhsm.azure.cn", "name": "Key-1"}]',
     0, 1, 1, 86400,
     'closed', null, 'active', null, 4, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00'),
    ('01890000-0000-7000-8000-000000000004', 'bureau', 'Bureau', '0d000000-0000-4000-8000-000000000004',
     'us-government', 'bureau.vault.usgovcloudapi.net', 'kek', null, '[]', 3600, 3600, 9223372036854775807, 60,
     'private', 'fd00::5', 'suspended', null, 5, '2027-01-15 08:00:00+00', '2027-01-16 08:00:00+00'),
    ('01890000-0000-7000-8000-000000000005', 'leaving', 'Leaving', '0d000000-0000-4000-8000-000000000005',
     'public', 'leaving.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'public', null, 'deleting', '2027-02-14 08:00:00.123456+00', 7, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');
select setval('tenant_revisions', 14);

-- Every stage; all that a document may hold, and as little as it may.
insert into onboardings (tenant_id, slug, stage, due_at, claimed_until, document, revision, created_at, updated_at)
values
    ('01890000-0000-7000-8000-000000000002', 'acme', 'active', '2027-01-15 08:05:00.500000+00', null,
     '{"format": 1, "was_private": true, "confirmed_directory": "0d000000-0000-4000-8000-00000000000c", "display_name": "Acme & Söhne 🔑", "cloud": "public", "policy": {"cache_ttl_seconds": 300, "lease_max_age_seconds": 300, "lease_max_messages": 1000000, "outage_grace_seconds": 0}, "endpoint_policy": "required", "allows_public_path": true, "answers": {"directory": "0d000000-0000-4000-8000-000000000002", "vault": "acme.vault.azure.net", "key": "kek", "version": {"pinned": "0123456789abcdef0123456789abcdef"}, "resource": "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys_(prod).eu/providers/Microsoft.KeyVault/vaults/acme"}, "canary": {"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef", "wrapped": "AQIDBA==", "digest": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}, "endpoint": {"name": "keyferry-acme-1", "target": "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys_(prod).eu/providers/Microsoft.KeyVault/vaults/acme", "state": "approved", "description": "welcome", "address": "10.0.4.5", "is_proven": true, "since": "2027-01-15T08:00:00.123456Z"}, "checks": {"directory": {"status": "passed", "finding": "directory-found", "values": {}, "evidence": null, "checked_at": "2027-01-15T08:00:01Z", "since": "2027-01-15T08:00:00Z", "attempts": 2}, "wrap": {"status": "waiting", "finding": "role-missing", "values": {"role": "Key Vault Crypto User"}, "evidence": {"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}, "checked_at": "2027-01-15T08:00:01Z", "since": "2027-01-15T08:00:01Z", "attempts": 1}}, "link": {"serial": 3, "expires_at": "2027-02-01T08:00:00Z"}, "consent": {"nonce_digest": "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=", "expires_at": "2027-01-15T09:00:00Z"}, "stage_since": "2027-01-15T08:00:00Z", "idle_rounds": 4}',
     8, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00'),
    ('01890000-0000-7000-8000-000000000006', 'new', 'open', '2027-01-15 08:05:00+00', '2027-01-15 08:10:00+00',
     '{"format": 1, "was_private": false, "confirmed_directory": null, "display_name": "Söhne", "cloud": "china", "policy": {"cache_ttl_seconds": 0, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 86400}, "endpoint_policy": "off", "allows_public_path": false, "answers": {"directory": null, "vault": null, "key": null, "version": "follow-latest", "resource": null}, "canary": null, "endpoint": null, "checks": {}, "link": {"serial": 1, "expires_at": "2027-02-01T08:00:00Z"}, "consent": null, "stage_since": null, "idle_rounds": 0}',
     9, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00'),
    ('01890000-0000-7000-8000-000000000007', 'parting', 'closing', null, null,
     '{"format": 1, "was_private": false, "confirmed_directory": null, "display_name": "Söhne", "cloud": "china", "policy": {"cache_ttl_seconds": 0, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 86400}, "endpoint_policy": "optional", "allows_public_path": false, "answers": {"directory": null, "vault": null, "key": null, "version": "follow-latest", "resource": null}, "canary": null, "endpoint": null, "checks": {}, "link": {"serial": 1, "expires_at": "2027-02-01T08:00:00Z"}, "consent": null, "stage_since": "2027-01-15T08:00:00Z", "idle_rounds": 0}',
     10, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00'),
    ('01890000-0000-7000-8000-000000000008', 'new', 'closed', null, null,
     '{"format": 1, "was_private": false, "confirmed_directory": null, "display_name": "Gone", "cloud": "china", "policy": {"cache_ttl_seconds": 0, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 86400}, "endpoint_policy": "off", "allows_public_path": false, "answers": {"directory": null, "vault": null, "key": null, "version": "follow-latest", "resource": null}, "canary": null, "endpoint": null, "checks": {}, "link": {"serial": 1, "expires_at": "2027-02-01T08:00:00Z"}, "consent": null, "stage_since": "2027-01-15T08:00:00Z", "idle_rounds": 0}',
     11, '2027-01-15 08:00:00+00', '2027-01-15 08:00:00+00');

insert into onboarding_events (tenant_id, number, at, actor, kind, details)
values
    ('01890000-0000-7000-8000-000000000002', 1, '2027-01-15 08:00:00+00', 'operator', 'opened', '{}'),
    ('01890000-0000-7000-8000-000000000002', 2, '2027-01-15 08:00:00+00', 'customer', 'answered', '{"answer": "vault"}'),
    ('01890000-0000-7000-8000-000000000006', 1, '2027-01-15 08:00:00+00', 'keyferry', 'check-changed', '{"check": "wrap", "status": "waiting"}');

insert into idempotency_keys (key, fingerprint, kind, tenant_id, created_at)
values
    ('a-key', decode(repeat('01', 32), 'hex'), 'tenant', '01890000-0000-7000-8000-000000000002', '2027-01-15 07:59:59+00'),
    ('b-key', decode(repeat('02', 32), 'hex'), 'onboarding', '01890000-0000-7000-8000-000000000006', '2027-01-15 07:59:59+00');

-- Every state; each key that is looked after, being looked at, given up, held, or none of these.
update key_health set watched = true, state = 'healthy', since = '2027-01-15 08:00:00.000001+00', checked_at = '2027-01-15 08:00:30.000000+00', served_at = '2027-01-15 08:00:30.500000+00', newest = '{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef"}', newest_seen_at = '2027-01-15 08:00:20.000000+00', canaries = '{"format": 1, "canaries": [{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef", "wrapped": "AQIDBA==", "digest": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}]}', failures = 0, due_at = '2027-01-15 08:01:00.000000+00', owner = '01890000-0000-7000-8000-0000000000a1', owned_until = '2027-01-15 08:01:10.000000+00', claimed_at = '2027-01-15 08:01:01.000000+00', looked_at = '2027-01-15 08:00:29.000000+00', wanted = true, held_at = '2027-01-15 08:00:10.000000+00', is_held = true
where tenant_id = '01890000-0000-7000-8000-000000000002';
update key_health set watched = true, state = 'degraded', cause = 'throttled', evidence = '{"status": 429, "code": null, "request_id": null}', since = '2027-01-15 08:00:00.000000+00', checked_at = '2027-01-15 08:00:30.000000+00', failures = 3, due_at = '2027-01-15 08:01:00.000000+00', given_up_by = '01890000-0000-7000-8000-0000000000a2'
where tenant_id = '01890000-0000-7000-8000-000000000003';
update key_health set watched = false, state = 'refused', cause = 'role-missing', evidence = '{"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}', since = '2027-01-15 08:00:05.000000+00', checked_at = '2027-01-15 08:00:06.000000+00', served_at = '2027-01-15 08:00:04.000000+00', newest = '{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef"}', newest_seen_at = '1970-01-01 00:00:00+00', due_at = '2027-01-15 08:00:00.000000+00'
where tenant_id = '01890000-0000-7000-8000-000000000004';
update key_health set watched = false, state = 'unknown', since = '2027-01-15 08:00:00.000000+00', due_at = '2027-01-15 08:00:00.000000+00'
where tenant_id = '01890000-0000-7000-8000-000000000005';

insert into key_events (revision, tenant_id, at, replica, kind, details)
values
    (12, '01890000-0000-7000-8000-000000000004', '2027-01-15 08:00:05.000000+00', '01890000-0000-7000-8000-0000000000a1', 'withdrawn',
     '{"call": "unwrap", "key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": null, "cause": "role-missing", "evidence": {"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}}'),
    (13, '01890000-0000-7000-8000-000000000004', '2027-01-15 08:00:05.000000+00', '01890000-0000-7000-8000-0000000000a1', 'state',
     '{"state": "refused", "cause": "role-missing", "evidence": {"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}}'),
    (14, '01890000-0000-7000-8000-000000000002', '2027-01-15 08:00:20.000000+00', '01890000-0000-7000-8000-0000000000a2', 'version',
     '{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef"}');

insert into key_acknowledgements (revision, replica, name, at)
values (12, '01890000-0000-7000-8000-0000000000a2', 'host-2', '2027-01-15 08:00:06.000000+00');

insert into replicas (id, name, release, started_at, seen_at, followed)
values ('01890000-0000-7000-8000-0000000000a1', 'host-1', '0.1.0', '2027-01-15 08:00:00.000000+00', '2027-01-15 08:01:00.000000+00', 14);

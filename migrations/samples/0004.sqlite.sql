-- The same rows as in 0004.postgres.sql.
insert into tenants (id, slug, display_name, directory_id, cloud, vault, key_name, key_version, former_keys,
    cache_ttl_seconds, lease_max_age_seconds, lease_max_messages, outage_grace_seconds,
    route, route_address, status, purge_at, revision, created_at, updated_at)
values
    (x'01890000000070008000000000000001', 'acme', 'Acme', x'0d000000000040008000000000000001',
     'public', 'acme-old.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'public', null, 'purged', null, 1, 1798761600000000, 1798848000000000),
    (x'01890000000070008000000000000002', 'acme', 'Acme & Söhne 🔑', x'0d000000000040008000000000000002',
     'public', 'acme.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'private', '10.0.4.5', 'active', null, 3, 1800000000123456, 1800000001000000),
    (x'01890000000070008000000000000003', 'east', 'East', x'0d000000000040008000000000000003',
     'china', 'east.managedhsm.azure.cn', 'Key-2', '0123456789abcdef0123456789abcdef',
     '[{"vault": "east.vault.azure.cn", "name": "kek"}, {"vault": "east.managedhsm.azure.cn", "name": "Key-1"}]',
     0, 1, 1, 86400,
     'closed', null, 'active', null, 4, 1800000000000000, 1800000000000000),
    (x'01890000000070008000000000000004', 'bureau', 'Bureau', x'0d000000000040008000000000000004',
     'us-government', 'bureau.vault.usgovcloudapi.net', 'kek', null, '[]', 3600, 3600, 9223372036854775807, 60,
     'private', 'fd00::5', 'suspended', null, 5, 1800000000000000, 1800086400000000),
    (x'01890000000070008000000000000005', 'leaving', 'Leaving', x'0d000000000040008000000000000005',
     'public', 'leaving.vault.azure.net', 'kek', null, '[]', 300, 300, 1000000, 0,
     'public', null, 'deleting', 1802592000123456, 7, 1800000000000000, 1800000000000000);

-- Every stage; all that a document may hold, and as little as it may.
insert into onboardings (tenant_id, slug, stage, due_at, claimed_until, document, revision, created_at, updated_at)
values
    (x'01890000000070008000000000000002', 'acme', 'active', 1800000300500000, null,
     '{"format": 1, "was_private": true, "confirmed_directory": "0d000000-0000-4000-8000-00000000000c", "display_name": "Acme & Söhne 🔑", "cloud": "public", "policy": {"cache_ttl_seconds": 300, "lease_max_age_seconds": 300, "lease_max_messages": 1000000, "outage_grace_seconds": 0}, "endpoint_policy": "required", "allows_public_path": true, "answers": {"directory": "0d000000-0000-4000-8000-000000000002", "vault": "acme.vault.azure.net", "key": "kek", "version": {"pinned": "0123456789abcdef0123456789abcdef"}, "resource": "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys_(prod).eu/providers/Microsoft.KeyVault/vaults/acme"}, "canary": {"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef", "wrapped": "AQIDBA==", "digest": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}, "endpoint": {"name": "keyferry-acme-1", "target": "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/Keys_(prod).eu/providers/Microsoft.KeyVault/vaults/acme", "state": "approved", "description": "welcome", "address": "10.0.4.5", "is_proven": true, "since": "2027-01-15T08:00:00.123456Z"}, "checks": {"directory": {"status": "passed", "finding": "directory-found", "values": {}, "evidence": null, "checked_at": "2027-01-15T08:00:01Z", "since": "2027-01-15T08:00:00Z", "attempts": 2}, "wrap": {"status": "waiting", "finding": "role-missing", "values": {"role": "Key Vault Crypto User"}, "evidence": {"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}, "checked_at": "2027-01-15T08:00:01Z", "since": "2027-01-15T08:00:01Z", "attempts": 1}}, "link": {"serial": 3, "expires_at": "2027-02-01T08:00:00Z"}, "consent": {"nonce_digest": "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=", "expires_at": "2027-01-15T09:00:00Z"}, "stage_since": "2027-01-15T08:00:00Z", "idle_rounds": 4}',
     8, 1800000000000000, 1800000000000000),
    (x'01890000000070008000000000000006', 'new', 'open', 1800000300000000, 1800000600000000,
     '{"format": 1, "was_private": false, "confirmed_directory": null, "display_name": "Söhne", "cloud": "china", "policy": {"cache_ttl_seconds": 0, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 86400}, "endpoint_policy": "off", "allows_public_path": false, "answers": {"directory": null, "vault": null, "key": null, "version": "follow-latest", "resource": null}, "canary": null, "endpoint": null, "checks": {}, "link": {"serial": 1, "expires_at": "2027-02-01T08:00:00Z"}, "consent": null, "stage_since": null, "idle_rounds": 0}',
     9, 1800000000000000, 1800000000000000),
    (x'01890000000070008000000000000007', 'parting', 'closing', null, null,
     '{"format": 1, "was_private": false, "confirmed_directory": null, "display_name": "Söhne", "cloud": "china", "policy": {"cache_ttl_seconds": 0, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 86400}, "endpoint_policy": "optional", "allows_public_path": false, "answers": {"directory": null, "vault": null, "key": null, "version": "follow-latest", "resource": null}, "canary": null, "endpoint": null, "checks": {}, "link": {"serial": 1, "expires_at": "2027-02-01T08:00:00Z"}, "consent": null, "stage_since": "2027-01-15T08:00:00Z", "idle_rounds": 0}',
     10, 1800000000000000, 1800000000000000),
    (x'01890000000070008000000000000008', 'new', 'closed', null, null,
     '{"format": 1, "was_private": false, "confirmed_directory": null, "display_name": "Gone", "cloud": "china", "policy": {"cache_ttl_seconds": 0, "lease_max_age_seconds": 1, "lease_max_messages": 1, "outage_grace_seconds": 86400}, "endpoint_policy": "off", "allows_public_path": false, "answers": {"directory": null, "vault": null, "key": null, "version": "follow-latest", "resource": null}, "canary": null, "endpoint": null, "checks": {}, "link": {"serial": 1, "expires_at": "2027-02-01T08:00:00Z"}, "consent": null, "stage_since": "2027-01-15T08:00:00Z", "idle_rounds": 0}',
     11, 1800000000000000, 1800000000000000);

insert into onboarding_events (tenant_id, number, at, actor, kind, details)
values
    (x'01890000000070008000000000000002', 1, 1800000000000000, 'operator', 'opened', '{}'),
    (x'01890000000070008000000000000002', 2, 1800000000000000, 'customer', 'answered', '{"answer": "vault"}'),
    (x'01890000000070008000000000000006', 1, 1800000000000000, 'keyferry', 'check-changed', '{"check": "wrap", "status": "waiting"}');

insert into idempotency_keys (key, fingerprint, kind, tenant_id, created_at)
values
    ('a-key', x'0101010101010101010101010101010101010101010101010101010101010101', 'tenant',
     x'01890000000070008000000000000002', 1799999999000000),
    ('b-key', x'0202020202020202020202020202020202020202020202020202020202020202', 'onboarding',
     x'01890000000070008000000000000006', 1799999999000000);

-- Every state; each key that is looked after, being looked at, given up, held, or none of these.
update key_health set watched = 1, state = 'healthy', since = 1800000000000001, checked_at = 1800000030000000, served_at = 1800000030500000, newest = '{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef"}', newest_seen_at = 1800000020000000, canaries = '{"format": 1, "canaries": [{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef", "wrapped": "AQIDBA==", "digest": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="}]}', failures = 0, due_at = 1800000060000000, owner = x'018900000000700080000000000000a1', owned_until = 1800000070000000, claimed_at = 1800000061000000, looked_at = 1800000029000000, wanted = 1, held_at = 1800000010000000, is_held = 1
where tenant_id = x'01890000000070008000000000000002';
update key_health set watched = 1, state = 'degraded', cause = 'throttled', evidence = '{"status": 429, "code": null, "request_id": null}', since = 1800000000000000, checked_at = 1800000030000000, failures = 3, due_at = 1800000060000000, given_up_by = x'018900000000700080000000000000a2'
where tenant_id = x'01890000000070008000000000000003';
update key_health set watched = 0, state = 'refused', cause = 'role-missing', evidence = '{"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}', since = 1800000005000000, checked_at = 1800000006000000, served_at = 1800000004000000, newest = '{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef"}', newest_seen_at = 0, due_at = 1800000000000000
where tenant_id = x'01890000000070008000000000000004';
update key_health set watched = 0, state = 'unknown', since = 1800000000000000, due_at = 1800000000000000
where tenant_id = x'01890000000070008000000000000005';

insert into key_events (revision, tenant_id, at, replica, kind, details)
values
    (12, x'01890000000070008000000000000004', 1800000005000000, x'018900000000700080000000000000a1', 'withdrawn',
     '{"call": "unwrap", "key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": null, "cause": "role-missing", "evidence": {"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}}'),
    (13, x'01890000000070008000000000000004', 1800000005000000, x'018900000000700080000000000000a1', 'state',
     '{"state": "refused", "cause": "role-missing", "evidence": {"status": 403, "code": "ForbiddenByRbac", "request_id": "r-1"}}'),
    (14, x'01890000000070008000000000000002', 1800000020000000, x'018900000000700080000000000000a2', 'version',
     '{"key": {"vault": "acme.vault.azure.net", "name": "kek"}, "version": "0123456789abcdef0123456789abcdef"}');

insert into key_acknowledgements (revision, replica, name, at)
values (12, x'018900000000700080000000000000a2', 'host-2', 1800000006000000);

insert into replicas (id, name, release, started_at, seen_at, followed)
values (x'018900000000700080000000000000a1', 'host-1', '0.1.0', 1800000000000000, 1800000060000000, 14);

-- How tenants' keys are, as it was last found out. One replica looks after a key at a time, by a lease. All times but those
-- that a look brings (`since`, `checked_at`, `served_at`, `newest_seen_at`) are this server's own.
create table key_health (
    tenant_id      uuid primary key references tenants (id) on delete cascade,
    -- Whether the tenant is active: kept by a trigger, so that what is not to be looked at is in no index.
    watched        boolean not null,
    state          text not null default 'unknown' check (state in ('unknown', 'healthy', 'degraded', 'refused')),
    cause          text check (cause ~ '^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$'),
    evidence       jsonb check (jsonb_typeof(evidence) = 'object'),
    since          timestamptz not null check (since between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    checked_at     timestamptz check (checked_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    served_at      timestamptz check (served_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    newest         jsonb check (jsonb_typeof(newest) = 'object'),
    -- 1970: to be looked up again.
    newest_seen_at timestamptz check (newest_seen_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    canaries       jsonb not null default '{"format": 1, "canaries": []}'
                       check (case when jsonb_typeof(canaries -> 'format') = 'number' and jsonb_typeof(canaries -> 'canaries') = 'array'
                           then jsonb_array_length(canaries -> 'canaries') <= 8 else false end),
    failures       integer not null default 0 check (failures >= 0),
    due_at         timestamptz not null check (due_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    owner          uuid,
    -- While nobody looks, as long after `due_at` as its owner may be late.
    owned_until    timestamptz check (owned_until between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    given_up_by    uuid,
    -- Since when the owner has been looking; null while it is not.
    claimed_at     timestamptz check (claimed_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    -- When the last look began that was saved: 1970 if none was.
    looked_at      timestamptz not null default '1970-01-01 00:00:00+00'
                       check (looked_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    -- Whether a look was asked for since the one under way began, which may not know what it was asked for.
    wanted         boolean not null default false,
    held_at        timestamptz check (held_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    -- Whether it was held when it was last claimed, or is said to be since.
    is_held        boolean not null default false,
    check ((state in ('degraded', 'refused')) = (cause is not null)),
    check ((cause is null) = (evidence is null)),
    check ((newest is null) = (newest_seen_at is null)),
    check ((owner is null) = (owned_until is null)),
    check (claimed_at is null or owner is not null),
    check (not is_held or held_at is not null)
-- Each look changes each row twice: room beside it, and vacuum before there is much to do.
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- What is not indexed may change in place: that a key is claimed by whoever looks after it, and that it is held still.
create index key_health_free on key_health (due_at) where watched and owner is null;
create index key_health_owned on key_health (due_at) where watched and owner is not null;
create index key_health_held on key_health (looked_at) where watched and is_held;
create index key_health_unsure on key_health (tenant_id) where watched and is_held and state <> 'healthy';
-- Whose key it is of which somebody says that there is a new version.
create index tenants_key on tenants (vault, lower(key_name)) where status <> 'purged';

insert into key_health (tenant_id, watched, since, due_at)
select id, status = 'active', created_at, created_at from tenants where status <> 'purged';

-- Kept here and not by the program, so that it also binds replicas of the release before, which know of no health; and with its
-- owner's rights, as their database user has none on what is new.
create function key_health_follows() returns trigger language plpgsql security definer set search_path from current as $$
begin
    if new.status = 'purged' then
        delete from key_health where tenant_id = new.id;
    elsif tg_op = 'INSERT' then
        insert into key_health (tenant_id, watched, since, due_at) values (new.id, new.status = 'active', now(), now());
    elsif new.status = 'active' then
        update key_health set watched = true, wanted = true, due_at = least(due_at, now()),
            owned_until = owned_until - (due_at - least(due_at, now()))
        where tenant_id = new.id;
    else
        update key_health set watched = false, owner = null, owned_until = null, claimed_at = null where tenant_id = new.id;
    end if;
    return null;
end $$;
create trigger key_health_begins after insert on tenants
    for each row execute function key_health_follows();
create trigger key_health_follows after update on tenants
    for each row when ((new.status, new.directory_id, new.vault, new.key_name, new.key_version, new.route, new.route_address)
        is distinct from (old.status, old.directory_id, old.vault, old.key_name, old.key_version, old.route, old.route_address))
    execute function key_health_follows();

-- What happened to keys: a part of the change feed. It is only added to, and forgotten after 90 days; of one key
-- to which much happens all but the newest after two.
create table key_events (
    -- Drawn from the tenants' sequence, under the same lock.
    revision  bigint primary key check (revision >= 1),
    tenant_id uuid not null references tenants (id),
    at        timestamptz not null check (at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    replica   uuid not null,
    kind      text not null check (kind ~ '^[a-z]([a-z-]{0,61}[a-z])?$'),
    details   jsonb not null check (jsonb_typeof(details) = 'object')
);
create index key_events_tenant on key_events (tenant_id, revision);
create index key_events_age on key_events (at);

create function key_events_stay() returns trigger language plpgsql as $$
begin
    raise exception 'what happened to a key is only added to' using errcode = 'restrict_violation';
end $$;
create trigger key_events_stay before update on key_events
    for each row execute function key_events_stay();
create trigger key_events_stay_recent before delete on key_events
    for each row when (old.at > statement_timestamp() - interval '2 days') execute function key_events_stay();
create trigger key_events_stay_all before truncate on key_events
    for each statement execute function key_events_stay();

-- Which replicas have obeyed a withdrawal.
create table key_acknowledgements (
    revision bigint not null references key_events (revision) on delete cascade,
    replica  uuid not null,
    name     text not null check (char_length(name) between 1 and 255),
    at       timestamptz not null check (at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    primary key (revision, replica)
);

-- The replicas that run, or ran within a day.
create table replicas (
    id         uuid primary key,
    name       text not null check (char_length(name) between 1 and 255),
    release    text not null check (char_length(release) between 1 and 255),
    started_at timestamptz not null check (started_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    seen_at    timestamptz not null check (seen_at between '1970-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'),
    followed   bigint not null check (followed >= 0)
);

-- The same as in Postgres (migrations/postgres), in SQLite's types. All times are by the clock of the one process.
create table key_health (
    tenant_id      blob primary key references tenants (id) on delete cascade check (length(tenant_id) = 16),
    watched        integer not null check (watched in (0, 1)),
    state          text not null default 'unknown' check (state in ('unknown', 'healthy', 'degraded', 'refused')),
    cause          text check (length(cause) between 1 and 63 and cause glob '[a-z]*' and cause not glob '*[^a-z0-9-]*'
                       and cause not glob '*-'),
    evidence       text check (case when json_valid(evidence) then json_type(evidence) = 'object' else evidence is null end),
    since          integer not null check (since between 0 and 253402300799999999),
    checked_at     integer check (checked_at between 0 and 253402300799999999),
    served_at      integer check (served_at between 0 and 253402300799999999),
    newest         text check (case when json_valid(newest) then json_type(newest) = 'object' else newest is null end),
    newest_seen_at integer check (newest_seen_at between 0 and 253402300799999999),
    canaries       text not null default '{"format": 1, "canaries": []}'
                       check (case when json_valid(canaries)
                           then coalesce(json_type(canaries, '$.format') = 'integer' and json_type(canaries, '$.canaries') = 'array'
                               and json_array_length(canaries, '$.canaries') <= 8, false) else false end),
    failures       integer not null default 0 check (failures >= 0),
    due_at         integer not null check (due_at between 0 and 253402300799999999),
    owner          blob check (length(owner) = 16),
    owned_until    integer check (owned_until between 0 and 253402300799999999),
    given_up_by    blob check (length(given_up_by) = 16),
    claimed_at     integer check (claimed_at between 0 and 253402300799999999),
    looked_at      integer not null default 0 check (looked_at between 0 and 253402300799999999),
    wanted         integer not null default 0 check (wanted in (0, 1)),
    held_at        integer check (held_at between 0 and 253402300799999999),
    is_held        integer not null default 0 check (is_held in (0, 1)),
    check ((state in ('degraded', 'refused')) = (cause is not null)),
    check ((cause is null) = (evidence is null)),
    check ((newest is null) = (newest_seen_at is null)),
    check ((owner is null) = (owned_until is null)),
    check (claimed_at is null or owner is not null),
    check (not is_held or held_at is not null)
) strict;

create index key_health_free on key_health (due_at) where watched and owner is null;
create index key_health_owned on key_health (due_at) where watched and owner is not null;
create index key_health_held on key_health (looked_at) where watched and is_held;
create index key_health_unsure on key_health (tenant_id) where watched and is_held and state <> 'healthy';
create index tenants_key on tenants (vault, lower(key_name)) where status <> 'purged';

insert into key_health (tenant_id, watched, since, due_at)
select id, status = 'active', created_at, created_at from tenants where status <> 'purged';

create trigger key_health_begins after insert on tenants when new.status <> 'purged'
begin
    insert into key_health (tenant_id, watched, since, due_at)
    values (new.id, new.status = 'active', new.created_at, new.created_at);
end;
create trigger key_health_follows after update on tenants
when new.status = 'active' and (new.status is not old.status or new.directory_id is not old.directory_id
    or new.vault is not old.vault or new.key_name is not old.key_name or new.key_version is not old.key_version
    or new.route is not old.route or new.route_address is not old.route_address)
begin
    update key_health set watched = 1, wanted = 1, due_at = min(due_at, new.updated_at),
        owned_until = owned_until - (due_at - min(due_at, new.updated_at))
    where tenant_id = new.id;
end;
create trigger key_health_rests after update on tenants
when new.status in ('suspended', 'deleting') and new.status is not old.status
begin
    update key_health set watched = 0, owner = null, owned_until = null, claimed_at = null where tenant_id = new.id;
end;
create trigger key_health_ends after update on tenants when new.status = 'purged'
begin
    delete from key_health where tenant_id = new.id;
end;

create table key_events (
    revision  integer primary key check (revision >= 1),
    tenant_id blob not null references tenants (id),
    at        integer not null check (at between 0 and 253402300799999999),
    replica   blob not null check (length(replica) = 16),
    kind      text not null check (length(kind) between 1 and 63 and kind glob '[a-z]*' and kind not glob '*[^a-z-]*'
                  and kind not glob '*-'),
    details   text not null check (case when json_valid(details) then json_type(details) = 'object' else false end)
) strict;
create index key_events_tenant on key_events (tenant_id, revision);
create index key_events_age on key_events (at);

-- That only what is old is removed is the program's to keep: the database's clock is not the one that was passed in.
create trigger key_events_stay before update on key_events
begin
    select raise(abort, 'what happened to a key is only added to');
end;

create table key_acknowledgements (
    revision integer not null references key_events (revision) on delete cascade,
    replica  blob not null check (length(replica) = 16),
    name     text not null check (length(name) between 1 and 255),
    at       integer not null check (at between 0 and 253402300799999999),
    primary key (revision, replica)
) strict;

create table replicas (
    id         blob primary key check (length(id) = 16),
    name       text not null check (length(name) between 1 and 255),
    release    text not null check (length(release) between 1 and 255),
    started_at integer not null check (started_at between 0 and 253402300799999999),
    seen_at    integer not null check (seen_at between 0 and 253402300799999999),
    followed   integer not null check (followed >= 0)
) strict;

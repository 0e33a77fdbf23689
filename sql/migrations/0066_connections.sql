-- Connections: the ways of an instance to WhatsApp, and which one an attempt took. (compatible with: 0001)

-- `instance_id` names the instance only on its active connection, so the unique constraint keeps exactly
-- one active. A standby has none there: every statement that joins by `instance_id`, also one of the
-- release before, sees the active connection alone. `owner_instance_id` names the instance on both.
alter table instance_connections
    add column id text not null default upper(replace(gen_random_uuid()::text, '-', '')),
    add column owner_instance_id text references instances on delete cascade,
    add column provider text,
    add column settings_ciphertext bytea,
    add column settings_key_id text,
    add column position int not null default 1,
    add column last_error text,
    add column last_error_at timestamptz,
    add column health text not null default 'unknown',
    add column health_reason text,
    add column health_since timestamptz,
    add column checked_at timestamptz,
    add column latency_ms int,
    add column error_rate real,
    add column repairs int not null default 0,
    add column next_repair_at timestamptz,
    add column reported bigint not null default 0,
    add column stored bigint not null default 0,
    add column processed bigint not null default 0,
    add constraint known_health check (health in ('healthy', 'unhealthy', 'recovering', 'unknown')),
    add constraint sealed_settings_have_a_key
        check ((settings_ciphertext is null) = (settings_key_id is null));

-- The triggers are for changes of a state, and this is none.
alter table instance_connections disable trigger user;
update instance_connections c set owner_instance_id = c.instance_id, provider = i.provider
from instances i
where i.id = c.instance_id;
alter table instance_connections alter column state drop not null, alter column changed_at drop not null;
insert into instance_connections (instance_id, owner_instance_id, provider)
select i.id, i.id, i.provider
from instances i
where not exists (select from instance_connections c where c.instance_id = i.id);
alter table instance_connections enable trigger user;

alter table instance_connections drop constraint instance_connections_pkey;
alter table instance_connections
    alter column instance_id drop not null,
    alter column owner_instance_id set not null,
    alter column provider set not null,
    add primary key (id),
    add constraint one_active_connection unique (instance_id),
    add constraint active_for_its_owner check (instance_id = owner_instance_id);
create index connections_of_instance on instance_connections (owner_instance_id, position);
comment on column instance_connections.instance_id is 'The instance whose active connection it is; null on a standby.';
comment on column instance_connections.owner_instance_id is 'The instance that owns the connection.';
comment on column instance_connections.state is 'The last one that a session reported; null before the first.';
comment on column instance_connections.settings_ciphertext is
    'The settings of the provider, encrypted; null: instances.provider_settings, until they are sealed.';
comment on column instance_connections.health is 'Its circuit breaker: healthy is closed, unhealthy open, recovering half-open.';
comment on column instance_connections.error_rate is 'The share of the latest checks that failed.';
comment on column instance_connections.repairs is 'How often it was opened again since it was well.';
comment on column instance_connections.reported is 'Events that its sessions reported; stored and processed count these.';

create table connection_settings (
    instance_id          text primary key references instances on delete cascade,
    fallback             text not null default 'off' check (fallback in ('off', 'same-number', 'any')),
    missing_receipts     int,
    of_messages          int,
    receipt_wait_seconds int,
    check (missing_receipts <= of_messages)
);
comment on table connection_settings is 'Null, or no row: as the service is set.';

alter table nodes add column connections_life uuid;
comment on column nodes.connections_life is 'The process that knows connections: one of the release before does not write it.';

-- Null: the only connection that the instance had.
alter table message_queue add column connection_id text;
alter table message_attempts add column connection_id text;
alter table messages add column connection_id text;
comment on column message_queue.connection_id is 'By which its latest attempt went, written before the attempt starts.';

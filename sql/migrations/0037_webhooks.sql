-- Further webhooks of an instance, with delivery queues of their own. (compatible with: 0001)

create table webhooks (
    id                 uuid primary key,
    instance_id        text not null references instances on delete cascade,
    url                text not null,
    types              text[],
    enabled            boolean not null default true,
    header_names       text[] not null default '{}',
    headers_ciphertext bytea,
    headers_key_id     text,
    secret_ciphertext  bytea,
    secret_key_id      text,
    created_at         timestamptz not null default now()
);
create index webhooks_of_instance on webhooks (instance_id);
comment on table webhooks is
    'Webhooks beside the one per type that Z-API has; those are columns of instances.';
comment on column webhooks.types is 'The types of callbacks that it gets; null: all.';

alter table webhook_lines
    add column webhook_id uuid not null default '00000000-0000-0000-0000-000000000000';
alter table webhook_outbox
    add column webhook_id uuid not null default '00000000-0000-0000-0000-000000000000';
alter table webhook_dead_letters
    add column webhook_id uuid not null default '00000000-0000-0000-0000-000000000000';
alter table webhook_deliveries
    add column webhook_id uuid not null default '00000000-0000-0000-0000-000000000000';
comment on column webhook_dead_letters.webhook_id is
    'The webhook that did not get it; zeros: one that is a column of instances.';
comment on column webhook_deliveries.webhook_id is
    'The webhook that it was posted to; zeros: one that is a column of instances.';

-- A node of the previous release knows the tables of its own webhooks only, and goes on delivering
-- from them; it never sees the queues of further webhooks. This release reads both through the
-- table above them. Each of the two has its own primary key, so that none is needed above.
create table delivery_queues (like webhook_lines) partition by list (webhook_id);
alter table delivery_queues attach partition webhook_lines
    for values in ('00000000-0000-0000-0000-000000000000');
create table further_delivery_queues partition of delivery_queues (
    attempts default 0,
    primary key (webhook_id, chat),
    constraint due_when_pending check ((due_at is null) = (pending = 0))
) default with (fillfactor = 70);
create index further_delivery_queues_due on further_delivery_queues (due_at) where due_at is not null;
create index further_delivery_queues_claimed on further_delivery_queues (claimed_by)
    where claimed_by is not null;
create index further_delivery_queues_empty on further_delivery_queues (webhook_id, chat)
    where due_at is null;
create index further_delivery_queues_address on further_delivery_queues (address)
    where address is not null;
create index further_delivery_queues_of_instance on further_delivery_queues (instance_id, chat);
comment on table delivery_queues is
    'Delivery queues: of Z-API''s webhooks (webhook_lines), and of further ones.';

create table callback_outbox (like webhook_outbox) partition by list (webhook_id);
alter table callback_outbox attach partition webhook_outbox
    for values in ('00000000-0000-0000-0000-000000000000');
create table further_outbox partition of callback_outbox (
    created_at default now(),
    primary key (webhook_id, chat, position)
) default;
create index further_outbox_of_instance on further_outbox (instance_id, chat);
comment on table callback_outbox is
    'Callbacks that wait: for Z-API''s webhooks (webhook_outbox), and for further ones.';

-- Nodes tell one life of a name from the next, and give leases away. (compatible with: 0001)

alter table nodes add column life uuid not null default gen_random_uuid();
comment on column nodes.life is
    'The process that goes by this name now: an earlier one can no longer renew.';

-- Null: given away, for whoever has room.
alter table instance_leases alter column node_id drop not null;

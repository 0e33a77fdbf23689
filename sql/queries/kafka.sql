-- Aliases: p position, r subscription of an account.

-- name: find_accounts
select id, name
from accounts
where id = any(%(named)s::text[]) or name = any(%(named)s::text[])
order by id;

-- name: hold_roads
-- One process at a time publishes for an account.
update event_roads r
set node_id = %(node_id)s::text, held_until = now() + make_interval(secs => %(seconds)s::double precision)
from (
    select account_id, name
    from event_roads
    where name = 'kafka' and account_id = any(%(account_ids)s::text[])
        and (node_id is null or node_id = %(node_id)s::text or held_until < now())
    order by account_id
    for update skip locked
) free
where r.account_id = free.account_id and r.name = free.name
returning r.account_id, r.transaction_id, r.sequence;

-- name: move_on
update event_roads r
set transaction_id = p.transaction_id, sequence = p.sequence
from unnest(
    %(account_ids)s::text[], %(transaction_ids)s::bigint[], %(sequences)s::bigint[]
) as p (account_id, transaction_id, sequence)
where r.account_id = p.account_id and r.name = 'kafka' and r.node_id = %(node_id)s::text;

-- name: offsets
select topic, partition, next_offset from kafka_offsets where topic = any(%(topics)s::text[]);

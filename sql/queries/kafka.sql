-- Aliases: p position, r subscription of an account.

-- name: find_accounts
select id, name
from accounts
where id = any(%(named)s::text[]) or name = any(%(named)s::text[])
order by id;

-- name: offsets
select topic, partition, next_offset from kafka_offsets where topic = any(%(topics)s::text[]);

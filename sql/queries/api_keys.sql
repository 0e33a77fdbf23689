-- Aliases: a account, i instance, k API key, u latest use of a key.

-- name: find_api_key
select k.id, k.account_id, k.name, k.token_hash, k.scopes, k.instance_ids,
       k.networks::text[] as networks, k.expires_at, a.name as account_name,
       a.allowed_addresses::text[] as allowed_addresses, a.client_token_required,
       a.created_at as account_created_at
from api_keys k
join accounts a on a.id = k.account_id
where k.token_hash = %(token_hash)s::bytea;

-- name: lock_account_for_keys
-- A transaction that counts an account's keys and adds one owns this lock until its commit.
select id from accounts where id = %(account_id)s::text for no key update;

-- name: count_api_keys
-- The account's keys beside the one with this id, which an earlier run may have added.
select count(*) as count from api_keys
where account_id = %(account_id)s::text and id <> %(id)s::text;

-- name: count_own_instances
-- How many of these instances the account has.
select count(*) as count from instances i
where i.account_id = %(account_id)s::text and i.id = any(%(instance_ids)s::text[]);

-- name: add_api_key
insert into api_keys (
    id, account_id, name, token_hash, scopes, instance_ids, networks, expires_at, created_by
)
values (
    %(id)s::text, %(account_id)s::text, %(name)s::text, %(token_hash)s::bytea, %(scopes)s::text[],
    %(instance_ids)s::text[], %(networks)s::text[]::cidr[], %(expires_at)s::timestamptz,
    %(created_by)s::text
)
on conflict (id) do nothing;

-- name: list_api_keys
select k.id, k.name, k.scopes, k.instance_ids, k.networks::text[] as networks, k.expires_at,
       k.created_by, k.created_at, u.used_at, u.address
from api_keys k
left join api_key_uses u on u.key_id = k.id
where k.account_id = %(account_id)s::text
order by k.created_at, k.id;

-- name: revoke_api_key
delete from api_keys where account_id = %(account_id)s::text and id = %(id)s::text;

-- name: note_key_uses
-- A key that was revoked meanwhile is left out; the lock prevents its deletion in between.
with used as (
    -- The keys that are still there.
    select k.id from api_keys k where k.id = any(%(ids)s::text[]) order by k.id for key share
)
insert into api_key_uses as u (key_id, used_at, address)
select given.id, given.used_at, given.address
from unnest(%(ids)s::text[], %(times)s::timestamptz[], %(addresses)s::text[])
    as given (id, used_at, address)
join used on used.id = given.id
on conflict (key_id) do update
set used_at = excluded.used_at, address = excluded.address
where excluded.used_at > u.used_at;

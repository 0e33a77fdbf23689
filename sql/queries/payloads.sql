-- Aliases: a account, d node, i instance, p and s progress of an account's rows, w wanted key of an
-- account.

-- name: find_rules
-- Whether the content of each instance is encrypted.
select i.id, coalesce(a.payload_encryption, %(default)s::boolean) as encrypts
from instances i
join accounts a on a.id = i.account_id
where i.id = any(%(instance_ids)s::text[]);

-- name: set_rule
-- Null makes the account follow the operator's setting.
update accounts set payload_encryption = %(encrypts)s::boolean where id = %(account_id)s::text;

-- name: find_older_nodes
-- Nodes in use whose program cannot open encrypted content.
select id from nodes d where d.expires_at > now() and not d.opens_payloads order by id;

-- name: find_rule
select coalesce(a.payload_encryption, %(default)s::boolean) as encrypts,
       case when a.payload_encryption then 'on' when not a.payload_encryption then 'off' else 'default' end as value,
       case
           when s.account_id is null then not coalesce(a.payload_encryption, %(default)s::boolean)
           else s.finished_at is not null
       end as finished,
       coalesce(s.target, '') as target, coalesce(s.key_ids, '{}') as key_ids, coalesce(s.unopened, 0) as unopened
from accounts a
left join payload_seals s on s.account_id = a.id
where a.id = %(account_id)s::text;

-- name: set_targets
-- Starts a pass over the rows of each account whose rule or key changed, and notes that key as in use.
with wanted as (
    -- The key that each account is to use; an empty text for none.
    select a.id as account_id,
           case when coalesce(a.payload_encryption, %(default)s::boolean) then %(key_id)s::text else '' end as target
    from accounts a
)
insert into payload_seals as s (account_id, target, key_ids)
select w.account_id, w.target, array_remove(array[w.target], '')
from wanted w
left join payload_seals p on p.account_id = w.account_id
where w.target <> coalesce(p.target, '')
on conflict (account_id) do update
set target = excluded.target,
    key_ids = array(select distinct unnest(s.key_ids || excluded.key_ids) order by 1),
    position = null, changed = 0, unopened = 0, started_at = now(), pass_at = null, finished_at = null
where s.target <> excluded.target;

-- name: next_account
-- An account whose rows do not all follow its rule yet. Later they are checked again each day, since a
-- node may still have written under an earlier key, and each hour while there are rows that no key
-- opened: the key may be back.
select account_id, target, position, changed, unopened, started_at,
       coalesce(pass_at, now()) as pass_at
from payload_seals
where finished_at is null or position is not null
    or (target <> '' or unopened > 0) and checked_at < now() - case when unopened > 0 then interval '1 hour' else interval '1 day' end
order by finished_at is not null, started_at, account_id
limit 1;

-- name: list_account_instances
select id from instances where account_id = %(account_id)s::text order by id;

-- name: store_position
-- Writes nothing if the target changed meanwhile.
update payload_seals
set position = %(position)s::jsonb, changed = %(changed)s::bigint, unopened = %(unopened)s::bigint,
    pass_at = %(pass_at)s::timestamptz,
    finished_at = case when not %(follows)s::boolean then null else finished_at end
where account_id = %(account_id)s::text and target = %(target)s::text;

-- name: finish
-- Every row follows the rule: only the current key is in use. Rows that no key opened keep theirs.
update payload_seals
set finished_at = coalesce(finished_at, now()), checked_at = now(), position = null, pass_at = null,
    changed = 0, unopened = %(unopened)s::bigint,
    key_ids = case
        when %(unopened)s::bigint > 0 then key_ids else array_remove(array[target], '')
    end
where account_id = %(account_id)s::text and target = %(target)s::text;

-- name: list_keys
-- Each key that some row may need, with the number of accounts, and since when no pass found another.
select key_id, count(*) as accounts, min(s.checked_at) as checked_at
from payload_seals s
cross join unnest(s.key_ids) as key_id
group by key_id
order by key_id;
